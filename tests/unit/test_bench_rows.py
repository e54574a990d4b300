"""The bench's rows keep their shape, so that later figures can be held against them, and their arithmetic is right."""

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vault
from bench import figures
from bench.meter import Cost, Laps, Meter, most_memory, own_seconds
from bench.peers import overheard
from bench.road import ROAD, Road
from bench.rows import Row, checked, from_json, number, table, to_json, write
from bench.withairflow import Watched
from vault.cli import bench as command
from vault.errors import WrongUseError

PLAIN = Row("identify/speed", 12.345, "cases/s", note="8 batches")
HELD = Row("collect/speed", 2.0, "cases/s", "typst.compile", 4.0, 0.5, "2 batches")
SHAPE = ["name", "value", "unit", "peer", "peer_value", "ratio", "note", "limit", "at_most"]


def test_a_row_has_exactly_the_agreed_names_in_order() -> None:
    assert [field.name for field in fields(Row)] == SHAPE
    assert [list(body) for body in json.loads(to_json([PLAIN, HELD]))] == [SHAPE, SHAPE]


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (PLAIN, None),
        (replace(PLAIN, limit=12.0), True),
        (replace(PLAIN, limit=13.0), False),
        (replace(PLAIN, limit=12.0, at_most=True), False),
        (replace(PLAIN, limit=13.0, at_most=True), True),
        (replace(HELD, limit=0.4), True),  # the ratio counts, not the value
        (replace(HELD, limit=1.0), False),
    ],
    ids=["none", "reached", "not reached", "passed", "kept", "ratio reached", "ratio not reached"],
)
def test_a_limit_is_met_or_missed_and_the_table_says_so(row: Row, met: bool | None) -> None:
    assert row.met is met
    assert ("MISSED" in table([row])) is (met is False)


def test_a_row_without_a_peer_says_null() -> None:
    body = json.loads(to_json([PLAIN]))[0]
    assert (body["peer"], body["peer_value"], body["ratio"]) == (None, None, None)


@pytest.mark.parametrize(
    "rows",
    [
        [PLAIN, PLAIN],
        [replace(PLAIN, name="")],
        [replace(PLAIN, unit="")],
        [replace(PLAIN, value=float("nan"))],
        [replace(PLAIN, value=float("inf"))],
        [replace(PLAIN, value=-1.0)],
        [replace(HELD, peer_value=None)],
        [replace(HELD, ratio=None)],
        [replace(PLAIN, peer="gpg")],
        [replace(HELD, ratio=float("inf"))],
        [replace(PLAIN, limit=float("nan"))],
    ],
)
def test_rows_that_nothing_can_be_held_against_are_refused(rows: list[Row]) -> None:
    with pytest.raises(WrongUseError):
        checked(rows)
    with pytest.raises(WrongUseError):
        to_json(rows)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[{}]", '[{"name": "a"}]', "nonsense", "null", "[[]]"])
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(WrongUseError):
        from_json(text)


_figures = st.floats(min_value=0, max_value=1e12, allow_nan=False)
_words = st.text(min_size=1, max_size=20)
_rows = st.one_of(
    st.builds(Row, _words, _figures, _words, note=_words),
    st.builds(Row, _words, _figures, _words, _words, _figures, _figures, _words),
)


@given(st.lists(_rows, max_size=5, unique_by=lambda row: row.name))
def test_what_is_written_is_read_back(rows: list[Row]) -> None:
    assert from_json(to_json(rows)) == rows


def test_the_file_appears_whole_and_replaces_the_last_one(tmp_path: Path) -> None:
    target = tmp_path / "build" / "bench.json"
    write([PLAIN], target)
    write([HELD], target)
    assert from_json(target.read_text(encoding="utf-8")) == [HELD]
    assert list(target.parent.iterdir()) == [target]


def test_the_table_aligns_its_columns() -> None:
    assert table([PLAIN, replace(HELD, limit=0.25)]).splitlines() == [
        "name            value  unit     peer                 ratio  limit         note",
        "identify/speed   12.3  cases/s                                            8 batches",
        "collect/speed    2.00  cases/s  typst.compile: 4.00  0.500  >= 0.250 met  2 batches",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.00123, "0.00123"), (0.5, "0.500"), (1, "1.00"), (12.345, "12.3"), (123.6, "124"), (12345, "12345")],
)
def test_figures_show_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def _laps(*batches: tuple[int, float]) -> Laps:
    laps = Laps()
    for cases, wall in batches:
        laps.add(Cost(wall, wall / 2, {"postgres": wall / 4, "airflow": 100.0}), cases)
    return laps


def test_speed_is_the_median_of_batches_and_cpu_is_per_case() -> None:
    laps = _laps((10, 1.0), (10, 2.0), (10, 10.0))
    assert laps.speed == pytest.approx(5.0)
    assert laps.own_each == pytest.approx(6.5 / 30)
    assert laps.beside_each == pytest.approx(3.25 / 30)


def _road() -> Road:
    road = object.__new__(Road)
    road.laps = {name: _laps((10, 1.0), (10, 1.0)) for name in ROAD}
    road.theirs = {"collect": [Cost(0.5, 0.25), Cost(0.25, 0.15)]}
    return road


def test_a_step_with_a_peer_carries_the_median_of_the_paired_ratios() -> None:
    rows = {row.name: row for row in figures.step_rows(_road())}
    speed = rows["collect/speed"]
    assert (speed.value, speed.peer, speed.peer_value) == (10.0, "typst.compile", 30.0)
    assert speed.ratio == pytest.approx((0.5 + 0.25) / 2)
    assert rows["collect/cpu"].peer_value == pytest.approx(0.02)
    assert rows["collect/cpu"].ratio == pytest.approx(2.5)
    assert rows["identify/speed"].peer is None
    assert {name.rpartition("/")[2] for name in rows} == {"speed", "cpu", "servers-cpu"}


def test_airflows_share_is_what_it_adds_to_the_road() -> None:
    road = _road()
    steps = len(ROAD)
    without = 2 * steps * (0.5 + 0.25 + 100.0)
    cost = Cost(4.0 * steps, 999.0, {"airflow": 2 * without - 3.0, "postgres": 1.0})
    seen = Watched(Cost(10.0, 0, {"airflow": 5.0}), cost, Cost(3.0, 0, {"airflow": 0}), 2.0, {"review_drafts": 40})
    rows = {row.name: row for row in figures.airflow_rows(road, seen)}
    assert rows["airflow/cpu-share"].value == pytest.approx(0.5)
    assert rows["airflow/wall-share"].value == pytest.approx(0.5)
    assert rows["airflow-road/cpu"].ratio == pytest.approx(2.0)
    assert rows["airflow/idle"].value == pytest.approx(0.5)
    assert rows["airflow/tasks"].value == pytest.approx(2.0)
    assert checked([*figures.step_rows(road), *figures.road_rows(road), *rows.values()])


def test_a_block_of_work_is_metered_with_its_children() -> None:
    costs: list[Cost] = []
    with Meter().lap(costs):
        begun = own_seconds()
        while own_seconds() - begun < 0.02:
            sum(range(1000))
    assert 0.02 <= costs[0].own <= costs[0].wall * 4
    assert costs[0].servers == {}


def test_an_overheard_function_works_as_ever_and_is_left_alone_afterwards() -> None:
    original = json.dumps
    with overheard("json.dumps") as calls:
        assert json.dumps([1], indent=None) == "[1]"
    assert json.dumps is original
    assert [(call.arguments, call.options) for call in calls] == [(([1],), {"indent": None})]


def test_the_bench_is_found_in_a_checkout_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (command.checkout() / "bench" / "run.py").is_file()
    monkeypatch.setattr(vault, "__file__", str(tmp_path / "vault" / "__init__.py"))
    with pytest.raises(WrongUseError) as refused:
        command.checkout()
    assert refused.value.code == "no_checkout"
    assert not re.search(str(tmp_path), str(refused.value))


def told_by_a_child(script: str) -> list[float]:
    begin = "from bench.meter import most_memory\n"
    done = subprocess.run([sys.executable, "-c", begin + script], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def test_memory_is_what_a_process_itself_has_had() -> None:
    show = "print(most_memory())\n"

    before, during, after = told_by_a_child(f"{show}held = bytearray(b'x') * 2**26\n{show}del held\n{show}")

    assert during >= before + 60
    assert after >= during - 1  # a peak stays; the kernel counts in coarse steps
    assert most_memory(2**22 + 1) == 0  # no process has this number


def test_memory_does_not_count_what_the_parent_held() -> None:
    held = bytearray(b"x") * 2**28

    assert told_by_a_child("print(most_memory())")[0] < len(held) / 2**20
