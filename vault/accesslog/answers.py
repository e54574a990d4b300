"""The answer to "who looked at this subject's records": every look, each proved, and that none is left out.

Entries are read first, then one frozen moment of the log gives checkpoint, paths and the last closed day; a day
that closed over more than was read is not used. What does not prove is not told.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from vault.accesslog.completeness import MapLine, ProvedLine, verify_absent, verify_complete
from vault.accesslog.leaves import Day, parse_day, parse_leaf
from vault.accesslog.log import AccessLog, LoggedAccess
from vault.accesslog.merkle import leaf_hash, verify_inclusion
from vault.accesslog.proofs import Heads, Proof, StoredTree, heads, prove
from vault.accesslog.tiles import WIDTH
from vault.accesslog.tlogproof import TlogProof
from vault.domain.private import Private
from vault.errors import TamperedError
from vault.storage import days as table
from vault.storage import log as leaves
from vault.storage.database import Connection, Database
from vault.storage.tiles import MAP


@dataclass(frozen=True, slots=True)
class Completeness:
    """That nothing of one tag is left out up to a closed day.

    :param day: what the day's leaf says; ``leaf`` are its bytes and ``proof`` its place in the log.
    :param lines: the tag's own line of the map, or the lines that stand where hers would.
    """

    day: Day
    leaf: bytes
    proof: Proof
    lines: tuple[ProvedLine, ...]

    @property
    def until(self) -> date:
        """The last Helsinki day up to whose end nothing is left out."""
        return self.day.day

    def covers(self, index: int) -> bool:
        """Tell whether the entry at an index is among those that the day counted."""
        return index < self.day.size


@dataclass(frozen=True, slots=True)
class Told(Private):
    """One subject's looks, oldest first, with the proof of each.

    :param complete: up to when nothing is left out; None before a closed day stands under a checkpoint.
    """

    entries: tuple[LoggedAccess, ...]
    proofs: tuple[Proof, ...]
    against: Heads
    complete: Completeness | None

    def published(self, at: int) -> TlogProof | None:
        """Give an entry's tlog-proof; None while no checkpoint covers it.

        :param at: its place in this answer, from 0.
        """
        return tlog_proof(self.entries[at].leaf, self.proofs[at], self.against)


def tell(log: AccessLog, database: Database, subject: str, seen: int) -> Told:
    """Tell every look at a subject's records, proved.

    :param log: of an office that may open log keys.
    :param seen: a size that the log had before this call, such as a receipt's index and one; days that closed
        over more are not used.
    :raises TamperedError: an entry is not what its leaf commits to, or something does not prove.
    :raises KeyMissingError: the log key of one of the years has been destroyed.
    """
    entries = tuple(log.entries(subject))
    tags = {parse_leaf(entry.leaf).tag for entry in entries}
    with database.connect() as connection:
        leaves.freeze(connection)
        against = heads(connection)
        tag = tags.pop() if len(tags) == 1 else None
        row = _closed(connection, against, seen) if tag is not None else None
        indexes = [entry.index for entry in entries]
        proofs = prove(connection, [*indexes, row.index] if row else indexes, against)
        complete = _complete(connection, tag, row, proofs.pop()) if tag is not None and row else None
    for entry, proof in zip(entries, proofs, strict=True):
        verify_inclusion(leaf_hash(entry.leaf), entry.index, proof.size, proof.path, proof.root)
    if tag is not None and complete is not None:
        check_complete(tag, [(entry.index, entry.leaf) for entry in entries], complete)
    return Told(entries, tuple(proofs), against, complete)


def completeness(connection: Connection, tag: bytes, against: Heads, seen: int) -> Completeness | None:
    """Prove up to which day nothing of a tag is left out.

    :param connection: one that shows a frozen moment; ``against`` was read on it.
    :param seen: the caller knows all entries of the tag below this index.
    :returns: None while no closed day stands under a checkpoint.
    :raises TamperedError: the day or its map is not as it was made.
    """
    row = _closed(connection, against, seen)
    return _complete(connection, tag, row, prove(connection, [row.index], against)[0]) if row else None


def check_complete(tag: bytes, entries: Sequence[tuple[int, bytes]], complete: Completeness) -> None:
    """Check a proof of completeness against entries that are proved to stand in the log.

    :param entries: index and leaf of each.
    :raises TamperedError: an entry is missing, or something does not prove.
    """
    proof = complete.proof
    verify_inclusion(leaf_hash(complete.leaf), proof.index, proof.size, proof.path, proof.root)
    if parse_day(complete.leaf) != complete.day or complete.day.size > proof.index:
        raise TamperedError("day_differs", "this is not the leaf of the closed day; run dsr log verify")
    hers = [line for line in complete.lines if line.line.tag == tag]
    if hers:
        verify_complete(tag, complete.day, entries, hers[0])
        return
    verify_absent(tag, complete.day, complete.lines)
    if any(complete.covers(index) for index, _ in entries):
        raise TamperedError("not_complete", "the closed day does not count an entry that it covers; report it")


def tlog_proof(leaf: bytes, proof: Proof, against: Heads) -> TlogProof | None:
    """Make a leaf's tlog-proof; None while no checkpoint covers it."""
    if against.checkpoint is None or proof.index >= against.checkpoint_size:
        return None
    return TlogProof(leaf, proof.index, proof.path, against.checkpoint.encode())


def _closed(connection: Connection, against: Heads, seen: int) -> table.DayRow | None:
    row = table.last_day(connection)
    return None if row is None or row.index >= against.checkpoint_size or row.size > seen else row


def _complete(connection: Connection, tag: bytes, row: table.DayRow, proof: Proof) -> Completeness:
    day = parse_day(row.leaf)
    if day is None or (day.day, day.size) != (row.day, row.size):
        raise TamperedError("day_differs", "a closed day's row is not what its leaf says; run dsr log verify")
    return Completeness(day, row.leaf, proof, _lines(connection, tag, day))


def _lines(connection: Connection, tag: bytes, day: Day) -> tuple[ProvedLine, ...]:
    tile, first = table.tile_before(connection, tag) or (0, b"")
    tags = table.tags_from(connection, first, day.size, WIDTH + 1)
    at = bisect_left(tags, tag)
    wanted = (at,) if tags[at : at + 1] == [tag] else (at - 1, at)
    places = [place for place in wanted if 0 <= place < len(tags)]
    indexes = [tile * WIDTH + place for place in places]
    paths = StoredTree(connection, MAP, day.tags).paths(indexes) if indexes else []
    lines = [_line(connection, tags[place], day.size) for place in places]
    return tuple(map(ProvedLine, indexes, lines, paths))


def _line(connection: Connection, tag: bytes, size: int) -> MapLine:
    found = table.count_of(connection, tag, size)
    if found is None:
        raise TamperedError("map_missing", "a tag's entries are gone; run dsr log verify")
    return MapLine(tag, found.count, leaf_hash(found.leaf))
