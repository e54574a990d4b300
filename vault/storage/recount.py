"""What stands beside the log's leaves, row by row in flat memory, for whoever recomputes it; blind."""

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from vault.storage.database import Connection
from vault.storage.tiles import LOG, MAP, TileRow

_PIECE = 200  # tiles fetched at a time, 8 KB each


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A stored checkpoint: its size, the log's own note, and the note with its witnesses' cosignatures."""

    size: int
    note: str
    cosigned: str | None


def checkpoints(connection: Connection) -> Iterator[CheckpointRow]:
    """Yield every checkpoint, the smallest first."""
    with closing(connection.cursor("recounted_checkpoints")) as cursor:
        cursor.itersize = _PIECE
        for size, note, cosigned in cursor.execute("select size, note, cosigned from log_checkpoints order by size"):
            yield CheckpointRow(int(size), str(note), cosigned)


def tiles(connection: Connection, tree: str, level: int) -> Iterator[TileRow]:
    """Yield one level's tiles of a tree in order."""
    with closing(connection.cursor(f"recounted_{tree}_{level}")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(
            "select idx, hashes, first from log_tiles where tree = %s and level = %s order by idx", (tree, level)
        )
        for index, hashes, first in cursor:
            yield TileRow(level, int(index), bytes(hashes), None if first is None else bytes(first))


def strange_tiles(connection: Connection, levels: int) -> int:
    """Count the tiles of no tree of ours, or of a level that there is not.

    :param levels: how many levels there can be.
    """
    row = connection.execute(
        "select count(*) from log_tiles where tree not in (%s, %s) or level < 0 or level >= %s", (LOG, MAP, levels)
    ).fetchone()
    return int(row[0]) if row else 0


def days(connection: Connection) -> dict[int, tuple[date, int]]:
    """Return day and size of every closed day, by the index of its leaf."""
    return {int(row[1]): (row[0], int(row[2])) for row in connection.execute("select day, idx, size from log_days")}


def claims(connection: Connection, names: Collection[str]) -> dict[str, bytes]:
    """Return the claims on these names that there are."""
    found = connection.execute("select name, digest from log_claims where name = any(%s)", (sorted(names),))
    return {str(name): bytes(digest) for name, digest in found}


def count_claims(connection: Connection) -> int:
    """Count all claims."""
    row = connection.execute("select count(*) from log_claims").fetchone()
    return int(row[0]) if row else 0
