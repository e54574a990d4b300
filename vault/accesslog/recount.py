"""Recomputes the log from the database, row by row in flat memory: every edited cell is found without any key.

Leaf against columns, leaves against the edge, every checkpoint against the tree at its size, and
all of it against what was published where nobody can take it back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.accesslog.entries import SealedAccess, columns_differ
from vault.accesslog.leaves import read_leaf
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import VerifierKey, open_checkpoint, parse_note
from vault.accesslog.publish import Shelf
from vault.accesslog.tiles import CHECKPOINT, HISTORY, history_name
from vault.accesslog.verify import Verdict
from vault.errors import KeyMissingError, RefusedError
from vault.storage import log as table
from vault.storage.database import Connection, Database

_EDGE = "log_edge"
_CHECKPOINTS = "log_checkpoints"
_PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A root that the log signed for a size, where it stands, and the signed note."""

    size: int
    root: bytes
    place: str
    note: bytes


def verify_database(database: Database, key: VerifierKey, shelf: Shelf | None) -> Verdict:
    """Recompute the tree and compare it with everything that claims to know it.

    :param key: the log's public key.
    :param shelf: the log's bucket; None leaves out what was published.
    :raises OutOfReachError: the database or the bucket does not answer.
    """
    verdict = Verdict()
    with database.connect() as connection:
        table.freeze(connection)
        published = _newest(shelf, key, verdict) if shelf else None
        stored = _Stored(connection, key, verdict)
        edge = RightEdge()
        _pass(edge, stored, published, verdict)
        for row in table.rows(connection):
            _check_row(row, edge.size, verdict)
            edge.add(leaf_hash(row.leaf))
            _pass(edge, stored, published, verdict)
        stored.finish()
        _check_edge(connection, edge, verdict)
    if published and published.size > edge.size:
        verdict.blame("published_beyond", published.place)
    if shelf:
        _check_published(shelf, published, stored.last, verdict)
    verdict.size, verdict.root = edge.size, edge.root()
    return verdict


def _pass(edge: RightEdge, stored: "_Stored", published: _Claim | None, verdict: Verdict) -> None:
    stored.passes(edge)
    if published and published.size == edge.size and published.root != edge.root():
        verdict.blame("root_differs", published.place)


def _check_row(row: table.LeafRow, expected: int, verdict: Verdict) -> None:
    place = f"log_leaves {row.index}"
    if row.index != expected:
        verdict.blame("leaf_out_of_place", place)
    try:
        differing = columns_differ(
            SealedAccess(row.leaf, row.entry, row.staff, row.case, row.tag, row.reader, row.at), read_leaf(row.leaf)
        )
    except RefusedError as error:
        verdict.blame(error.code, place)
        return
    for column in differing:
        verdict.blame("column_differs", f"{place} {column}")


def _check_edge(connection: Connection, edge: RightEdge, verdict: Verdict) -> None:
    if table.edges(connection) != [(True, edge.size, edge.packed())]:
        verdict.blame("edge_differs", _EDGE)


class _Stored:
    """The stored checkpoints, compared as the tree passes their sizes."""

    def __init__(self, connection: Connection, key: VerifierKey, verdict: Verdict) -> None:
        self._key, self._verdict = key, verdict
        self._rows = self._sound(table.checkpoints(connection))
        self._next: _Claim | None = None
        self.last: _Claim | None = None
        self._advance()

    def passes(self, edge: RightEdge) -> None:
        """Compare the checkpoint of this size, where there is one."""
        if self._next and self._next.size == edge.size:
            if self._next.root != edge.root():
                self._verdict.blame("root_differs", self._next.place)
            self._advance()

    def finish(self) -> None:
        """Blame the checkpoints that the tree never reached: its tail was cut."""
        while self._next:
            self._verdict.blame("checkpoint_beyond", self._next.place)
            self._advance()

    def _advance(self) -> None:
        self._next = next(self._rows, None)

    def _sound(self, rows: Iterator[tuple[int, str]]) -> Iterator[_Claim]:
        for size, text in rows:
            place, note = f"{_CHECKPOINTS} {size}", text.encode()
            try:
                checkpoint = open_checkpoint(note, self._key)
            except RefusedError as error:
                self._verdict.blame(error.code, place)
                continue
            if checkpoint.size != size:
                self._verdict.blame("checkpoint_size", place)
            elif len(parse_note(note).signatures) != 1 or checkpoint.extensions:
                self._verdict.blame("checkpoint_added_to", place)  # the log itself signs once and adds no line
            else:
                self.last = _Claim(size, checkpoint.root, place, note)
                yield self.last


def _newest(shelf: Shelf, key: VerifierKey, verdict: Verdict) -> _Claim | None:
    place = f"{_PUBLISHED} {CHECKPOINT}"
    try:
        note = shelf.get_locked(CHECKPOINT)
        checkpoint = open_checkpoint(note, key)
    except KeyMissingError:
        return None
    except RefusedError as error:
        verdict.blame(error.code, place)
        return None
    return _Claim(checkpoint.size, checkpoint.root, place, note)


def _check_published(shelf: Shelf, head: _Claim | None, last: _Claim | None, verdict: Verdict) -> None:
    """Compare the newest stored checkpoint with its published copy, and look for newer ones that the database lost."""
    name = history_name(last.size) if last else ""
    for beyond in shelf.list_locked(HISTORY, after=name):
        verdict.blame("published_beyond", f"{_PUBLISHED} {beyond}")
    if last is None:
        return
    copy: bytes | None
    try:
        copy = shelf.get_locked(name)
    except KeyMissingError:
        # killed before the history, the publisher has put the head; killed before that, the head is an older one
        copy = last.note if head and head.size < last.size else head.note if head else None
    if copy is None:
        verdict.blame("published_missing", f"{_PUBLISHED} {name}")
    elif copy != last.note:
        verdict.blame("checkpoint_differs", f"{_PUBLISHED} {name}")
