"""Checks a published log from outside, with the log's public key alone: every leaf, every tile, every checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vault.accesslog.leaves import read_leaf
from vault.accesslog.merkle import HASH_BYTES, RightEdge, leaf_hash
from vault.accesslog.notes import LONGEST_NOTE, Checkpoint, VerifierKey, open_checkpoint, root_text
from vault.accesslog.sources import Source
from vault.accesslog.tiles import (
    CHECKPOINT,
    WIDTH,
    TileWriter,
    fetch_bundle,
    fetch_tile,
    history_size,
)
from vault.errors import RefusedError

MOST_FAULTS = 100


@dataclass(slots=True)
class Verdict:
    """What a check found.

    :param size: how many leaves were counted; ``root`` is the hash over them.
    :param faults: code and place of the first hundred; ``more`` counts the rest.
    """

    size: int = 0
    root: bytes = b""
    faults: list[tuple[str, str]] = field(default_factory=list)
    more: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults

    def blame(self, code: str, place: str) -> None:
        """Note a fault."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((code, place))
        else:
            self.more += 1

    def to_json(self) -> dict[str, Any]:
        """Write it as the command line answers."""
        faults: list[dict[str, Any]] = [{"code": code, "at": place} for code, place in self.faults]
        if self.more:
            faults.append({"code": "more_faults", "at": str(self.more)})
        return {"size": self.size, "root": root_text(self.root), "ok": self.ok, "faults": faults}


def verify_published(source: Source, key: VerifierKey) -> Verdict:
    """Recompute a published log from its leaves and compare it with its tiles and checkpoints.

    :raises OutOfReachError: the source does not answer.
    """
    verdict, edge = Verdict(root=RightEdge().root()), RightEdge()
    try:
        newest = open_checkpoint(source.fetch(CHECKPOINT, LONGEST_NOTE), key)
    except RefusedError as error:
        verdict.blame(error.code, CHECKPOINT)
        return verdict
    history = _History(source, key, verdict)
    try:
        _recount(source, newest, edge, history, verdict)
    except RefusedError as error:
        verdict.blame(error.code, f"leaf {edge.size}")
    history.finish()
    verdict.size, verdict.root = edge.size, edge.root()
    if (newest.size, newest.root) != (verdict.size, verdict.root):
        verdict.blame("root_differs", CHECKPOINT)
    return verdict


class _History:
    """The earlier checkpoints that the source shows, compared as the tree passes their sizes."""

    def __init__(self, source: Source, key: VerifierKey, verdict: Verdict) -> None:
        self._source, self._key, self._verdict = source, key, verdict
        self._names = source.history()
        self._name = ""
        self._next: Checkpoint | None = None
        self._advance()

    def passes(self, edge: RightEdge) -> None:
        """Compare the checkpoint of this size, where there is one."""
        if self._next and self._next.size == edge.size:
            if self._next.root != edge.root():
                self._verdict.blame("root_differs", self._name)
            self._advance()

    def finish(self) -> None:
        """Blame the checkpoints that the tree never reached."""
        while self._next:
            self._verdict.blame("checkpoint_beyond", self._name)
            self._advance()

    def _advance(self) -> None:
        self._next = None
        while self._next is None and (name := next(self._names, None)) is not None:
            self._name = name
            try:
                found = open_checkpoint(self._source.fetch(name, LONGEST_NOTE), self._key)
            except RefusedError as error:
                self._verdict.blame(error.code, name)
                continue
            if found.size == history_size(name):
                self._next = found
            else:
                self._verdict.blame("checkpoint_size", name)


def _recount(source: Source, newest: Checkpoint, edge: RightEdge, history: _History, verdict: Verdict) -> None:
    def compare(name: str, data: bytes) -> None:
        try:
            if fetch_tile(source.fetch, name, len(data) // HASH_BYTES) != data:
                verdict.blame("tile_differs", name)
        except RefusedError as error:
            verdict.blame(error.code, name)

    writer = TileWriter(compare, lambda *_: None)
    history.passes(edge)
    for leaf in _leaves(source, newest.size):
        try:
            read_leaf(leaf)
        except RefusedError as error:
            verdict.blame(error.code, f"leaf {edge.size}")
        hashed = leaf_hash(leaf)
        edge.add(hashed)
        writer.add(leaf, hashed)
        history.passes(edge)
    writer.finish()


def _leaves(source: Source, size: int) -> Iterator[bytes]:
    for index in range(-(-size // WIDTH)):
        yield from fetch_bundle(source.fetch, index, min(WIDTH, size - index * WIDTH))
