"""Holds what stands beside the leaves against them: tiles, closed days, claims on published names.

Nobody's proof rests on these tables, but answers are drawn from them: an edited row is found before an
answer is wrong. What is missing because a publisher was killed is no fault; the next one adds it.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from vault.accesslog.daycheck import DayCheck
from vault.accesslog.leaves import Day
from vault.accesslog.tiles import HEIGHT, WIDTH, TileWriter, history_name, parse_tile_name, render_bundle, subtree_root
from vault.accesslog.verify import Verdict
from vault.storage import recount as table
from vault.storage.database import Connection
from vault.storage.tiles import LOG, MAP, TileRow

_LEVELS = 8  # of tiles: a log of 256 ** 8 entries
_TOGETHER = 500  # names compared at a time


class Beside:
    """Follows the leaves, and compares the tables that were made from them.

    :param connection: shows one moment of the database.
    """

    def __init__(self, connection: Connection, verdict: Verdict) -> None:
        self._connection, self._verdict = connection, verdict
        self._writer = TileWriter(self._tile, self._bundle)
        self._tiles = [_Tiles(connection, level) for level in range(_LEVELS)]
        self._days = table.days(connection)
        self._newest = max(self._days, default=-1)
        self._names: dict[str, bytes] = {}
        self._last: dict[int, str] = {}  # each level's last tile, which may be that of several checkpoints
        self._claimed = 0

    def leaf(self, leaf: bytes, hashed: bytes) -> None:
        """Take the next leaf."""
        self._writer.add(leaf, hashed)

    def day(self, day: Day, index: int, check: DayCheck) -> None:
        """Take a leaf that closes a day.

        :param check: has just recomputed it.
        """
        if self._days.pop(index, None) != (day.day, day.size):
            self._verdict.blame("day_row_differs", f"log_days {day.day}")
        if index == self._newest:
            self._map(check)

    def checkpoint(self, size: int, note: bytes) -> None:
        """Take a sound checkpoint of this size: what was published with it may have been claimed."""
        self._writer.finish()
        self._name(history_name(size), note)

    def finish(self) -> None:
        """Compare what is left, and blame what nothing accounts for."""
        self._compare()
        for level in self._tiles:
            for place in level.rest():
                self._verdict.blame("tile_beyond", place)
        for day, _ in self._days.values():
            self._verdict.blame("day_row_differs", f"log_days {day}")
        if self._newest < 0 and next(table.tiles(self._connection, MAP, 0), None):
            self._verdict.blame("map_differs", "log_tiles map")
        if table.strange_tiles(self._connection, _LEVELS):
            self._verdict.blame("tile_beyond", "log_tiles")
        if table.count_claims(self._connection) != self._claimed:
            self._verdict.blame("claim_beyond", "log_claims")

    def _tile(self, name: str, data: bytes) -> None:
        place = parse_tile_name(name)
        if place is not None and place.width == WIDTH and place.level < _LEVELS:
            fault = self._tiles[place.level].compare(place.index, data)
            if fault:
                self._verdict.blame(fault, f"log_tiles log {place.level} {place.index}")
        if place is not None and self._last.get(place.level) != name:
            self._last[place.level] = name
            self._name(name, data)

    def _bundle(self, name: str, leaves: Sequence[bytes]) -> None:
        self._name(name, render_bundle(leaves))

    def _name(self, name: str, data: bytes) -> None:
        self._names[name] = sha256(data).digest()
        if len(self._names) >= _TOGETHER:
            self._compare()

    def _compare(self) -> None:
        found = table.claims(self._connection, self._names)
        for name, digest in found.items():
            if digest != self._names[name]:
                self._verdict.blame("claim_differs", f"log_claims {name}")
        self._claimed += len(found)
        self._names.clear()

    def _map(self, check: DayCheck) -> None:
        stored = [row for level in range(_LEVELS) for row in table.tiles(self._connection, MAP, level)]
        if stored != list(_map_tiles(check)):
            self._verdict.blame("map_differs", "log_tiles map")


class _Tiles:
    """One level's stored tiles, compared in order; those that a killed publisher left out are skipped."""

    def __init__(self, connection: Connection, level: int) -> None:
        self._level = level
        self._rows = table.tiles(connection, LOG, level)
        self._next: TileRow | None = None
        self._begun = False

    def compare(self, index: int, data: bytes) -> str | None:
        """Compare a full tile with its row, if there is one; tell the fault's code."""
        row = self._peek()
        if row is None or row.index > index:
            return None
        self._next = next(self._rows, None)
        return None if row == TileRow(self._level, index, data) else "stored_tile_differs"

    def rest(self) -> Iterator[str]:
        """Yield the places of the tiles that the log has not."""
        while row := self._peek():
            yield f"log_tiles log {self._level} {row.index}"
            self._next = next(self._rows, None)

    def _peek(self) -> TileRow | None:
        if not self._begun:
            self._begun, self._next = True, next(self._rows, None)
        return self._next


def _map_tiles(check: DayCheck) -> Iterator[TileRow]:
    """Cut the map of the day that was just recomputed into tiles, level by level."""
    tags, row, level = check.tags(), check.lines(), 0
    while row:
        above = []
        for index, start in enumerate(range(0, len(row), WIDTH)):
            hashes = row[start : start + WIDTH]
            yield TileRow(level, index, b"".join(hashes), tags[start << HEIGHT * level])
            above += [subtree_root(hashes)] if len(hashes) == WIDTH else []
        row, level = above, level + 1
