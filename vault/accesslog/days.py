"""Closing days: once a Helsinki day has ended, one leaf commits to how often every subject stands in the log.

All of it is one transaction: leaf, place and map stand together or not at all. A day on which nobody ran
is covered by the next leaf, which counts everything before itself.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from vault.accesslog.completeness import map_line, map_root
from vault.accesslog.leaves import Day, render_day
from vault.accesslog.merkle import leaf_hash
from vault.accesslog.tiles import HEIGHT, WIDTH
from vault.domain.calendar import HELSINKI
from vault.errors import TamperedError
from vault.storage import days as table
from vault.storage import log as leaves
from vault.storage.database import Connection, Database
from vault.storage.tiles import MAP, TileRow, put_tiles

_TILES_AT_ONCE = 64


def close_days(database: Database, now: datetime) -> date | None:
    """Close the newest Helsinki day that has ended, if it is not closed yet; give it.

    :param now: the present time, with a time zone.
    :raises TamperedError: the log's edge is missing or does not fit, or a leaf is gone or has another tag.
    """
    with database.connect() as connection:
        day = _due(connection, now)
        if day is None:
            return None
        table.lock_closing(connection)
        if _due(connection, now) != day:  # another keeper was first
            return None
        _close(connection, day)
    return day


def _due(connection: Connection, now: datetime) -> date | None:
    ended = now.astimezone(HELSINKI).date() - timedelta(days=1)
    last = table.last_day(connection)
    if last is not None:
        return ended if last.day < ended else None
    first = table.first_look(connection)
    return ended if first is not None and first.astimezone(HELSINKI).date() <= ended else None


def _close(connection: Connection, day: date) -> None:
    rows = leaves.edges(connection)
    if len(rows) != 1:
        raise TamperedError("log_edge_wrong", "the log's edge is missing; run dsr log verify")
    size = rows[0][1]
    if table.unsound(connection, size):  # what a day's leaf says wrongly it says for good
        raise TamperedError(
            "column_differs", "a stored leaf is gone or has another tag; nothing was closed, run dsr log verify"
        )
    tiles = _Tiles(connection)
    root = map_root(tiles.lines(size), tiles.seen)
    tiles.finish()
    leaf = render_day(Day(day, root, size, tiles.tags))
    table.add_day(connection, day, leaves.close_day(connection, leaf), size)


class _Tiles:
    """Cuts the map, as its root is computed, into the tiles that proofs are drawn from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._firsts: list[bytes] = []  # the first tag of each tile of the lowest level
        self._levels: list[list[bytes]] = []
        self._counts: list[int] = []  # full tiles of each level
        self._ready: list[TileRow] = []
        self.tags = 0

    def lines(self, size: int) -> Iterator[bytes]:
        """Yield the map's lines over the first leaves of the log."""
        for found in table.counts(self._connection, size):
            if self.tags % WIDTH == 0:
                self._firsts.append(found.tag)
            self.tags += 1
            yield map_line(found.tag, found.count, leaf_hash(found.leaf))

    def seen(self, level: int, _: int, hashed: bytes) -> None:
        """Keep the nodes that tiles hold."""
        tiled, between = divmod(level, HEIGHT)
        if between:
            return
        if tiled == len(self._levels):
            self._levels.append([])
            self._counts.append(0)
        self._levels[tiled].append(hashed)
        if len(self._levels[tiled]) == WIDTH:
            self._put(tiled)

    def finish(self) -> None:
        """Store the tiles that the map ends with."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._put(level)
        put_tiles(self._connection, MAP, self._ready)

    def _put(self, level: int) -> None:
        index = self._counts[level]
        first = self._firsts[index << HEIGHT * level]
        self._ready.append(TileRow(level, index, b"".join(self._levels[level]), first))
        self._levels[level], self._counts[level] = [], index + 1
        if len(self._ready) == _TILES_AT_ONCE:
            put_tiles(self._connection, MAP, self._ready)
            self._ready = []
