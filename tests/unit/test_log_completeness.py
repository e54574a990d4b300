"""The daily map: who leaves an entry out, or hides that there are none, is found."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from vault.accesslog.completeness import (
    LINE_BYTES,
    MapLine,
    ProvedLine,
    map_line,
    map_root,
    parse_map_line,
    verify_absent,
    verify_complete,
)
from vault.accesslog.leaves import Day, Leaf, render_day, render_leaf
from vault.accesslog.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash
from vault.errors import TamperedError

TAGS = [bytes([number]) * 16 for number in range(1, 12)]
ABSENT = bytes([5]) * 15 + b"\x06"


def leaf_of(tag: bytes, number: int) -> bytes:
    time = datetime(2026, 11, 20, 8, 0, number % 60, tzinfo=UTC)
    return render_leaf(Leaf(time, None, tag, leaf_hash(b"%d" % number), leaf_hash(b""), bytes(16)))


def make_log() -> list[tuple[int, bytes]]:
    """Thirty looks at eleven subjects, some behind the day's end."""
    tags = [*TAGS, *(TAGS[number * 7 % len(TAGS)] for number in range(19))]
    return [(index, leaf_of(tag, index)) for index, tag in enumerate(tags)]


LOG = make_log()
SIZE = 25


def tag_of(leaf: bytes) -> bytes:
    return next(tag for tag in TAGS if tag.hex().encode() in leaf)


def lines_of(log: list[tuple[int, bytes]]) -> list[bytes]:
    found: dict[bytes, list[bytes]] = {}
    for index, leaf in log:
        if index < SIZE:
            found.setdefault(tag_of(leaf), []).append(leaf)
    return [map_line(tag, len(leaves), leaf_hash(leaves[-1])) for tag, leaves in sorted(found.items())]


LINES = lines_of(LOG)
DAY = Day(date(2026, 11, 20), map_root(LINES), SIZE, len(LINES))


def proved(position: int, lines: list[bytes] = LINES) -> ProvedLine:
    nodes: dict[tuple[int, int], bytes] = {}
    map_root(lines, lambda level, index, hashed: nodes.__setitem__((level, index), hashed))
    path = inclusion_proof(position, len(lines), lambda *at: nodes[at])
    return ProvedLine(position, parse_map_line(lines[position]), tuple(path))


def entries_of(tag: bytes) -> list[tuple[int, bytes]]:
    return [(index, leaf) for index, leaf in LOG if tag_of(leaf) == tag]


@pytest.mark.parametrize("position", range(len(TAGS)))
def test_all_entries_of_a_tag_are_complete(position: int) -> None:
    verify_complete(TAGS[position], DAY, entries_of(TAGS[position]), proved(position))


def test_entries_behind_the_day_are_not_asked_for() -> None:
    late = next(leaf for index, leaf in LOG if index >= SIZE)
    tag = tag_of(late)
    covered = [(index, leaf) for index, leaf in entries_of(tag) if index < SIZE]

    verify_complete(tag, DAY, covered, proved(TAGS.index(tag)))


def _dropped(kind: str) -> list[tuple[int, bytes]]:
    entries = [entry for entry in entries_of(TAGS[2]) if entry[0] < SIZE]
    other = entries_of(TAGS[3])[0]
    return {
        "first left out": entries[1:],
        "last left out": entries[:-1],
        "all left out": [],
        "one twice for another": [*entries[1:], entries[-1]],
        "one at two places": [*entries[1:], (entries[-1][0] - 1, entries[-1][1])],
        "one of another subject": [*entries[1:], other],
        "one more": [*entries, other],
        "the last for another": [*entries[:-1], (entries[-1][0], leaf_of(TAGS[2], 59))],
        "one that is no look": [*entries[:-1], (entries[-1][0], render_day(DAY))],
        "one that is nothing": [*entries[:-1], (entries[-1][0], b"{}")],
        "one of a later version": [*entries[:-1], (entries[-1][0], entries[-1][1].replace(b'"v":1', b'"v":2'))],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "first left out",
        "last left out",
        "all left out",
        "one twice for another",
        "one of another subject",
        "one more",
        "the last for another",
        "one that is no look",
        "one that is nothing",
        "one of a later version",
    ],
)
def test_what_is_left_out_is_found(kind: str) -> None:
    with pytest.raises(TamperedError):
        verify_complete(TAGS[2], DAY, _dropped(kind), proved(2))


@pytest.mark.parametrize(
    "change",
    [
        lambda line: MapLine(line.tag, line.count - 1 or 2, line.last),
        lambda line: MapLine(line.tag, line.count, bytes(32)),
        lambda line: MapLine(TAGS[3], line.count, line.last),
    ],
    ids=["count", "last", "tag"],
)
def test_a_line_that_the_map_does_not_hold_is_refused(change: Callable[[MapLine], MapLine]) -> None:
    honest = proved(2)

    with pytest.raises(TamperedError):
        verify_complete(TAGS[2], DAY, entries_of(TAGS[2]), ProvedLine(2, change(honest.line), honest.path))


def test_a_map_that_gives_a_look_to_another_subject_proves_nothing() -> None:
    entries = [entry for entry in entries_of(TAGS[2]) if entry[0] < SIZE]
    lines = [map_line(TAGS[3], len(entries), leaf_hash(entries[-1][1]))]
    day = Day(DAY.day, map_root(lines), SIZE, 1)

    with pytest.raises(TamperedError, match="not_complete"):
        verify_complete(TAGS[2], day, entries, ProvedLine(0, parse_map_line(lines[0]), ()))


def test_another_subjects_line_proves_nothing() -> None:
    with pytest.raises(TamperedError, match="not_complete"):
        verify_complete(TAGS[2], DAY, entries_of(TAGS[2]), proved(3))


@pytest.mark.parametrize(
    ("tag", "neighbours"),
    [(ABSENT, (4, 5)), (bytes(15) + b"\x01", (0,)), (b"\xff" * 16, (10,))],
    ids=["between", "before all", "behind all"],
)
def test_a_tag_without_entries_is_proved_absent(tag: bytes, neighbours: tuple[int, ...]) -> None:
    verify_absent(tag, DAY, [proved(at) for at in neighbours])


def test_in_an_empty_map_everybody_is_absent() -> None:
    verify_absent(ABSENT, Day(DAY.day, EMPTY_ROOT, 0, 0), [])


@pytest.mark.parametrize(
    ("tag", "neighbours"),
    [
        (TAGS[4], (3, 5)),
        (TAGS[4], (3, 4)),
        (TAGS[4], (4, 5)),
        (ABSENT, (4,)),
        (ABSENT, (5,)),
        (ABSENT, (3, 5)),
        (ABSENT, (4, 6)),
        (ABSENT, (4, 4, 5)),
        (ABSENT, ()),
        (TAGS[0], (1,)),
        (TAGS[10], (9,)),
    ],
    ids=str,
)
def test_who_has_entries_is_never_proved_absent(tag: bytes, neighbours: tuple[int, ...]) -> None:
    with pytest.raises(TamperedError, match="not_complete"):
        verify_absent(tag, DAY, [proved(at) for at in neighbours])


def test_neighbours_of_another_map_prove_nothing() -> None:
    with pytest.raises(TamperedError, match="not_proved"):
        verify_absent(TAGS[4], DAY, [proved(at, LINES[:4] + LINES[5:]) for at in (3, 4)])


@pytest.mark.parametrize(
    "lines",
    [LINES[::-1], [LINES[0], LINES[0]], [LINES[0] + b"\x00"], [b""]],
    ids=["disorder", "twice", "long", "short"],
)
def test_lines_out_of_order_make_no_map(lines: list[bytes]) -> None:
    with pytest.raises(TamperedError, match="map_malformed"):
        map_root(lines)


@pytest.mark.parametrize(
    "data",
    [b"", LINES[0][:-1], LINES[0] + b"\x00", TAGS[0] + bytes(8) + bytes(32), TAGS[0] + b"\xff" * 40],
    ids=["none", "cut", "long", "no count", "huge count"],
)
def test_a_line_is_read_strictly(data: bytes) -> None:
    with pytest.raises(TamperedError, match="map_malformed"):
        parse_map_line(data)


def test_a_line_has_one_spelling() -> None:
    assert len(LINES[0]) == LINE_BYTES
    assert all(map_line(line.tag, line.count, line.last) == data for data in LINES for line in [parse_map_line(data)])
