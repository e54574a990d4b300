"""The register's tables, blind: references, kinds and sealed bytes; what is written once stays as it was."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg

from vault.domain.private import Private
from vault.errors import ConflictError, RefusedError
from vault.storage.database import Connection, Database

_BATCH = 1000  # rows a statement
_ADD_SUBJECT = "insert into subjects (ref, code_index) values (%s, %s) on conflict do nothing"
_SAME_SUBJECT = "select ref, code_index from subjects where ref = %s or code_index = %s"
_ADD_RECORDS = (
    "insert into records (subject, ref, kind, version, envelope) "
    "select * from unnest(%b::text[], %b::text[], %b::text[], %b::int[], %b::bytea[]) on conflict do nothing"
)
_RECORDS = "select subject, ref, kind, version, envelope from records where subject = any(%s) and kind = any(%s)"
_PRESENT = (
    "select subject, ref from records join unnest(%b::text[], %b::text[]) as wanted (subject, ref) using (subject, ref)"
)


@dataclass(frozen=True, slots=True)
class SealedRecord(Private, shows=("ref", "kind")):
    """One row: its reference and kind are plain, its contents are an envelope."""

    subject: str
    ref: str
    kind: str
    version: int
    envelope: bytes


class RegisterTable:
    """Subjects with their blind index, and their sealed records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_subject(self, ref: str, code_index: bytes, rows: Sequence[SealedRecord]) -> None:
        """Store a subject with its first records in one transaction; the same again changes nothing.

        :param code_index: 32 bytes, the MAC of the personal identity code.
        :raises ConflictError: the reference or the index stands with another partner already.
        """
        with self._database.connect() as connection:
            connection.execute(_ADD_SUBJECT, (ref, code_index))
            found = connection.execute(_SAME_SUBJECT, (ref, code_index)).fetchall()
            if [(str(row[0]), bytes(row[1])) for row in found] != [(ref, code_index)]:
                raise ConflictError(
                    "subject_differs", "this code or reference belongs to another subject; find it by its code"
                )
            _insert(connection, rows)

    def find(self, code_index: bytes) -> str | None:
        """Return the reference of the subject with that index."""
        rows = self._database.ask("select ref from subjects where code_index = %s", (code_index,))
        return next((str(row[0]) for row in rows), None)

    def add(self, rows: Sequence[SealedRecord]) -> None:
        """Store records in one transaction; a subject's reference that is there already keeps its first record.

        :raises RefusedError: a subject is unknown; then nothing is stored.
        """
        try:
            with self._database.connect() as connection:
                _insert(connection, rows)
        except psycopg.errors.ForeignKeyViolation:
            raise RefusedError("subject_unknown", "the register has no such subject; add the subject first") from None

    def fetch(self, subjects: Collection[str], kinds: Collection[str]) -> list[SealedRecord]:
        """Return the subjects' records of these kinds by one query."""
        rows = self._database.ask(_RECORDS, (list(subjects), list(kinds)), binary=True)
        return [SealedRecord(str(row[0]), str(row[1]), str(row[2]), int(row[3]), bytes(row[4])) for row in rows]

    def present(self, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of the wanted (subject, reference) pairs that are stored."""
        subjects, refs = [pair[0] for pair in wanted], [pair[1] for pair in wanted]
        with self._database.connect() as connection:
            rows = connection.execute(_PRESENT, (subjects, refs)).fetchall()
        return {(str(row[0]), str(row[1])) for row in rows}


def _insert(connection: Connection, rows: Sequence[SealedRecord]) -> None:
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        columns = ([getattr(row, name) for row in batch] for name in SealedRecord.__slots__)
        connection.execute(_ADD_RECORDS, list(columns))


def add_records(connection: Connection, rows: Sequence[SealedRecord]) -> None:
    """Store records inside the caller's transaction; what is there already keeps its first record."""
    _insert(connection, rows)
