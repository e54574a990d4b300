"""Checks a published log from outside, with public keys alone: leaves, tiles, checkpoints, closed days, witnesses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from vault.accesslog.cosign import WitnessKey, verify_cosignature
from vault.accesslog.daycheck import DayCheck
from vault.accesslog.leaves import Day, read_leaf
from vault.accesslog.merkle import HASH_BYTES, RightEdge, leaf_hash
from vault.accesslog.notes import LONGEST_NOTE, Checkpoint, Keys, Note, open_checkpoint, parse_note, root_text
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
    :param days: how many closed days were recomputed and agree; ``complete_to`` is the newest.
    :param cosigned: each witness that was asked for and cosigned, and when.
    """

    size: int = 0
    root: bytes = b""
    faults: list[tuple[str, str]] = field(default_factory=list)
    more: int = 0
    days: int = 0
    complete_to: date | None = None
    cosigned: dict[str, datetime] = field(default_factory=dict)

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

    def also(self) -> dict[str, Any]:
        """Write what was proved besides: closed days, once there are some, and the witnesses that were asked for."""
        told: dict[str, Any] = {}
        if self.complete_to:
            told |= {"days": self.days, "complete_to": self.complete_to.isoformat()}
        if self.cosigned:
            told["cosigned"] = {name: time.astimezone(UTC).isoformat() for name, time in self.cosigned.items()}
        return told


@dataclass(frozen=True, slots=True)
class Wanted:
    """What else a checkpoint must show.

    :param witnesses: each of them must have cosigned the newest checkpoint.
    :param since: not before this time, so that an older checkpoint that was put back is found.
    """

    witnesses: Sequence[WitnessKey] = ()
    since: datetime | None = None


def verify_published(source: Source, keys: Keys, wanted: Wanted | None = None) -> Verdict:
    """Recompute a published log from its leaves and compare it with its tiles, checkpoints, days and witnesses.

    :param keys: the log's public keys.
    :raises OutOfReachError: the source does not answer.
    """
    verdict, edge = Verdict(root=RightEdge().root()), RightEdge()
    try:
        note = source.fetch(CHECKPOINT, LONGEST_NOTE)
        newest = open_checkpoint(note, keys)
    except RefusedError as error:
        verdict.blame(error.code, CHECKPOINT)
        return verdict
    check_witnesses(parse_note(note), wanted or Wanted(), verdict, CHECKPOINT)
    history = _History(source, keys, verdict)
    try:
        _recount(source, newest, edge, history, verdict)
    except RefusedError as error:
        verdict.blame(error.code, f"leaf {edge.size}")
    history.finish()
    verdict.size, verdict.root = edge.size, edge.root()
    if (newest.size, newest.root) != (verdict.size, verdict.root):
        verdict.blame("root_differs", CHECKPOINT)
    return verdict


def check_witnesses(note: Note, wanted: Wanted, verdict: Verdict, place: str) -> None:
    """Blame each witness that did not cosign a checkpoint, or not lately enough."""
    for witness in wanted.witnesses:
        try:
            verdict.cosigned[witness.name] = time = verify_cosignature(note, witness)
        except RefusedError as error:
            verdict.blame(error.code, f"{place} {witness.name}")
            continue
        if wanted.since and time < wanted.since:
            verdict.blame("cosigned_long_ago", f"{place} {witness.name}")


class LeafCheck:
    """Reads each leaf as the tree passes it, and recomputes the days that it closes; both ways of verifying use it.

    :ivar days: what the leaves so far come to.
    """

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self.days = DayCheck()

    def take(self, leaf: bytes, hashed: bytes, place: str) -> Day | None:
        """Check the next leaf; give it when it closes a day.

        :param hashed: the leaf's hash.
        :param place: where it stands, for faults.
        :raises LimitError: it can't be the log of one house.
        """
        try:
            read = read_leaf(leaf)
        except RefusedError as error:
            self._verdict.blame(error.code, place)
            self.days.look(None, hashed)
            return None
        if not isinstance(read, Day):
            self.days.look(read.tag, hashed)
            return None
        fault = self.days.close(read, hashed)
        if fault:
            self._verdict.blame(fault, place)
        self._verdict.days, self._verdict.complete_to = self.days.checked, self.days.last
        return read


class _History:
    """The earlier checkpoints that the source shows, compared as the tree passes their sizes."""

    def __init__(self, source: Source, keys: Keys, verdict: Verdict) -> None:
        self._source, self._keys, self._verdict = source, keys, verdict
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
                found = open_checkpoint(self._source.fetch(name, LONGEST_NOTE), self._keys)
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

    writer, check = TileWriter(compare, lambda *_: None), LeafCheck(verdict)
    history.passes(edge)
    for leaf in _leaves(source, newest.size):
        hashed = leaf_hash(leaf)
        check.take(leaf, hashed, f"leaf {edge.size}")
        edge.add(hashed)
        writer.add(leaf, hashed)
        history.passes(edge)
    writer.finish()


def _leaves(source: Source, size: int) -> Iterator[bytes]:
    for index in range(-(-size // WIDTH)):
        yield from fetch_bundle(source.fetch, index, min(WIDTH, size - index * WIDTH))
