"""Tiles of the log's trees, blind: a full tile of the log never changes, a tile of the map is replaced each day.

Beside the published copy they let proofs be drawn from the database without reading the leaves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from vault.errors import TamperedError
from vault.storage.database import Connection

LOG: Final = "log"
MAP: Final = "map"
_KEYED: LiteralString = (
    "from unnest(%b::integer[], %b::bigint[], %b::bytea[], %b::bytea[]) as given (level, idx, hashes, first)"
)
_ADD: LiteralString = (
    f"insert into log_tiles (tree, level, idx, hashes, first) select %b, level, idx, hashes, first {_KEYED}"
    " order by level, idx"  # two writers wait for each other in one order
)


@dataclass(frozen=True, slots=True)
class TileRow:
    """One tile.

    :param level: of tiles, from 0; ``index`` counts within it.
    :param hashes: 32 bytes each, up to 256.
    :param first: the first tag under it; in the map alone.
    """

    level: int
    index: int
    hashes: bytes
    first: bytes | None = None


def put_tiles(connection: Connection, tree: str, rows: Sequence[TileRow]) -> None:
    """Store tiles; the same again is no fault.

    :param tree: :data:`LOG`, whose full tiles alone are stored and never change, or :data:`MAP`.
    :raises TamperedError: another tile of the log stands there.
    """
    values = (
        [row.level for row in rows],
        [row.index for row in rows],
        [row.hashes for row in rows],
        [row.first for row in rows],
    )
    if tree == MAP:
        change = " on conflict (tree, level, idx) do update set hashes = excluded.hashes, first = excluded.first"
        connection.execute(_ADD + change, (tree, *values))
        return
    connection.execute(_ADD + " on conflict (tree, level, idx) do nothing", (tree, *values))
    other = f"select 1 {_KEYED} join log_tiles t using (level, idx) where t.tree = %b and t.hashes <> given.hashes"
    if connection.execute(other, (*values, tree)).fetchone():
        raise TamperedError("stored_tile_differs", "a stored tile of the log is another one; run dsr log verify")


def get_tiles(connection: Connection, tree: str, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Return the hashes of those tiles that stand there, by level and index."""
    levels, indexes = [level for level, _ in wanted], [index for _, index in wanted]
    found = connection.execute(
        "select level, idx, hashes from log_tiles join unnest(%b::integer[], %b::bigint[]) as given (level, idx)"
        " using (level, idx) where tree = %b",
        (levels, indexes, tree),
        binary=True,
    )
    return {(int(level), int(index)): bytes(hashes) for level, index, hashes in found}


def count_tiles(connection: Connection, tree: str, level: int, below: int) -> int:
    """Count a level's stored tiles among the first ``below``."""
    row = connection.execute(
        "select count(*) from log_tiles where tree = %s and level = %s and idx < %s", (tree, level, below)
    ).fetchone()
    return int(row[0]) if row else 0
