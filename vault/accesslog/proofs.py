"""Inclusion proofs for many entries at once, in one pass over the leaves that keeps only the nodes it needs."""

from collections.abc import Iterable
from dataclasses import dataclass

from vault.accesslog.merkle import RightEdge, inclusion_proof, leaf_hash
from vault.errors import TamperedError
from vault.storage import log as table
from vault.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Proof:
    """That the leaf at ``index`` stands in the tree of ``size`` leaves with this root (RFC 6962 section 2.1.1)."""

    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Heads:
    """Two moments of the log: its newest checkpoint, if any, and how many leaves it holds now."""

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
    return Heads(edges[0][1], size, note)


def prove(connection: Connection, indexes: Iterable[int], against: Heads) -> list[Proof]:
    """Prove entries, in the order given; one pass over the log, memory for the proofs alone.

    :raises RefusedError: the log has no such entry.
    """
    wanted = [(index, against.covering(index)) for index in indexes]
    needed = _needed(wanted)
    known: dict[tuple[int, int], bytes] = {}

    def keep(level: int, index: int, hashed: bytes) -> None:
        if (level, index) in needed:
            known[level, index] = hashed

    roots: dict[int, bytes] = {}
    edge = RightEdge()
    sizes = {size for _, size in wanted}
    for _, leaf in table.leaves(connection, 0, max(sizes, default=0)):
        edge.add(leaf_hash(leaf), keep)
        if edge.size in sizes:
            roots[edge.size] = edge.root()
    try:
        return [
            Proof(index, size, roots[size], tuple(inclusion_proof(index, size, lambda *at: known[at])))
            for index, size in wanted
        ]
    except KeyError:
        raise TamperedError("leaf_missing", "a leaf is missing from the log; run dsr log verify") from None


def _needed(wanted: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    needed: set[tuple[int, int]] = set()

    def note(level: int, index: int) -> bytes:
        needed.add((level, index))
        return bytes(32)

    for index, size in wanted:
        inclusion_proof(index, size, note)
    return needed
