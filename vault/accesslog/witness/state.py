"""What a witness remembers, in one SQLite file: the tree it cosigned last, and what it has read of the log so far.

The first decides what may be cosigned and only ever grows; the second can be forgotten and read again.
Every change is on the disk before its transaction ends, and there is one transaction at a time, whoever
has opened the file.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from vault.accesslog.merkle import EMPTY_ROOT, RightEdge
from vault.accesslog.witness.protocol import Head
from vault.errors import KeyMissingError, OutOfReachError, RefusedError, TamperedError, WrongUseError

BUSY_SECONDS: Final = 10.0
MOST_REFUSED: Final = 100  # checkpoints kept as evidence, the first ones
_SCHEMA = """
create table witness (
  one integer primary key check (one = 1), origin text not null, vkey text not null,
  size integer not null, root blob not null, at integer) strict;
create table reading (
  one integer primary key check (one = 1), size integer not null, edge blob not null,
  closed integer not null, day text) strict;
create table tags (tag blob primary key, count integer not null, last blob not null) strict, without rowid;
create table looks (idx integer primary key, tag blob not null, hash blob not null) strict;
create table refused (digest blob primary key, at integer not null, code text not null, note text not null) strict;
"""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was cosigned last, and when (UTC); None before the first cosignature.

    :param origin: the log's; ``vkey`` is the witness's own, which the state belongs to.
    """

    origin: str
    vkey: str
    head: Head
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """How far the log has been read.

    :param size: leaves read; ``edge`` their right edge as :meth:`vault.accesslog.merkle.RightEdge.packed` writes it.
    :param closed: how many leaves the last closed day covers: those are counted into their tags.
    :param day: the last closed day.
    """

    size: int = 0
    edge: bytes = b""
    closed: int = 0
    day: date | None = None

    def tree(self) -> RightEdge:
        """Give the tree of what was read."""
        return RightEdge.parse(self.size, self.edge)


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint that the log signed and this witness did not: when, why, and its note."""

    at: datetime
    code: str
    note: str


def create_state(path: Path, origin: str, vkey: str) -> None:
    """Make the state of a witness that has cosigned nothing yet, whole or not at all.

    :param path: where no file stands.
    :raises OSError: the directory can't be written.
    """
    draft = path.with_name(f".{path.name}.new")
    for left in (draft, draft.with_name(f"{draft.name}-journal")):
        left.unlink(missing_ok=True)
    draft.touch(0o600)
    with contextlib.closing(_connect(draft)) as connection:
        connection.executescript(f"begin; {_SCHEMA} commit;")
        connection.execute("insert into witness values (1, ?, ?, 0, ?, null)", (origin, vkey, EMPTY_ROOT))
        connection.execute("insert into reading values (1, 0, x'', 0, null)")
    draft.rename(path)


class State:
    """The state file.

    :raises WrongUseError: there is none; it is never made on the way.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            advice = "the witness's state is missing; if it was lost, make a new witness with a new name and key"
            raise WrongUseError("witness_state_missing", advice)
        self._path = path

    @contextlib.contextmanager
    def change(self) -> Iterator["Memory"]:
        """Be the only one at the state while inside; leaving it without an error makes every change durable.

        :raises OutOfReachError: somebody else is at it for too long, or the disk fails.
        :raises TamperedError: the file is damaged.
        """
        try:
            with contextlib.closing(_connect(self._path)) as connection:
                connection.execute("begin immediate")
                try:
                    yield Memory(connection)
                except BaseException:
                    connection.execute("rollback")
                    raise
                connection.execute("commit")
        except sqlite3.OperationalError:
            raise OutOfReachError("witness_busy", "the witness's state can't be reached now; try again") from None
        except sqlite3.DatabaseError:
            advice = "the witness's state is damaged; make a new witness with a new name and key"
            raise TamperedError("witness_state_damaged", advice) from None


class Memory:
    """The state within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._run_all = connection.executemany

    def remembered(self) -> Remembered:
        """Tell what was cosigned last."""
        origin, vkey, size, root, at = self._one("select origin, vkey, size, root, at from witness")
        return Remembered(origin, vkey, Head(size, root), None if at is None else datetime.fromtimestamp(at, UTC))

    def bind(self, vkey: str) -> None:
        """Give the state to another key; only as long as nothing was cosigned.

        :raises WrongUseError: something was.
        """
        if not self._run("update witness set vkey = ? where at is null", (vkey,)).rowcount:
            raise WrongUseError("witness_key_lost", "the witness's key is lost; make a new witness with a new name")

    def cosign(self, head: Head, at: datetime) -> None:
        """Remember what is about to be cosigned."""
        self._run("update witness set size = ?, root = ?, at = ?", (head.size, head.root, int(at.timestamp())))

    def reading(self) -> ReadSoFar:
        """Tell how far the log has been read."""
        size, edge, closed, day = self._one("select size, edge, closed, day from reading")
        return ReadSoFar(size, edge, closed, None if day is None else date.fromisoformat(day))

    def read(self, reading: ReadSoFar, looks: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Remember more leaves.

        :param looks: index, tag and leaf hash of those that have a tag.
        """
        day = reading.day.isoformat() if reading.day else None
        self._run_all("insert into looks values (?, ?, ?)", looks)
        self._run(
            "update reading set size = ?, edge = ?, closed = ?, day = ?",
            (reading.size, reading.edge, reading.closed, day),
        )

    def close(self, size: int) -> None:
        """Count the leaves before an index into their tags."""
        # SQLite takes the bare column `hash` from the row that max(idx) was found in
        self._run(
            "insert into tags select tag, n, hash from"
            " (select tag, count(*) as n, hash, max(idx) from looks where idx < ? group by tag) where true"
            " on conflict do update set count = count + excluded.count, last = excluded.last",
            (size,),
        )
        self._run("delete from looks where idx < ?", (size,))

    def tags(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Yield every tag in order with its count and its last leaf's hash."""
        yield from self._run("select tag, count, last from tags order by tag")

    @contextlib.contextmanager
    def undoing(self) -> Iterator[None]:
        """Undo what was changed inside when a fault is found inside; what a source lacked or was late with is none."""
        self._run("savepoint inside")
        try:
            yield
        except (KeyMissingError, OutOfReachError):
            raise
        except RefusedError:
            self._run("rollback to inside")
            raise

    def forget(self) -> None:
        """Forget what was read, not what was cosigned."""
        self._run("delete from tags")
        self._run("delete from looks")
        self.read(ReadSoFar(), ())

    def refuse(self, code: str, note: str, at: datetime) -> None:
        """Keep a checkpoint that was refused, as evidence; the same one once, and no more than a hundred."""
        self._run(
            "insert or ignore into refused select ?, ?, ?, ? where (select count(*) from refused) < ?",
            (sha256(note.encode()).digest(), int(at.timestamp()), code, note, MOST_REFUSED),
        )

    def refused(self) -> list[Refused]:
        """Tell the checkpoints that were refused, the first ones first."""
        rows = self._run("select at, code, note from refused order by at, digest")
        return [Refused(datetime.fromtimestamp(at, UTC), code, note) for at, code, note in rows]

    def _one(self, statement: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._run(statement).fetchone()
        if row is None:
            raise sqlite3.DatabaseError
        return row


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.execute(f"pragma busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("pragma synchronous = extra")  # the journal's directory too, before the commit ends
    return connection
