"""C2SP tlog-tiles: names, contents and the two ways between a tree and its tiles, with flat memory.

A tile holds up to 256 hashes of one level; level L's hashes are the roots of full tiles of level
L - 1. Entry bundles hold the leaves. Names that we put ourselves: ``checkpoint`` (the newest, the
format's own name) and ``checkpoints/000/001/234/067`` (each one, by size, in order).
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vault.accesslog.leaves import LONGEST_LEAF
from vault.accesslog.merkle import HASH_BYTES, node_hash
from vault.errors import KeyMissingError, RefusedError, TamperedError

WIDTH = 256
HEIGHT = 8  # bits; a tile is a perfect subtree of this height
CHECKPOINT = "checkpoint"
HISTORY = "checkpoints/"
LARGEST_BUNDLE = WIDTH * (2 + LONGEST_LEAF)  # bytes
_HISTORY_DIGITS = 12
_HISTORY = re.compile(r"checkpoints/([0-9]{3})/([0-9]{3})/([0-9]{3})/([0-9]{3})")
_TILE = re.compile(r"tile/([0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_CACHED_TILES = 32
_LENGTH_BYTES = 2
_PARTIAL = ".p/"

Fetch: TypeAlias = Callable[[str, int], bytes]  # (name, most bytes) -> contents; KeyMissingError, LimitError
Put: TypeAlias = Callable[[str, bytes], None]


def tile_name(level: int, index: int, width: int = WIDTH) -> str:
    """Name a tile, such as ``tile/0/x001/x234/067`` or, while it grows, ``tile/1/000.p/17``."""
    return f"tile/{level}/{_spread(index)}{_partial(width)}"


@dataclass(frozen=True, slots=True)
class TilePlace:
    """Where a tile stands: its level, its index within it, and how many hashes it holds."""

    level: int
    index: int
    width: int


def parse_tile_name(name: str) -> TilePlace | None:
    """Read a tile's name; the inverse of :func:`tile_name`, None for another name."""
    found = _TILE.fullmatch(name)
    if not found:
        return None
    place = TilePlace(int(found[1]), int(re.sub("[x/]", "", found[2])), int(found[3] or WIDTH))
    spelled = tile_name(place.level, place.index, place.width)
    return place if place.width <= WIDTH and spelled == name else None


def bundle_name(index: int, width: int = WIDTH) -> str:
    """Name an entry bundle, such as ``tile/entries/x001/x234/067``."""
    return f"tile/entries/{_spread(index)}{_partial(width)}"


def history_name(size: int) -> str:
    """Name the checkpoint of one size; names sort as sizes do.

    :raises RefusedError: the log is larger than 10**12 - 1 entries.
    """
    digits = f"{size:0{_HISTORY_DIGITS}d}"
    if len(digits) > _HISTORY_DIGITS:
        raise RefusedError("log_too_large", "the log is full; open a new one with another origin")
    return HISTORY + "/".join(digits[at : at + 3] for at in range(0, _HISTORY_DIGITS, 3))


def history_size(name: str) -> int | None:
    """Read the size out of a checkpoint's name; the inverse of :func:`history_name`, None for another name."""
    found = _HISTORY.fullmatch(name)
    return int("".join(found.groups())) if found else None


def render_bundle(leaves: Sequence[bytes]) -> bytes:
    """Write an entry bundle: each leaf after its length in two bytes, big-endian."""
    return b"".join(len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf for leaf in leaves)


def parse_bundle(data: bytes) -> list[bytes]:
    """Read an entry bundle; the inverse of :func:`render_bundle`.

    :raises TamperedError: it is cut, or holds more than 256 leaves.
    """
    leaves, at = [], 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        leaves.append(data[start:at])
    if at != len(data) or len(leaves) > WIDTH:
        raise TamperedError("bundle_malformed", "an entry bundle is cut or too long; fetch it again from the log")
    return leaves


def fetch_grown(fetch: Fetch, name: str, limit: int) -> bytes:
    """Fetch a resource; where a partial one has gone, the full one that replaced it.

    :raises KeyMissingError: neither is there.
    """
    try:
        return fetch(name, limit)
    except KeyMissingError:
        full, partial, _ = name.partition(_PARTIAL)
        if not partial:
            raise
        return fetch(full, limit)


def fetch_tile(fetch: Fetch, name: str, width: int) -> bytes:
    """Fetch a tile's first ``width`` hashes.

    :raises KeyMissingError: it is missing.
    :raises TamperedError: it has the wrong length.
    """
    data = fetch_grown(fetch, name, WIDTH * HASH_BYTES)
    if len(data) not in {width * HASH_BYTES, WIDTH * HASH_BYTES}:
        raise TamperedError("tile_malformed", "a tile has the wrong length; fetch it again from the log")
    return data[: width * HASH_BYTES]


def fetch_bundle(fetch: Fetch, index: int, width: int) -> list[bytes]:
    """Fetch a bundle's first ``width`` leaves.

    :raises KeyMissingError: it is missing.
    :raises TamperedError: it is malformed or has the wrong number of leaves.
    """
    leaves = parse_bundle(fetch_grown(fetch, bundle_name(index, width), LARGEST_BUNDLE))
    if len(leaves) not in {width, WIDTH}:
        raise TamperedError("bundle_malformed", "an entry bundle is cut or too long; fetch it again from the log")
    return leaves[:width]


class TileReader:
    """Gives the inner nodes of a published tree of one size, a few tiles in memory at a time."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self.size = size
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """Give the root of a perfect subtree (:data:`vault.accesslog.merkle.Node`).

        :raises TamperedError: the tile has another length than the tree's size demands.
        :raises KeyMissingError: the tile is missing.
        """
        tile_level, height = divmod(level, HEIGHT)
        tile, start = divmod(index << height, WIDTH)
        return subtree_root(self.hashes(tile_level, tile)[start : start + (1 << height)])

    def hashes(self, level: int, index: int) -> list[bytes]:
        """Give a tile's hashes, as many as the tree's size demands."""
        found = self._tiles.get((level, index))
        if found is None:
            found = self._tiles[level, index] = self._read(level, index)
            if len(self._tiles) > _CACHED_TILES:
                self._tiles.popitem(last=False)
        return found

    def _read(self, level: int, index: int) -> list[bytes]:
        width = min(WIDTH, (self.size >> HEIGHT * level) - index * WIDTH)
        data = fetch_tile(self._fetch, tile_name(level, index, width), width)
        return [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]


class TileWriter:
    """Cuts a growing tree into tiles and bundles, each handed out once, full ones as soon as they are full.

    :param put: takes a tile's name and bytes.
    :param put_bundle: takes a bundle's name and leaves.
    :param before: the tree that grows, when it is not empty; ``leaves`` are then its last, partial bundle's.
    """

    def __init__(
        self,
        put: Put,
        put_bundle: Callable[[str, list[bytes]], None],
        *,
        before: TileReader | None = None,
        leaves: Sequence[bytes] = (),
    ) -> None:
        self._put = put
        self._put_bundle = put_bundle
        self._leaves = list(leaves)
        self._bundle = before.size // WIDTH if before else 0
        self._levels: list[list[bytes]] = []
        self._tiles: list[int] = []
        while before and (count := before.size >> HEIGHT * len(self._levels)):
            tile, width = divmod(count, WIDTH)
            self._levels.append(list(before.hashes(len(self._levels), tile)) if width else [])
            self._tiles.append(tile)

    def add(self, leaf: bytes, hashed: bytes) -> None:
        """Append one leaf and its hash."""
        self._leaves.append(leaf)
        if len(self._leaves) == WIDTH:
            self._put_bundle(bundle_name(self._bundle), self._leaves)
            self._bundle, self._leaves = self._bundle + 1, []
        level = 0
        while self._fills(level, hashed):
            hashed = subtree_root(self._levels[level])
            self._levels[level] = []
            level += 1

    def finish(self) -> None:
        """Hand out the partial tiles and the partial bundle that the tree ends with."""
        if self._leaves:
            self._put_bundle(bundle_name(self._bundle, len(self._leaves)), self._leaves)
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._put(tile_name(level, self._tiles[level], len(hashes)), b"".join(hashes))

    def _fills(self, level: int, hashed: bytes) -> bool:
        """Append to a level; tell whether that filled a tile, which has then been handed out."""
        if level == len(self._levels):
            self._levels.append([])
            self._tiles.append(0)
        hashes = self._levels[level]
        hashes.append(hashed)
        if len(hashes) < WIDTH:
            return False
        self._put(tile_name(level, self._tiles[level]), b"".join(hashes))
        self._tiles[level] += 1
        return True


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Give the root over a power of two of hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _spread(index: int) -> str:
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03d}")
    return "/".join(reversed(parts))


def _partial(width: int) -> str:
    return "" if width == WIDTH else f"{_PARTIAL}{width}"
