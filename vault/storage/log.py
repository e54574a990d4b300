"""The access log's tables, blind: leaves, the tree's right edge and checkpoints; bytes in, bytes out."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg

from vault.errors import ConflictError, TamperedError
from vault.storage.database import Connection

_APPEND_LOCK = 7042
_PUBLISH_LOCK = 7043
_PIECE = 500  # rows fetched at a time
_ROWS = "select idx, leaf, entry, staff, case_ref, tag from log_leaves order by idx"
_TAGGED = "select idx, leaf, entry, staff, case_ref, tag from log_leaves where tag = %s order by idx"
_OF_CASE = "select idx, leaf, entry, staff, case_ref, tag from log_leaves where case_ref = %s order by idx"
# one round trip: the row lock makes the statement read the newest edge although its snapshot is older than the lock
_LOCKED_EDGE = "select size, hashes from log_edge, pg_advisory_xact_lock(%s) for update of log_edge"
_ADD_ONE = (  # a quarter cheaper for us than arrays of one
    "with moved as (update log_edge set size = %s, hashes = %s) "
    "insert into log_leaves (idx, leaf, entry, staff, case_ref, tag) values (%s, %s, %s, %s, %s, %s)"
)
_ADD = (
    "with moved as (update log_edge set size = %s, hashes = %s) "
    "insert into log_leaves (idx, leaf, entry, staff, case_ref, tag) "
    "select %s + n - 1, leaf, entry, staff, case_ref, tag from "
    "unnest(%b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::bytea[]) "
    "with ordinality as given (leaf, entry, staff, case_ref, tag, n)"
)


@dataclass(frozen=True, slots=True)
class LeafRow:
    """One row of the log: the leaf's bytes, the two envelopes, and the columns that rows are found by."""

    index: int
    leaf: bytes
    entry: bytes
    staff: bytes
    case: str | None
    tag: bytes | None


@dataclass(frozen=True, slots=True)
class LeafColumns:
    """A batch to append, column by column, all of one length."""

    leaf: list[bytes]
    entry: list[bytes]
    staff: list[bytes]
    case: list[str | None]
    tag: list[bytes | None]


def append(connection: Connection, batch: LeafColumns, grow: Callable[[int, bytes], bytes]) -> int:
    """Append a batch and commit: two round trips under the log's lock.

    :param grow: takes the size and the packed edge before, gives the packed edge after the batch.
    :returns: the index of the batch's first leaf.
    :raises TamperedError: the edge is missing, or behind the leaves.
    """
    try:
        with connection.pipeline():
            row = connection.execute(_LOCKED_EDGE, (_APPEND_LOCK,)).fetchone()
            if row is None:
                raise _edge_wrong()
            size = int(row[0])
            moved = size + len(batch.leaf)
            packed = grow(size, row[1])
            columns = (batch.leaf, batch.entry, batch.staff, batch.case, batch.tag)
            if moved == size + 1:
                connection.execute(_ADD_ONE, (moved, packed, size, *(column[0] for column in columns)))
            else:
                connection.execute(_ADD, (moved, packed, size, *columns))
            # not connection.commit(): inside a pipeline it waits for an answer before a large batch is sent, forever
            connection.execute("commit", prepare=False)
    except psycopg.errors.UniqueViolation:
        raise _edge_wrong() from None
    return size


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
    yield from _rows(connection, _ROWS, ())


def tagged(connection: Connection, tag: bytes) -> Iterator[LeafRow]:
    """Yield the rows of one tag in order."""
    yield from _rows(connection, _TAGGED, (tag,))


def of_case(connection: Connection, case: str) -> Iterator[LeafRow]:
    """Yield the rows of one case in order."""
    yield from _rows(connection, _OF_CASE, (case,))


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


def _rows(connection: Connection, query: str, values: tuple[object, ...]) -> Iterator[LeafRow]:
    with closing(connection.cursor("log_leaves")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(query, values)
        for index, leaf, entry, staff, case, tag in cursor:
            yield LeafRow(
                int(index), bytes(leaf), bytes(entry), bytes(staff), case, None if tag is None else bytes(tag)
            )


def _edge_wrong() -> TamperedError:
    return TamperedError("log_edge_wrong", "the log's edge does not fit its leaves; run dsr log verify")
