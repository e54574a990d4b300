"""The access log's tables, blind: leaves, the tree's right edge and checkpoints; bytes in, bytes out."""

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg

from vault.errors import ConflictError, TamperedError
from vault.storage.database import Ask, Connection

_PUBLISH_LOCK = 7043
_PIECE = 500  # rows fetched at a time
_COLUMNS = "idx, leaf, entry, staff, case_ref, tag, reader, at"
_APPEND = (
    "select first, why, hits from log_append(%b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::bytea[],"
    " %b::bytea[], %b::timestamptz[], %b::text[], %b::text[], %b::bytea[], %b)"
)
_APPEND_ONE = (  # the arrays are cheaper to make there than here
    "select first, why, hits from log_append(array[%b::bytea], array[%b::bytea], array[%b::bytea], array[%b::text],"
    " array[%b::bytea], array[%b::bytea], array[%b::timestamptz], %b::text[], %b::text[], %b::bytea[], %b)"
)
_WRONG_EDGE = (psycopg.errors.UniqueViolation, psycopg.errors.NoDataFound, psycopg.errors.DataCorrupted)


@dataclass(frozen=True, slots=True)
class LeafRow:
    """One row of the log: the leaf's bytes, the two envelopes, and the columns that rows are found by."""

    index: int
    leaf: bytes
    entry: bytes
    staff: bytes
    case: str | None
    tag: bytes | None
    reader: bytes | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class LeafColumns:
    """A batch of looks to append, column by column, all of one length; the database makes their leaves.

    :param use: 16 bytes each, the random name of the use.
    :param at: with a time zone, whole seconds.
    """

    use: list[bytes]
    entry: list[bytes]
    staff: list[bytes]
    case: list[str | None]
    tag: list[bytes | None]
    reader: list[bytes]
    at: list[datetime]


@dataclass(frozen=True, slots=True)
class Claims:
    """What must hold for a batch to be appended.

    :param proved: (case, subject) pairs, each of which an identity decision must have joined.
    :param marks: the mark of each look's subject; None while no honey record is known of.
    :param heard: the honey records in it have rung already.
    """

    proved: Collection[tuple[str, str]] = ()
    marks: list[bytes | None] | None = None
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of a batch: the index of its first leaf, or why nothing was appended.

    :param why: ``unproved``, ``unmarked`` (there are honey records: give the marks) or ``honey``.
    :param hits: positions of the looks at honey records, from 0.
    """

    first: int
    why: str | None = None
    hits: tuple[int, ...] = ()


def append(ask: Ask, batch: LeafColumns, claims: Claims) -> Appended:
    """Append a batch, all or none; the database itself computes the edge under the log's lock.

    :param ask: :meth:`vault.storage.database.Database.ask`, whose statement is its own transaction, or
        :func:`vault.storage.database.asking` inside one.
    :raises TamperedError: the edge is missing, malformed, or behind the leaves.
    """
    pairs = list(claims.proved)
    given = (batch.use, batch.entry, batch.staff, batch.case, batch.tag, batch.reader, batch.at)
    columns: tuple[object, ...] = given
    proved = ([case for case, _ in pairs], [subject for _, subject in pairs])
    query: LiteralString = _APPEND
    if len(batch.use) == 1:
        query = _APPEND_ONE
        columns = tuple(column[0] for column in given)
    try:
        ((first, why, hits),) = ask(query, (*columns, *proved, claims.marks, claims.heard), binary=True)
    except _WRONG_EDGE:
        raise _edge_wrong() from None
    return Appended(-1 if first is None else int(first), why, tuple(position - 1 for position in hits or ()))


def close_day(connection: Connection, leaf: bytes) -> int:
    """Append a day's leaf inside the caller's transaction; return its index.

    :raises TamperedError: the edge is missing, malformed, or behind the leaves.
    """
    try:
        row = connection.execute("select log_close(%s)", (leaf,)).fetchone()
    except _WRONG_EDGE:
        raise _edge_wrong() from None
    return int(row[0]) if row else -1


def lock_publishing(connection: Connection) -> None:
    """Keep other publishers away until the transaction ends.

    :raises ConflictError: another one is at work.
    """
    row = connection.execute("select pg_try_advisory_xact_lock(%s)", (_PUBLISH_LOCK,)).fetchone()
    if row is None or row[0] is not True:
        raise ConflictError("log_publishing", "another process publishes the log now; the step runs again")


def freeze(connection: Connection) -> None:
    """Show this transaction one moment of the database; call it first in a block that only reads."""
    connection.execute("set transaction isolation level repeatable read read only")


def edges(connection: Connection) -> list[tuple[bool, int, bytes]]:
    """Return the edge's rows, whatever they are; a sound table holds exactly one, marked true."""
    rows = connection.execute("select one, size, hashes from log_edge limit 2").fetchall()
    return [(bool(row[0]), int(row[1]), bytes(row[2])) for row in rows]


def leaves(connection: Connection, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and leaf from ``start``, before ``end``, in order, a few hundred at a time."""
    with closing(connection.cursor("log_leaf_bytes")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute("select idx, leaf from log_leaves where idx >= %s and idx < %s order by idx", (start, end))
        for index, leaf in cursor:
            yield int(index), leaf


def rows(connection: Connection) -> Iterator[LeafRow]:
    """Yield every row in order, a few hundred at a time."""
    yield from _rows(connection, "", ())


def tagged(connection: Connection, tag: bytes) -> Iterator[LeafRow]:
    """Yield the rows of one tag in order."""
    yield from _rows(connection, "where tag = %s", (tag,))


def of_case(connection: Connection, case: str) -> Iterator[LeafRow]:
    """Yield the rows of one case in order."""
    yield from _rows(connection, "where case_ref = %s", (case,))


def between(connection: Connection, start: datetime, end: datetime, tag: bytes | None = None) -> Iterator[LeafRow]:
    """Yield the rows of the looks from ``start``, before ``end``, in order; of one tag or of all."""
    if tag is None:
        yield from _rows(connection, "where at >= %s and at < %s", (start, end))
    else:
        yield from _rows(connection, "where tag = %s and at >= %s and at < %s", (tag, start, end))


def last_checkpoint(connection: Connection) -> tuple[int, str] | None:
    """Return the largest checkpoint's size and note."""
    row = connection.execute("select size, note from log_checkpoints order by size desc limit 1").fetchone()
    return (int(row[0]), str(row[1])) if row else None


def checkpoints(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield every checkpoint's size and note, the smallest first."""
    with closing(connection.cursor("log_checkpoints")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute("select size, note from log_checkpoints order by size")
        for row in cursor:
            yield int(row[0]), str(row[1])


def add_checkpoint(connection: Connection, size: int, note: str) -> None:
    """Store a checkpoint; one that stands there already stays.

    :raises ConflictError: another note stands under that size.
    """
    connection.execute(
        "insert into log_checkpoints (size, note) values (%s, %s) on conflict do nothing",
        (size, note),
    )
    row = connection.execute("select note from log_checkpoints where size = %s", (size,)).fetchone()
    if row is None or row[0] != note:
        raise ConflictError("checkpoint_differs", "another checkpoint of this size is stored; run dsr log verify")


def cosigned(connection: Connection, size: int) -> str | None:
    """Return the checkpoint of a size with its witnesses' cosignatures, where there are any."""
    row = connection.execute("select cosigned from log_checkpoints where size = %s", (size,)).fetchone()
    return str(row[0]) if row and row[0] is not None else None


def keep_cosigned(connection: Connection, size: int, note: str) -> None:
    """Store a checkpoint with its witnesses' cosignatures beside the log's own note."""
    connection.execute("update log_checkpoints set cosigned = %s where size = %s", (note, size))


def _rows(connection: Connection, where: LiteralString, values: tuple[object, ...]) -> Iterator[LeafRow]:
    with closing(connection.cursor("log_leaves")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(f"select {_COLUMNS} from log_leaves {where} order by idx", values)  # noqa: S608 - our own words
        for index, leaf, entry, staff, case, tag, reader, at in cursor:
            yield LeafRow(int(index), bytes(leaf), bytes(entry), bytes(staff), case, _bytes(tag), _bytes(reader), at)


def _bytes(value: object) -> bytes | None:
    return None if value is None else bytes(value)  # type: ignore[call-overload]  # a bytea's buffer


def _edge_wrong() -> TamperedError:
    return TamperedError("log_edge_wrong", "the log's edge does not fit its leaves; run dsr log verify")
