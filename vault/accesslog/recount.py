"""Recomputes the log from the database, row by row in flat memory: every edited cell is found without any key.

Leaf against columns, leaves against the edge, every checkpoint against the tree at its size, what was made
from the leaves (:mod:`vault.accesslog.beside`), and all of it against what was published where nobody can take
it back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.accesslog.beside import Beside
from vault.accesslog.entries import SealedAccess, columns_differ
from vault.accesslog.leaves import read_leaf
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Keys, Note, open_checkpoint, parse_note, verify_note
from vault.accesslog.publish import Shelf
from vault.accesslog.tiles import CHECKPOINT, HISTORY, history_name
from vault.accesslog.verify import LeafCheck, Verdict, Wanted, check_witnesses
from vault.errors import KeyMissingError, RefusedError
from vault.storage import log as table
from vault.storage.database import Connection, Database
from vault.storage.recount import CheckpointRow, checkpoints

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


def verify_database(database: Database, keys: Keys, shelf: Shelf | None, wanted: Wanted | None = None) -> Verdict:
    """Recompute the tree and compare it with everything that claims to know it.

    :param keys: the log's public keys.
    :param shelf: the log's bucket; None leaves out what was published.
    :param wanted: what the published checkpoint must show besides.
    :raises OutOfReachError: the database or the bucket does not answer.
    """
    verdict = Verdict()
    with database.connect() as connection:
        table.freeze(connection)
        # before the first statement fixes the moment: what is published while this runs is no fault
        published = _newest(shelf, keys, wanted or Wanted(), verdict) if shelf else None
        later = _later(shelf, published) if shelf else []
        beside = Beside(connection, verdict)
        stored = _Stored(connection, keys, verdict, beside)
        edge = _leaves(connection, stored, beside, published, verdict)
        stored.finish()
        beside.finish()
        _check_edge(connection, edge, verdict)
    if published and published.size > edge.size:
        verdict.blame("published_beyond", published.place)
    if shelf:
        _blame_later(later, stored, verdict)
        _check_published(shelf, published, stored, verdict)
    verdict.size, verdict.root = edge.size, edge.root()
    return verdict


def _leaves(
    connection: Connection, stored: "_Stored", beside: Beside, published: _Claim | None, verdict: Verdict
) -> RightEdge:
    edge, check = RightEdge(), LeafCheck(verdict)
    _pass(edge, stored, published, verdict)
    for row in table.rows(connection):
        _check_row(row, edge.size, verdict)
        hashed = leaf_hash(row.leaf)
        day = check.take(row.leaf, hashed, f"log_leaves {row.index}")
        if day:
            beside.day(day, row.index, check.days)
        beside.leaf(row.leaf, hashed)
        edge.add(hashed)
        _pass(edge, stored, published, verdict)
    return edge


def _pass(edge: RightEdge, stored: "_Stored", published: _Claim | None, verdict: Verdict) -> None:
    stored.passes(edge)
    if published and published.size == edge.size and published.root != edge.root():
        verdict.blame("root_differs", published.place)


def _check_row(row: table.LeafRow, expected: int, verdict: Verdict) -> None:
    place = f"log_leaves {row.index}"
    if row.index != expected:
        verdict.blame("leaf_out_of_place", place)
    try:
        leaf = read_leaf(row.leaf)
    except RefusedError:
        return  # named where its day is counted
    stored = SealedAccess(row.leaf, row.entry, row.staff, row.case, row.tag, row.reader, row.at)
    for column in columns_differ(stored, leaf):
        verdict.blame("column_differs", f"{place} {column}")


def _check_edge(connection: Connection, edge: RightEdge, verdict: Verdict) -> None:
    if table.edges(connection) != [(True, edge.size, edge.packed())]:
        verdict.blame("edge_differs", _EDGE)


class _Stored:
    """The stored checkpoints, compared as the tree passes their sizes."""

    def __init__(self, connection: Connection, keys: Keys, verdict: Verdict, beside: Beside) -> None:
        self._keys, self._verdict, self._beside = keys, verdict, beside
        self._rows = self._sound(checkpoints(connection))
        self._next: _Claim | None = None
        self.last: _Claim | None = None
        self.count = 0
        self._advance()

    def passes(self, edge: RightEdge) -> None:
        """Compare the checkpoint of this size, where there is one."""
        if self._next and self._next.size == edge.size:
            if self._next.root != edge.root():
                self._verdict.blame("root_differs", self._next.place)
            self._beside.checkpoint(edge.size, self._next.note)
            self._advance()

    def finish(self) -> None:
        """Blame the checkpoints that the tree never reached: its tail was cut."""
        while self._next:
            self._verdict.blame("checkpoint_beyond", self._next.place)
            self._advance()

    def _advance(self) -> None:
        self._next = next(self._rows, None)

    def _sound(self, rows: Iterator[CheckpointRow]) -> Iterator[_Claim]:
        for row in rows:
            self.count += 1
            place, data = f"{_CHECKPOINTS} {row.size}", row.note.encode()
            try:
                checkpoint = open_checkpoint(data, self._keys)
                note = parse_note(data)
            except RefusedError as error:
                self._verdict.blame(error.code, place)
                continue
            if checkpoint.size != row.size:
                self._verdict.blame("checkpoint_size", place)
            elif checkpoint.extensions or len(set(verify_note(note, self._keys))) != len(note.signatures):
                self._verdict.blame("checkpoint_added_to", place)  # each key signs once, and the log adds no line
            elif row.cosigned is not None and not _adds_to(row.cosigned.encode(), note, self._keys):
                self._verdict.blame("cosigned_differs", place)
            else:
                self.last = _Claim(row.size, checkpoint.root, place, data)
                yield self.last


def _adds_to(data: bytes, note: Note, keys: Keys) -> bool:
    """Tell whether this is the note with nothing but other signers' signatures behind its own."""
    try:
        more = parse_note(data)
        same = verify_note(more, keys) == verify_note(note, keys)
    except RefusedError:
        return False
    return same and more.text == note.text and more.signatures[: len(note.signatures)] == note.signatures


def _newest(shelf: Shelf, keys: Keys, wanted: Wanted, verdict: Verdict) -> _Claim | None:
    place = f"{_PUBLISHED} {CHECKPOINT}"
    try:
        note = shelf.get_locked(CHECKPOINT)
        checkpoint = open_checkpoint(note, keys)
    except KeyMissingError:
        return None
    except RefusedError as error:
        verdict.blame(error.code, place)
        return None
    check_witnesses(parse_note(note), wanted, verdict, place)
    return _Claim(checkpoint.size, checkpoint.root, place, note)


def _later(shelf: Shelf, head: _Claim | None) -> list[str]:
    """List the published checkpoints from the newest on; more than one where an older one was put back."""
    before = history_name(head.size - 1) if head and head.size else ""
    return list(shelf.list_locked(HISTORY, after=before))


def _blame_later(later: list[str], stored: _Stored, verdict: Verdict) -> None:
    """Blame the published checkpoints that the database lost."""
    newest = history_name(stored.last.size) if stored.last else ""
    for name in later:
        if name > newest:
            verdict.blame("published_beyond", f"{_PUBLISHED} {name}")


def _check_published(shelf: Shelf, head: _Claim | None, stored: _Stored, verdict: Verdict) -> None:
    """Compare the newest stored checkpoint with its published copy."""
    last = stored.last
    if last is None:
        return
    name = history_name(last.size)
    try:
        same = shelf.get_locked(name) == last.note
    except KeyMissingError:
        # killed before the history, the publisher has put the head; killed before that, the head is an older one
        if head is None:
            if stored.count > 1:  # the very first may have been signed by a publisher that was killed then
                verdict.blame("published_missing", f"{_PUBLISHED} {name}")
            return
        same = head.size < last.size or parse_note(head.note).text == parse_note(last.note).text
    if not same:
        verdict.blame("checkpoint_differs", f"{_PUBLISHED} {name}")
