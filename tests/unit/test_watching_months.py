"""Invented months fall the same way for a seed; thieves in them are found; the page tells what the bench counts."""

import re
from pathlib import Path

import pytest

from bench.watching import STAFF, catch, false_alarms, watching_rows
from vault.domain.watching import WATCHED
from vault.testing.months import FIRST_DAY, THIEVES, seeded, staff, work

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_months() -> None:
    first, second = (
        [list(work(dice, worker, 30)) for worker in staff(dice, 3)] for dice in (seeded("one"), seeded("one"))
    )

    assert first == second
    assert first != [list(work(seeded("two"), worker, 30)) for worker in staff(seeded("two"), 3)]


def test_honest_people_rest_on_days_off_and_holidays() -> None:
    worker = staff(seeded("one"), 2)[1]

    days = {(look.at.date() - FIRST_DAY).days for look in work(seeded("one"), worker, 364)}

    assert 180 < len(days) < 240
    assert not days & set(range(worker.holiday, worker.holiday + 21))


def test_few_alarms_ring_for_nothing() -> None:
    rings, months = false_alarms(seeded("few"), 5, 140)

    assert months == 25
    assert sum(rings.values()) <= 8
    assert set(rings) <= set(WATCHED)


@pytest.mark.parametrize(
    ("kind", "rule", "least"),
    [
        ("bulk", "rate_high", 1.0),
        ("evening", "hours_unusual", 0.8),
        ("drip", "no_relationship", 1.0),
        ("curious", "no_relationship", 0.7),
        ("queue", "rate_unusual", 0.7),
        ("edge", "cap_near", 0.9),
    ],
)
def test_each_kind_of_thief_is_found_by_its_rule(kind: str, rule: str, least: float) -> None:
    assert catch(seeded(kind), kind, 10).rules.get(rule, 0) >= least


def test_one_look_once_is_no_rule_s_to_find() -> None:
    caught = catch(seeded("neighbour"), "neighbour", 10)

    assert (caught.found, caught.days) == (0, None)


def test_a_honey_record_tells_a_thief_who_picks_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.watching.HONEY", 33_000)

    assert catch(seeded("honey"), "neighbour", 5).rules["honey_read"] == 1.0


def test_the_bench_has_a_row_for_each_rule_and_thief(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in {"STAFF": 2, "DAYS": 60, "THIEVES_EACH": 1}.items():
        monkeypatch.setattr(f"bench.watching.{name}", few)

    rows = {row.name: row for row in watching_rows(lambda _: None)}

    assert set(rows) == {f"watching/false/{code}" for code in WATCHED} | {f"watching/found/{kind}" for kind in THIEVES}
    assert rows["watching/false/rate_high"].at_most


def test_the_page_tells_every_rule_and_thief() -> None:
    section = OPERATIONS.split("**What the nightly watch looks at.**")[1].split("**Honey records.**")[0]
    plain = {told for told, _ in THIEVES.values()}

    assert re.findall(r"^\| rule `(\w+)` \| [\d.]+ \|$", section, re.MULTILINE) == [code.value for code in WATCHED]
    assert set(re.findall(r"^\| ([^|`]+) \| \d+ \|", section, re.MULTILINE)) == plain
    assert f"{STAFF} honest people" in section
