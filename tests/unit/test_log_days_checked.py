"""Each day's leaf is recomputed from the leaves before it; one that promises anything else is found."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from vault.accesslog import daycheck
from vault.accesslog.daycheck import DayCheck
from vault.accesslog.leaves import Day, Leaf, parse_day, read_leaf
from vault.accesslog.merkle import EMPTY_ROOT, RightEdge, leaf_hash
from vault.accesslog.publish import log_key
from vault.accesslog.sources import DirectorySource
from vault.accesslog.verify import Verdict, verify_published
from vault.errors import LimitError
from vault.testing.accesslog import ORIGIN, MemoryShelf, copy_to, publish_leaves
from vault.testing.keyservice import memory_service
from vault.testing.manydays import looks, with_days

TODAY = date(2026, 11, 20)
LEAVES = list(looks(700, 40))


def written(leaves: list[bytes], size: int) -> Day:
    """Compute a day's leaf as the format describes it, from all leaves at once."""
    lines: dict[bytes, tuple[int, bytes]] = {}
    for leaf in leaves[:size]:
        read = read_leaf(leaf)
        if isinstance(read, Leaf) and read.tag:
            lines[read.tag] = (lines.get(read.tag, (0, b""))[0] + 1, leaf_hash(leaf))
    edge = RightEdge()
    for tag, (count, last) in sorted(lines.items()):
        edge.add(leaf_hash(tag + count.to_bytes(8, "big") + last))
    return Day(TODAY, edge.root(), size, len(lines))


def taken(check: DayCheck, leaves: list[bytes]) -> None:
    for leaf in leaves:
        read = read_leaf(leaf)
        check.look(read.tag if isinstance(read, Leaf) else None, leaf_hash(leaf))


@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 699, 700])
def test_a_day_is_the_root_over_each_tag_s_count_and_last_leaf(size: int) -> None:
    check = DayCheck()
    taken(check, LEAVES)

    assert check.close(written(LEAVES, size), bytes(32)) is None
    assert (check.checked, check.last, check.seen) == (1, TODAY, 701)


def test_a_log_without_looks_closes_its_days_too() -> None:
    check = DayCheck()

    assert check.close(Day(TODAY, EMPTY_ROOT, 0, 0), bytes(32)) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"map": bytes(32)}, "day_differs"),
        ({"tags": 39}, "day_differs"),
        ({"size": 400}, "day_differs"),
        ({"size": 701}, "day_out_of_order"),
    ],
)
def test_another_promise_is_found(change: dict[str, object], fault: str) -> None:
    check, true = DayCheck(), written(LEAVES, 700)
    taken(check, LEAVES)
    told = {"day": true.day, "map": true.map, "size": true.size, "tags": true.tags} | change

    assert check.close(Day(**told), bytes(32)) == fault  # type: ignore[arg-type]  # a table of changes
    assert check.checked == 0


@pytest.mark.parametrize(("days", "size"), [(0, 700), (-1, 700), (1, 699)])
def test_days_and_sizes_only_grow(days: int, size: int) -> None:
    check = DayCheck()
    taken(check, LEAVES)
    check.close(written(LEAVES, 700), bytes(32))

    later = written(LEAVES, size)
    assert check.close(Day(TODAY + timedelta(days), later.map, size, later.tags), bytes(32)) == "day_out_of_order"


def test_what_follows_a_wrong_day_is_still_checked() -> None:
    check, true = DayCheck(), written(LEAVES, 700)
    taken(check, LEAVES)
    check.close(Day(TODAY, bytes(32), 700, true.tags), bytes(32))

    assert check.close(Day(TODAY + timedelta(1), true.map, 700, true.tags), bytes(32)) is None


def test_a_log_that_never_closes_a_day_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daycheck, "MOST_OPEN", 10)
    with pytest.raises(LimitError):
        taken(DayCheck(), LEAVES[:11])


def test_a_log_of_more_tags_than_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daycheck, "MOST_TAGS", 10)
    check = DayCheck()
    taken(check, LEAVES)
    with pytest.raises(LimitError):
        check.close(written(LEAVES, 700), bytes(32))


def published(leaves: list[bytes], folder: Path) -> Verdict:
    service, shelf = memory_service(), MemoryShelf()
    publish_leaves(shelf, leaves, service, len(leaves))
    return verify_published(DirectorySource(copy_to(shelf, folder)), log_key(service, ORIGIN))


def test_a_published_log_says_how_far_it_is_complete(tmp_path: Path) -> None:
    verdict = published(list(with_days(LEAVES, 100)), tmp_path)

    assert verdict.faults == []
    assert verdict.also() == {"days": 7, "complete_to": "2026-01-07"}


def test_a_look_that_is_not_in_the_closed_day_is_found_by_place(tmp_path: Path) -> None:
    leaves = list(with_days(LEAVES, 100))
    day = next(index for index in range(300, 400) if parse_day(leaves[index]))
    del leaves[day - 7]

    found = published(leaves, tmp_path).faults

    assert ("day_differs", f"leaf {day - 1}") in found or ("day_out_of_order", f"leaf {day - 1}") in found
