"""How far an import has come: places in files by MAC of person, counts and codes; nothing personal.

A batch's keys, subjects, records and progress are one transaction, so that after a kill at any place
the next run goes on where the last whole batch ended.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from vault.domain.private import Private
from vault.errors import ConflictError
from vault.storage.database import Connection, Database
from vault.storage.register import SealedRecord, add_records

INDEX, PEOPLE, DONE = "index", "people", "done"
_LOCK: Final = 0x44535249  # one import at a time
_ITEMS: Final = "copy import_items (source, person, file, number, at, size, patient) from stdin (format binary)"
_TYPES: Final = ("bytea", "bytea", "int4", "int8", "int8", "int8", "bool")
_REFUSE: Final = (
    "insert into import_refusals (source, file, number, code) "
    "select %s, * from unnest(%s::int[], %s::bigint[], %s::text[]) on conflict do nothing"
)
_UNKNOWN: Final = (  # items none of whose persons has a Patient in the input
    "with known as (select distinct person from import_items where source = %(source)s and patient) "
    "insert into import_refusals (source, file, number, code) "
    "select i.source, i.file, i.number, %(code)s from import_items i left join known k on k.person = i.person "
    "where i.source = %(source)s group by i.source, i.file, i.number having count(k.person) = 0 on conflict do nothing"
)
_PEOPLE: Final = (
    "select person, count(*), sum(size) from import_items where source = %(source)s and person > %(after)s "
    "group by person having bool_or(patient) order by person limit %(limit)s"
)
# the table was filled a moment ago, nobody counted it yet, and reading all of it for each batch would be dear
_BY_INDEX: Final = "set local enable_seqscan = off"
_OF: Final = (
    "select person, file, number, at, size, patient from import_items where source = %s and person = any(%s) "
    "order by person, file, number"
)
_NEW_KEYS: Final = (
    "insert into wrapped_keys (kind, ref, version, wrapped) "
    "select kind, ref, 1, wrapped from unnest(%b::text[], %b::text[], %b::bytea[]) as made (kind, ref, wrapped) "
    "on conflict do nothing"
)
_NEW_SUBJECTS: Final = (
    "insert into subjects (ref, code_index) select * from unnest(%b::text[], %b::bytea[]) on conflict do nothing"
)
_KEYS: Final = (
    "select distinct on (kind, ref) kind, ref, wrapped from wrapped_keys "
    "where kind = any(%s) and ref = any(%s) order by kind, ref, version desc"
)


@dataclass(frozen=True, slots=True)
class ImportState:
    """Where an import stands.

    :param position: the last person whose records are stored; empty before the first.
    :param tally: the counts so far.
    """

    phase: str
    position: bytes
    tally: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """Where one resource or row stands, and whom it is about.

    :param person: 16 bytes of MAC.
    :param file: the file's place in the order of names, from 1.
    :param number: of the line, entry or row, from 1.
    :param at: the first byte.
    :param size: bytes.
    :param patient: whether it says who the person is.
    """

    person: bytes
    file: int
    number: int
    at: int
    size: int
    patient: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One place that was left out, and why."""

    file: int
    number: int
    code: str


@dataclass(frozen=True, slots=True)
class Batch(Private):
    """What one transaction stores.

    :param subjects: new ones with their blind index.
    :param keys: new wrapped keys as (kind, reference, wrapped).
    """

    subjects: Sequence[tuple[str, bytes]]
    keys: Sequence[tuple[str, str, bytes]]
    records: Sequence[SealedRecord]
    refusals: Sequence[LeftOut]
    position: bytes
    tally: Mapping[str, Any]


class ImportTable:
    """The progress of one import.

    :param source: 32 bytes that stand for the input and how it is read.
    """

    def __init__(self, database: Database, source: bytes) -> None:
        self._database = database
        self._source = source

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else import meanwhile.

        :raises ConflictError: another import runs.
        """
        with self._database.lock() as connection, connection.transaction():
            row = connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()
            if not row or not row[0]:
                raise ConflictError("import_running", "another import runs; wait for its end and start this one again")
            yield

    def state(self) -> ImportState | None:
        """Return where this import stands; None where it never began."""
        with self._database.connect() as connection:
            row = connection.execute(
                "select phase, position, tally from imports where source = %s", (self._source,)
            ).fetchone()
        return ImportState(str(row[0]), bytes(row[1]), row[2]) if row else None

    def restart(self, at: datetime) -> None:
        """Begin from nothing."""
        with self._database.connect() as connection:
            connection.execute("delete from imports where source = %s", (self._source,))
            connection.execute("insert into imports values (%s, %s, '', '{}', %s)", (self._source, INDEX, at))

    def add_items(self, items: Sequence[Item], refusals: Sequence[LeftOut]) -> None:
        """Add places to the index."""
        with self._database.connect() as connection:
            with connection.cursor() as cursor, cursor.copy(_ITEMS) as copy:
                copy.set_types(_TYPES)
                for item in items:
                    place = (item.file, item.number, item.at, item.size, item.patient)
                    copy.write_row((self._source, item.person, *place))
            self._refuse(connection, refusals)

    def indexed(self, tally: Mapping[str, Any], code: str) -> None:
        """End the index: whatever belongs to nobody in the input is refused with this code."""
        with self._database.connect() as connection:
            connection.execute(_UNKNOWN, {"source": self._source, "code": code})
            self._move(connection, PEOPLE, b"", tally)

    def people(self, after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
        """Return the next persons with how many items and bytes each has."""
        values = {"source": self._source, "after": after, "limit": limit}
        with self._database.connect() as connection:
            connection.execute(_BY_INDEX)
            rows = connection.execute(_PEOPLE, values).fetchall()
        return [(bytes(row[0]), int(row[1]), int(row[2])) for row in rows]

    def items(self, persons: Sequence[bytes]) -> list[Item]:
        """Return the places of these persons' items."""
        with self._database.connect() as connection:
            connection.execute(_BY_INDEX)
            rows = connection.execute(_OF, (self._source, list(persons)), binary=True).fetchall()
        return [Item(bytes(row[0]), *row[1:]) for row in rows]

    def store(self, batch: Batch) -> None:
        """Store a batch and its progress in one transaction.

        :raises ConflictError: somebody else made one of the subjects or keys meanwhile; nothing is stored.
        """
        with self._database.connect() as connection:
            _add(connection, _NEW_KEYS, batch.keys)
            _add(connection, _NEW_SUBJECTS, batch.subjects)
            add_records(connection, batch.records)
            self._refuse(connection, batch.refusals)
            self._move(connection, PEOPLE, batch.position, batch.tally)

    def finish(self, position: bytes, tally: Mapping[str, Any], at: datetime) -> None:
        """End the import; its index is no longer needed."""
        with self._database.connect() as connection:
            self._move(connection, DONE, position, tally)
            connection.execute("update imports set finished_at = %s where source = %s", (at, self._source))
            connection.execute("delete from import_items where source = %s", (self._source,))

    def refusals(self) -> Iterator[LeftOut]:
        """Yield what was left out, in the order of the input."""
        with self._database.connect() as connection, connection.cursor(name="refusals") as cursor:
            cursor.execute(
                "select file, number, code from import_refusals where source = %s order by file, number, code",
                (self._source,),
            )
            for row in cursor:
                yield LeftOut(int(row[0]), int(row[1]), str(row[2]))

    def refused(self) -> dict[str, int]:
        """Count what was left out, by code."""
        with self._database.connect() as connection:
            rows = connection.execute(
                "select code, count(*) from import_refusals where source = %s group by code order by code",
                (self._source,),
            ).fetchall()
        return {str(row[0]): int(row[1]) for row in rows}

    def _refuse(self, connection: Connection, refusals: Sequence[LeftOut]) -> None:
        if refusals:
            columns = ([getattr(item, name) for item in refusals] for name in LeftOut.__slots__)
            connection.execute(_REFUSE, [self._source, *columns])

    def _move(self, connection: Connection, phase: str, position: bytes, tally: Mapping[str, Any]) -> None:
        connection.execute(
            "update imports set phase = %s, position = %s, tally = %s where source = %s",
            (phase, position, json.dumps(tally), self._source),
        )


def known_subjects(database: Database, indexes: Collection[bytes]) -> dict[bytes, str]:
    """Return the subjects that stand under these blind indexes."""
    with database.connect() as connection:
        rows = connection.execute(
            "select code_index, ref from subjects where code_index = any(%s)", (list(indexes),)
        ).fetchall()
    return {bytes(row[0]): str(row[1]) for row in rows}


def stored_refs(database: Database, subjects: Collection[str]) -> dict[str, list[str]]:
    """Return the references of these subjects' records."""
    found: dict[str, list[str]] = {subject: [] for subject in subjects}
    with database.connect() as connection:
        rows = connection.execute("select subject, ref from records where subject = any(%s)", (list(subjects),))
        for subject, ref in rows:
            found[str(subject)].append(str(ref))
    return found


def wrapped_keys(database: Database, kinds: Sequence[str], subjects: Collection[str]) -> dict[tuple[str, str], bytes]:
    """Return the newest wrapped keys of these kinds and subjects."""
    with database.connect() as connection:
        rows = connection.execute(_KEYS, (list(kinds), list(subjects))).fetchall()
    return {(str(row[0]), str(row[1])): bytes(row[2]) for row in rows}


def _add(connection: Connection, statement: str, rows: Sequence[Sequence[object]]) -> None:
    if not rows:
        return
    done = connection.execute(statement, [list(column) for column in zip(*rows, strict=True)])
    if done.rowcount != len(rows):
        raise ConflictError("import_raced", "somebody else added the same person meanwhile; start the import again")
