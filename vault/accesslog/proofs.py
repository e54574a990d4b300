"""Proofs out of stored tiles: a few hundred hashes are read for one, whatever the size of the log.

What no tile covers yet is recomputed from the leaves, so that a missing tile costs time and nothing else.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from vault.accesslog.merkle import HASH_BYTES, RightEdge, inclusion_proof, leaf_hash, perfect
from vault.accesslog.notes import parse_checkpoint, parse_note
from vault.accesslog.tiles import HEIGHT, WIDTH, subtree_root
from vault.errors import TamperedError
from vault.storage import log as table
from vault.storage.database import Connection
from vault.storage.tiles import LOG, MAP, get_tiles


@dataclass(frozen=True, slots=True)
class Proof:
    """That the leaf at ``index`` stands in the tree of ``size`` leaves with this root (RFC 6962 section 2.1.1)."""

    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Heads:
    """Two moments of the log: its newest checkpoint, if any, with cosignatures, and how many leaves it holds."""

    size: int
    checkpoint_size: int
    checkpoint: str | None

    def covering(self, index: int) -> int:
        """Give the size to prove an entry against: the checkpoint's, else the present one."""
        return self.checkpoint_size if index < self.checkpoint_size else self.size


def heads(connection: Connection) -> Heads:
    """Read both moments.

    :raises TamperedError: the edge is missing.
    """
    edges = table.edges(connection)
    if len(edges) != 1:
        raise TamperedError("log_edge_wrong", "the log's edge is missing; run dsr log verify")
    size, note = table.last_checkpoint(connection) or (0, None)
    return Heads(edges[0][1], size, table.cosigned(connection, size) or note)


def prove(connection: Connection, indexes: Iterable[int], against: Heads) -> list[Proof]:
    """Prove entries, in the order given, in memory for the proofs alone.

    :param against: the heads that were read in the same transaction.
    :raises RefusedError: the log has no such entry.
    :raises TamperedError: a leaf is missing, or the leaves no longer give the checkpoint's root.
    """
    wanted = [(index, against.covering(index)) for index in indexes]
    roots: dict[int, bytes] = {}
    paths: dict[tuple[int, int], tuple[bytes, ...]] = {}
    known = Known()
    for size in {size for _, size in wanted}:
        tree = StoredTree(connection, LOG, size, known)
        some = [index for index, at in wanted if at == size]
        paths |= {(index, size): path for index, path in zip(some, tree.paths(some), strict=True)}
        roots[size] = tree.root()
    _check_root(roots, against)
    return [Proof(index, size, roots[size], paths[index, size]) for index, size in wanted]


@dataclass(slots=True)
class Known:
    """What was read for one size of a tree and serves the others: full tiles, and the roots over them."""

    tiles: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)
    roots: dict[tuple[int, int], bytes] = field(default_factory=dict)


class StoredTree:
    """Gives paths in the log's tree or the newest map's, of one size, from the tiles that the database holds.

    :param tree: :data:`vault.storage.tiles.LOG` or :data:`vault.storage.tiles.MAP`.
    :param size: of the tree.
    :param known: shared by the trees of several sizes.
    """

    def __init__(self, connection: Connection, tree: str, size: int, known: Known | None = None) -> None:
        self._connection = connection
        self._tree = tree
        self._size = size
        self._known = known or Known()
        self._partial: dict[tuple[int, int], list[bytes]] = {}  # what this size alone has

    def paths(self, indexes: Collection[int]) -> list[tuple[bytes, ...]]:
        """Give the inclusion path of each leaf.

        :raises RefusedError: the tree has no such leaf.
        """
        needed = set(perfect(0, self._size))  # for the root

        def note(level: int, index: int) -> bytes:
            needed.add((level, index))
            return bytes(HASH_BYTES)

        for index in indexes:
            inclusion_proof(index, self._size, note)
        self._fetch({self._place(*node) for node in needed})
        return [tuple(inclusion_proof(index, self._size, self._node)) for index in indexes]

    def root(self) -> bytes:
        """Give the tree's root."""
        return RightEdge.of(self._size, self._node).root()

    def _node(self, level: int, index: int) -> bytes:
        height = level % HEIGHT
        start = (index << height) % WIDTH
        return subtree_root(self._hashes(*self._place(level, index))[start : start + (1 << height)])

    def _place(self, level: int, index: int) -> tuple[int, int]:
        tiled, height = divmod(level, HEIGHT)
        return tiled, (index << height) // WIDTH

    def _width(self, level: int, index: int) -> int:
        return min(WIDTH, (self._size >> HEIGHT * level) - index * WIDTH)

    def _fetch(self, places: Collection[tuple[int, int]]) -> None:
        """Read together the tiles that are stored, and those below that the last, partial ones are made of."""
        below = {
            (level - 1, index * WIDTH + at)
            for level, index in places
            if level and self._tree == LOG and self._width(level, index) < WIDTH
            for at in range(self._width(level, index))
        }
        wanted = {*places, *below} - self._known.tiles.keys()
        for place, packed in get_tiles(self._connection, self._tree, wanted).items():
            width = self._width(*place)
            if len(packed) == width * HASH_BYTES:
                hashes = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]
                self._kept(width)[place] = hashes

    def _kept(self, width: int) -> dict[tuple[int, int], list[bytes]]:
        return self._known.tiles if width == WIDTH else self._partial

    def _hashes(self, level: int, index: int) -> list[bytes]:
        kept = self._kept(self._width(level, index))
        found = kept.get((level, index))
        if found is None:
            found = kept[level, index] = self._recomputed(level, index)
        return found

    def _root_of(self, level: int, index: int) -> bytes:
        """Give the root over a full tile."""
        found = self._known.roots.get((level, index))
        if found is None:
            found = self._known.roots[level, index] = subtree_root(self._hashes(level, index))
        return found

    def _recomputed(self, level: int, index: int) -> list[bytes]:
        width = self._width(level, index)
        if self._tree == MAP:
            raise TamperedError("map_missing", "the last closed day's map is not whole; run dsr log verify")
        if level:
            return [self._root_of(level - 1, index * WIDTH + at) for at in range(width)]
        start = index * WIDTH
        found = list(table.leaves(self._connection, start, start + width))
        if [at for at, _ in found] != list(range(start, start + width)):
            raise TamperedError("leaf_missing", "a leaf is missing from the log; run dsr log verify")
        return [leaf_hash(leaf) for _, leaf in found]


def _check_root(roots: dict[int, bytes], against: Heads) -> None:
    if against.checkpoint is None or against.checkpoint_size not in roots:
        return
    signed = parse_checkpoint(parse_note(against.checkpoint.encode()).text)
    if (signed.size, signed.root) != (against.checkpoint_size, roots[against.checkpoint_size]):
        raise TamperedError("root_differs", "the log no longer gives its checkpoint's root; run dsr log verify")
