"""The daily map: how often each subject stands in the log and which entry is her last: nothing can be left out.

A line of the map is tag (16 bytes), count (8 bytes, big-endian), hash of the tag's last leaf (32 bytes). The
lines, in the tags' order, are the leaves of an RFC 6962 tree whose root a day's leaf holds. Who has her own
line proved knows how many entries there are; who has none is shown the two lines between which hers would stand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from vault.accesslog.leaves import TAG_BYTES, Day, Leaf, parse_leaf
from vault.accesslog.merkle import HASH_BYTES, LARGEST, RightEdge, Seen, leaf_hash, verify_inclusion
from vault.errors import TamperedError, UnknownFormatError

COUNT_BYTES: Final = 8
LINE_BYTES: Final = TAG_BYTES + COUNT_BYTES + HASH_BYTES


@dataclass(frozen=True, slots=True)
class MapLine:
    """What the map says of one tag.

    :param tag: 16 bytes.
    :param count: how many leaves carry it, at least 1.
    :param last: the hash of the last of them, 32 bytes.
    """

    tag: bytes
    count: int
    last: bytes


@dataclass(frozen=True, slots=True)
class ProvedLine:
    """A line, where it stands in the map, and the path from it to the map's root (RFC 6962 section 2.1.1)."""

    index: int
    line: MapLine
    path: tuple[bytes, ...]


def map_line(tag: bytes, count: int, last: bytes) -> bytes:
    """Write a line; the inverse of :func:`parse_map_line`.

    :param tag: 16 bytes.
    :param count: how many leaves carry the tag.
    :param last: the hash of the last of them, 32 bytes.
    :raises TamperedError: one of them has another size.
    """
    if len(tag) != TAG_BYTES or len(last) != HASH_BYTES or not 0 < count <= LARGEST:
        _malformed()
    return tag + count.to_bytes(COUNT_BYTES, "big") + last


def parse_map_line(data: bytes) -> MapLine:
    """Read a line.

    :raises TamperedError: it is none.
    """
    tag, count, last = data[:TAG_BYTES], data[TAG_BYTES:-HASH_BYTES], data[-HASH_BYTES:]
    line = MapLine(tag, int.from_bytes(count, "big"), last)
    if len(data) != LINE_BYTES or map_line(*_parts(line)) != data:
        _malformed()
    return line


def map_root(lines: Iterable[bytes], seen: Seen | None = None) -> bytes:
    """Give the root over lines in their tags' order, in flat memory.

    :param seen: is told every perfect subtree (:meth:`vault.accesslog.merkle.RightEdge.add`).
    :raises TamperedError: a line is malformed, or does not stand behind the one before it.
    """
    edge, before = RightEdge(), b""
    for data in lines:
        tag = data[:TAG_BYTES]
        if len(data) != LINE_BYTES or tag <= before:
            _malformed()
        before = tag
        edge.add(leaf_hash(data), seen)
    return edge.root()


def verify_complete(tag: bytes, day: Day, entries: Sequence[tuple[int, bytes]], proof: ProvedLine) -> None:
    """Check that these are all entries of a tag among the leaves that a day's leaf covers.

    Day leaf and entries must have been proved to stand in the log, each at its index; this adds that none is
    left out. Entries behind ``day.size`` are not looked at: no day has closed over them yet.

    :param tag: the subject's, 16 bytes.
    :param entries: index and leaf of each.
    :raises TamperedError: the line is not the day's, an entry is another subject's, or one is missing.
    """
    _verify_line(day, proof)
    covered = _covered(tag, day, entries)
    if proof.line.tag != tag or proof.line.count != len(covered):
        _incomplete()
    if leaf_hash(covered[-1][1]) != proof.line.last:
        _incomplete()


def verify_absent(tag: bytes, day: Day, neighbours: Sequence[ProvedLine]) -> None:
    """Check that a tag has no entry at all among the leaves that a day's leaf covers.

    :param neighbours: the line before the tag's place and the one behind it, as many of the two as there are.
    :raises TamperedError: they do not leave the tag out.
    """
    for one in neighbours:
        _verify_line(day, one)
    before = [one.index for one in neighbours if one.line.tag < tag]
    behind = [one.index for one in neighbours if one.line.tag > tag]
    if len(before) + len(behind) != len(neighbours) or len(before) > 1 or len(behind) > 1:
        _incomplete()
    # the place's left neighbour is its predecessor, or the map begins here; its right one follows, or the map ends
    left, right = before[0] if before else -1, behind[0] if behind else day.tags
    if right != left + 1:
        _incomplete()


def _verify_line(day: Day, proof: ProvedLine) -> None:
    verify_inclusion(leaf_hash(map_line(*_parts(proof.line))), proof.index, day.tags, proof.path, day.map)


def _covered(tag: bytes, day: Day, entries: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    covered = sorted((index, leaf) for index, leaf in entries if index < day.size)
    indexes = {index for index, _ in covered}
    if not covered or len(indexes) != len(covered) or any(_look(leaf).tag != tag for _, leaf in covered):
        _incomplete()
    return covered


def _look(leaf: bytes) -> Leaf:
    try:
        return parse_leaf(leaf)
    except UnknownFormatError:
        _incomplete()


def _parts(line: MapLine) -> tuple[bytes, int, bytes]:
    return line.tag, line.count, line.last


def _malformed() -> NoReturn:
    raise TamperedError("map_malformed", "this is no map of an access log's day; ask for the proof again")


def _incomplete() -> NoReturn:
    raise TamperedError("not_complete", "the entries are not all that the log holds of this subject; report it")
