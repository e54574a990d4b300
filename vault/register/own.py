"""Our own encrypted register: without a log receipt no key is unwrapped and no row is fetched.

Identity and contact details are sealed under the subject's ``identity`` key, everything else
under her ``record`` key, so that a shredded record key erases the care and keeps the custody.
Both keys are made once, with the subject: a destroyed key is never made anew by a later write.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from vault.accesslog.receipts import LogReceipt
from vault.crypto.envelope import Context, seal, unseal
from vault.crypto.keyservice import WRITE
from vault.domain.hetu import parse as parse_code
from vault.domain.private import Private
from vault.domain.records import IDENTITY_KINDS, Author, Record, RecordKind
from vault.errors import RefusedError, TamperedError
from vault.register.form import parse, render
from vault.register.port import Look
from vault.storage.database import Database
from vault.storage.register import RegisterTable, SealedRecord

_FIRST = 1  # a row is sealed once; another sealing would count on
_KEY_KINDS = ("identity", "record")


class Keys(Protocol):
    """What the register needs of the key ring."""

    def data_keys(self, kind: str, refs: Collection[str], *, uses: Mapping[str, str]) -> dict[str, bytes]:
        """Return data keys, unwrapped by the key service; many in as many round trips as one."""
        ...

    def make_data_keys(self, kind: str, refs: Collection[str], *, uses: Mapping[str, str]) -> dict[str, bytes]:
        """Return data keys, made where there are none."""
        ...


class Index(Protocol):
    """What the register needs of the key service."""

    def mac(self, label: str, data: bytes) -> bytes:
        """Return a MAC whose key never leaves the service."""
        ...

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        """Return MACs, each with its use in the audit."""
        ...


class Spender(Protocol):
    """What the register needs of the access log."""

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        """Spend a receipt or refuse it."""
        ...


class OwnRegister(Private):
    """The register in our own database.

    :param keys: opens and makes the subjects' data keys.
    :param service: makes the blind index of the personal identity code.
    :param log: the access log, which alone can spend a receipt.
    """

    def __init__(self, database: Database, keys: Keys, service: Index, log: Spender) -> None:
        self._table = RegisterTable(database)
        self._keys = keys
        self._service = service
        self._log = log

    def find(self, code: str, receipt: LogReceipt) -> str | None:
        """Return the reference of the subject with this code; see the port."""
        # a forged receipt may lack every attribute; spending is what refuses it
        case = getattr(receipt, "case", None)
        self._log.spend(receipt, case=case, subject=None, kinds={RecordKind.IDENTITY.value})
        (index,) = self._service.many("mac", "subject", [("", _canonical(code).encode("ascii"))], [receipt.id])
        return self._table.find(index)

    def read(self, receipt: LogReceipt, subject: str, kinds: Iterable[RecordKind], *, case: str | None) -> list[Record]:
        """Return a subject's records of these kinds, oldest first; see the port."""
        return self.read_many([Look(receipt, subject, case)], kinds)[0]

    def read_many(self, looks: Sequence[Look], kinds: Iterable[RecordKind]) -> list[list[Record]]:
        """Return the records of these kinds of many subjects, in two queries; see the port."""
        wanted = sorted({RecordKind(kind).value for kind in kinds})
        for look in looks:
            self._log.spend(look.receipt, case=look.case, subject=look.subject, kinds=wanted)
        rows = self._table.fetch({look.subject for look in looks}, wanted)
        # by what is wanted, not by what is found: a shredded subject is no subject without records
        kinds_of_keys = {_key_kind(RecordKind(kind)) for kind in wanted}
        keys: dict[tuple[str, str], bytes] = {}
        for uses in _uses(looks):
            keys |= self._open_keys(dict.fromkeys(kinds_of_keys, uses))
        found: dict[str, list[Record]] = {look.subject: [] for look in looks}
        for row in rows:
            found[row.subject].append(_unseal(keys, row))
        return [sorted(found[look.subject], key=lambda record: (record.at, record.ref)) for look in looks]

    def write(self, records: Sequence[Record]) -> None:
        """Store records; one that is there already stays as it was first; see the port."""
        self._check(records)
        needed: dict[str, dict[str, str]] = {}
        for record in records:
            needed.setdefault(_key_kind(record.kind), {})[record.subject] = WRITE
        keys = self._open_keys(needed)
        self._table.add([_seal(keys, record) for record in records])

    def add_subject(self, code: str, identity: Record, contacts: Record) -> str:
        """Make a subject known; the same again changes nothing; see the port."""
        _check_first_records(code, identity, contacts)
        subject = identity.subject
        made = {kind: self._keys.make_data_keys(kind, [subject], uses={subject: WRITE}) for kind in _KEY_KINDS}
        keys = {(kind, subject): of_kind[subject] for kind, of_kind in made.items()}
        rows = [_seal(keys, identity), _seal(keys, contacts)]
        self._table.add_subject(subject, self._code_index(code), rows)
        return subject

    def note_inspection(self, subject: str, case_ref: str, at: datetime, author: Author) -> None:
        """Enter once a case that the right of access was used; see the port."""
        body = {"case_ref": case_ref, "provision": "GDPR Article 15"}
        self.write([Record(f"INSPECTION-{case_ref}", subject, RecordKind.INSPECTION, at, author, body)])

    def _code_index(self, code: str) -> bytes:
        return self._service.mac("subject", _canonical(code).encode("ascii"))

    def _open_keys(self, needed: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], bytes]:
        """Open keys: by their kind, subjects with the use of each."""
        opened = {kind: self._keys.data_keys(kind, uses.keys(), uses=uses) for kind, uses in sorted(needed.items())}
        return {(kind, subject): key for kind, keys in opened.items() for subject, key in keys.items()}

    def _check(self, records: Sequence[Record]) -> None:
        written = {(record.subject, record.ref) for record in records}
        if len(written) != len(records):
            raise RefusedError("record_twice", "a reference stands twice in one batch; write each record once")
        elsewhere = {(record.subject, record.corrects) for record in records if record.corrects is not None} - written
        if elsewhere and elsewhere - self._table.present(elsewhere):
            raise RefusedError("corrects_unknown", "a correction must name a stored record of the same subject")
        for record in records:
            if record.corrects == record.ref:
                raise RefusedError("corrects_itself", "a correction is a record of its own", ref=record.ref)
            if record.kind is RecordKind.IDENTITY:
                self._check_code(record)

    def _check_code(self, identity: Record) -> None:
        if self._table.find(self._code_index(_code(identity))) != identity.subject:
            raise RefusedError("code_differs", "the identity's code is not the subject's", ref=identity.ref)


def _uses(looks: Sequence[Look]) -> list[dict[str, str]]:
    """Name the receipt that opens each subject's keys, one after the other where several looks are at one subject."""
    rounds: list[dict[str, str]] = []
    for look in looks:
        free = next((uses for uses in rounds if look.subject not in uses), None)
        if free is None:
            rounds.append(free := {})
        free[look.subject] = look.receipt.id
    return rounds


def _canonical(code: str) -> str:
    return parse_code(code, date.max).value  # whether somebody is born yet is not the register's question


def _code(identity: Record) -> str:
    code = identity.body.get("personal_identity_code")
    if not isinstance(code, str):
        raise RefusedError("code_missing", "an identity holds the personal identity code", ref=identity.ref)
    return code


def _check_first_records(code: str, identity: Record, contacts: Record) -> None:
    if (identity.kind, contacts.kind) != (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS):
        raise RefusedError("first_records", "a subject starts with one identity and one record of contact details")
    if identity.subject != contacts.subject or identity.ref == contacts.ref:
        raise RefusedError("first_records", "both first records need the same subject and a reference each")
    if _canonical(_code(identity)) != _canonical(code):
        raise RefusedError("code_differs", "the identity's code is not the subject's", ref=identity.ref)


def _key_kind(kind: RecordKind) -> str:
    return "identity" if kind in IDENTITY_KINDS else "record"


def _seal(keys: Mapping[tuple[str, str], bytes], record: Record) -> SealedRecord:
    context = Context("records", record.ref, "body", record.subject, _FIRST)
    envelope = seal(keys[_key_kind(record.kind), record.subject], context, render(record))
    return SealedRecord(record.subject, record.ref, record.kind.value, _FIRST, envelope)


def _unseal(keys: Mapping[tuple[str, str], bytes], row: SealedRecord) -> Record:
    key = keys[_key_kind(RecordKind(row.kind)), row.subject]
    context = Context("records", row.ref, "body", row.subject, row.version)
    record = parse(row.subject, row.ref, unseal(key, context, row.envelope))
    if record.kind.value != row.kind:
        raise TamperedError("record_kind", "a record's kind was changed beside its envelope", ref=row.ref)
    return record


def code_index(service: Index, code: str) -> bytes:
    """Return the blind index of a personal identity code, made inside the key service.

    :raises RefusedError: it is no personal identity code.
    """
    return service.mac("subject", _canonical(code).encode("ascii"))


def seal_record(keys: Mapping[tuple[str, str], bytes], record: Record) -> SealedRecord:
    """Seal a record under its subject's keys, as :meth:`OwnRegister.write` does.

    :param keys: data keys by their kind, ``identity`` or ``record``, and subject.
    :raises RefusedError: the record is malformed.
    """
    return _seal(keys, record)
