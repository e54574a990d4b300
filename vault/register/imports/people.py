"""Persons of an import as subjects of our register: found by their blind index, made once, many in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from vault.crypto.envelope import new_key
from vault.crypto.keyservice import WRITE
from vault.domain.private import Private
from vault.domain.records import Record
from vault.errors import KeyMissingError, RefusedError
from vault.register.imports.inputs import Place, Read
from vault.register.imports.recipe import Recipe
from vault.register.imports.refs import KeyedRefs
from vault.register.own import code_index, seal_record
from vault.register.tally import Tally
from vault.storage.database import Database
from vault.storage.imports import Batch, ImportTable, LeftOut, known_subjects, stored_refs, wrapped_keys
from vault.storage.register import SealedRecord

_KINDS: Final = ("identity", "record")


class Keys(Protocol):
    """What the import needs of the key service."""

    def mac(self, label: str, data: bytes) -> bytes:
        """Return a MAC whose key never leaves the service."""
        ...

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a data key."""
        ...

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        """Open data keys, each with its use in the audit."""
        ...


@dataclass(frozen=True, slots=True)
class Group(Private):
    """One person's items.

    :param patients: those among them that say who the person is.
    """

    reads: list[Read]
    patients: list[Read]


@dataclass(slots=True)
class _Work(Private):
    """A batch in the making."""

    subjects: list[tuple[str, bytes]] = field(default_factory=list)
    keys: list[tuple[str, str, bytes]] = field(default_factory=list)
    records: list[SealedRecord] = field(default_factory=list)
    refusals: list[LeftOut] = field(default_factory=list)
    opened: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def refuse(self, place: Place, error: RefusedError) -> None:
        self.refusals.append(LeftOut(place.file, place.number, error.code))


class People(Private):
    """Stores persons' records.

    :param keys: the key service, as the office registry may use it.
    """

    __slots__ = ("_keys", "database", "refs")

    def __init__(self, database: Database, keys: Keys, refs: KeyedRefs) -> None:
        self.database = database
        self.refs = refs
        self._keys = keys

    def store(self, table: ImportTable, recipe: Recipe, groups: Sequence[Group], tally: Tally, position: bytes) -> None:
        """Store a batch of persons and the progress, in one transaction; add its counts to the tally.

        :raises ConflictError: somebody else made one of them meanwhile; nothing is stored.
        """
        work, counted = _Work(), Tally()
        counted.add(tally)
        coded = self._by_code(recipe, groups, work)
        subjects = self._subjects(coded, work)
        present = stored_refs(self.database, subjects.values())
        for code, reads in coded.items():
            subject = subjects.get(code)
            if subject is not None:
                made = recipe.records(subject, reads, present.get(subject, ()), counted, work.refuse)
                _seal(made, reads, work)
        batch = Batch(work.subjects, work.keys, work.records, work.refusals, position, counted.to_json())
        table.store(batch)
        for name in tally.__slots__:
            setattr(tally, name, getattr(counted, name))

    def _by_code(self, recipe: Recipe, groups: Sequence[Group], work: _Work) -> dict[str, list[Read]]:
        found: dict[str, dict[tuple[int, int], Read]] = {}
        for group in groups:
            try:
                code = recipe.code(group.patients)
            except RefusedError as error:
                _refuse_all(group, error, work)
                continue
            places = found.setdefault(code, {})
            places.update({(read.place.file, read.place.number): read for read in group.reads})
        return {code: list(places.values()) for code, places in found.items()}

    def _subjects(self, coded: Mapping[str, Sequence[Read]], work: _Work) -> dict[str, str]:
        """Find or make every person's subject and open its keys; who can't be opened is refused."""
        indexes = {code: code_index(self._keys, code) for code in coded}
        known = known_subjects(self.database, list(indexes.values()))
        wrapped = wrapped_keys(self.database, _KINDS, list(known.values()))
        subjects: dict[str, str] = {}
        for code, index in indexes.items():
            subject = known.get(index)
            try:
                if subject is None:
                    subject = self.refs.subject(code)
                    self._make_keys(subject, work)
                    work.subjects.append((subject, index))
                else:
                    work.opened |= self._open_keys(subject, wrapped)
                subjects[code] = subject
            except RefusedError as error:
                for read in coded[code]:
                    work.refuse(read.place, error)
        return subjects

    def _make_keys(self, subject: str, work: _Work) -> None:
        for kind in _KINDS:
            key = work.opened[kind, subject] = new_key()
            work.keys.append((kind, subject, self._keys.wrap(kind, subject, key)))

    def _open_keys(self, subject: str, wrapped: Mapping[tuple[str, str], bytes]) -> dict[tuple[str, str], bytes]:
        if any((kind, subject) not in wrapped for kind in _KINDS):
            raise KeyMissingError("data_key_missing", "a key of this subject was destroyed; nothing more is written")
        opened = {
            kind: self._keys.many("unwrap", kind, [(subject, wrapped[kind, subject])], [WRITE]) for kind in _KINDS
        }
        return {(kind, subject): key for kind, (key,) in opened.items()}


def _seal(records: Sequence[Record], reads: Sequence[Read], work: _Work) -> None:
    for record in records:
        try:
            work.records.append(seal_record(work.opened, record))
        except RefusedError as error:
            work.refuse(reads[0].place, error)


def _refuse_all(group: Group, error: RefusedError, work: _Work) -> None:
    """Refuse the patient for the reason, and what hangs on her because she was."""
    said = {read.place for read in group.patients}
    for read in group.patients:
        work.refuse(read.place, error)
    for read in group.reads:
        if read.place not in said:
            work.refuse(read.place, RefusedError("patient_refused", "the patient of this item was refused"))
