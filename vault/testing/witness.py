"""A log that closes its days, and a witness of it, to test with: no database, no server, a clock that stands still."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from vault.accesslog.leaves import Day, Leaf, parse_day, parse_leaf, render_day, render_leaf
from vault.accesslog.merkle import RightEdge, consistency_proof, leaf_hash
from vault.accesslog.notes import Checkpoint, VerifierKey, render_vkeys
from vault.accesslog.publish import log_key, sign_checkpoint
from vault.accesslog.tiles import subtree_root
from vault.accesslog.witness.keys import WitnessPlace, init
from vault.accesslog.witness.protocol import AddCheckpoint, render_request
from vault.accesslog.witness.service import WitnessService
from vault.crypto.keyservice import KeyService
from vault.errors import KeyMissingError, LimitError
from vault.testing.accesslog import ORIGIN, MemoryShelf, publish_leaves
from vault.testing.keyservice import memory_service

NAME = "dpo.example/witness"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_FIRST = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def days_of_looks(days: int, looks: int, subjects: int) -> list[bytes]:
    """Make the leaves of some days: looks at some subjects, now and then at none, and a leaf that closes each day."""
    leaves: list[bytes] = []
    for day in range(days):
        for number in range(looks):
            leaves.append(_look(_FIRST + timedelta(days=day, seconds=number), len(leaves), subjects))
        leaves.append(close_day(leaves, (_FIRST + timedelta(days=day)).date()))
    return leaves


def close_day(leaves: Sequence[bytes], day: date, size: int | None = None) -> bytes:
    """Make the leaf that closes a day over the first leaves, by another way than the product's."""
    size = len(leaves) if size is None else size
    found: dict[bytes, list[bytes]] = {}
    for leaf in leaves[:size]:
        if parse_day(leaf) is None and (tag := parse_leaf(leaf).tag):
            found.setdefault(tag, []).append(leaf_hash(leaf))
    tree = RightEdge()
    for tag, hashes in sorted(found.items()):
        tree.add(leaf_hash(tag + len(hashes).to_bytes(8, "big") + hashes[-1]))
    return render_day(Day(day, tree.root(), size, len(found)))


def _look(time: datetime, number: int, subjects: int) -> bytes:
    about = number % (subjects + 1)
    tag = sha256(b"%d" % about).digest()[:16] if about else None
    return render_leaf(Leaf(time, None, tag, leaf_hash(b"%d" % number), leaf_hash(b"staff"), bytes(16)))


@dataclass(slots=True)
class ShelfSource:
    """A bucket in memory as a source; ``hidden`` names are missing, as where a copy is behind."""

    shelf: MemoryShelf
    hidden: set[str] = field(default_factory=set)

    def fetch(self, name: str, limit: int) -> bytes:
        """Give a resource."""
        if name in self.hidden:
            raise KeyMissingError("log_resource_missing", "not copied yet")
        data = self.shelf.get_locked(name)
        if len(data) > limit:
            raise LimitError("log_resource_large", "too large")
        return data

    def history(self) -> Iterator[str]:
        """Yield nothing."""
        yield from ()


@dataclass(frozen=True, slots=True)
class SignedLog:
    """A published log whose every size can be asked about."""

    leaves: list[bytes]
    service: KeyService = field(default_factory=memory_service)
    shelf: MemoryShelf = field(default_factory=MemoryShelf)

    @property
    def key(self) -> VerifierKey:
        """The log's public key."""
        return log_key(self.service, ORIGIN)

    def root(self, size: int) -> bytes:
        """Give the root over the first leaves."""
        tree = RightEdge()
        for leaf in self.leaves[:size]:
            tree.add(leaf_hash(leaf))
        return tree.root()

    def publish(self, *sizes: int) -> None:
        """Publish tiles and checkpoints of these sizes."""
        publish_leaves(self.shelf, self.leaves, self.service, *sizes)

    def note(self, size: int, root: bytes | None = None) -> bytes:
        """Sign a checkpoint."""
        return sign_checkpoint(Checkpoint(ORIGIN, size, self.root(size) if root is None else root), self.service)

    def prove(self, old: int, size: int) -> list[bytes]:
        """Prove that one tree continues the other."""
        return consistency_proof(old, size, self._node)

    def request(self, old: int, size: int) -> bytes:
        """Publish a size and write the request that an honest log sends then."""
        self.publish(size)
        return render_request(AddCheckpoint(old, tuple(self.prove(old, size)), self.note(size)))

    def _node(self, level: int, index: int) -> bytes:
        return subtree_root([leaf_hash(leaf) for leaf in self.leaves[index << level : index + 1 << level]])


def witness_of(log: SignedLog, directory: Path, *, seconds: float = 60.0) -> WitnessService:
    """Open the witness of a log that stands in a directory; make it where there is none."""
    place = WitnessPlace(directory)
    init(directory, NAME, render_vkeys([log.key]))
    state, signer = place.open()
    return WitnessService(state, signer, place.log_keys(), ShelfSource(log.shelf), lambda: NOW, seconds)
