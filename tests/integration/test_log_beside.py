"""`dsr log verify` finds every edited cell of what was made from the leaves: tiles, closed days, the map, claims."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from vault.accesslog.days import close_days
from vault.accesslog.publish import publish
from vault.accesslog.recount import verify_database
from vault.storage.database import Database
from vault.storage.migrate import migrate
from vault.testing.accesslog import LogBench, log_bench, look
from vault.testing.postgres import postgres

TABLES = ("log_days", "log_tiles", "log_claims")
NEXT_DAY, DAY_AFTER = datetime(2026, 11, 21, 9, tzinfo=UTC), datetime(2026, 11, 22, 9, tzinfo=UTC)

EDITS = {
    ("log_days", "day"): [
        "update log_days set day = '2020-01-01' where day = '2026-11-20'",
        "delete from log_days where day = '2026-11-20'",
    ],
    ("log_days", "idx"): ["update log_days set idx = 1 where day = '2026-11-20'"],
    ("log_days", "size"): ["update log_days set size = size - 1 where day = '2026-11-21'"],
    ("log_tiles", "tree"): [
        "update log_tiles set tree = 'other' where tree = 'log' and level = 0 and idx = 1",
        "update log_tiles set tree = 'other' where tree = 'map' and level = 0 and idx = 0",
    ],
    ("log_tiles", "level"): [
        "update log_tiles set level = 1 where tree = 'log' and level = 0 and idx = 1",
        "update log_tiles set level = 9 where tree = 'log' and level = 0 and idx = 1",
        "update log_tiles set level = -1 where tree = 'map' and level = 0 and idx = 0",
    ],
    ("log_tiles", "idx"): [
        "update log_tiles set idx = 7 where tree = 'log' and level = 0 and idx = 1",
        "update log_tiles set idx = -1 where tree = 'log' and level = 0 and idx = 0",
        "update log_tiles set idx = 7 where tree = 'map' and level = 0 and idx = 0",
    ],
    ("log_tiles", "hashes"): [
        "update log_tiles set hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) where tree = 'log' and idx = 0",
        "update log_tiles set hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) where tree = 'map' and idx = 0",
        "update log_tiles set hashes = '' where tree = 'log' and idx = 1",
    ],
    ("log_tiles", "first"): [
        "update log_tiles set first = hashes where tree = 'log' and idx = 1",
        "update log_tiles set first = set_byte(first, 0, get_byte(first, 0) # 1) where tree = 'map' and idx = 0",
    ],
    ("log_claims", "name"): [
        "update log_claims set name = 'tile/0/001x' where name = 'tile/0/001'",
        "insert into log_claims values ('tile/0/777', ''::bytea)",
    ],
    ("log_claims", "digest"): [
        "update log_claims set digest = '' where name = 'tile/entries/000'",
        "update log_claims set digest = sha256('x') where starts_with(name, 'checkpoints/')",
        "update log_claims set digest = sha256('x') where starts_with(name, 'tile/0/002.p/')",
    ],
}


@pytest.fixture(scope="module")
def bench() -> Iterator[LogBench]:
    """Six hundred entries over two closed days, published four times."""
    with postgres() as server:
        settings = server.create_database("dsr_beside")
        migrate(settings)
        database = Database(settings)
        made = log_bench(database)
        made.log.record([look(subject=f"P-{number % 40}") for number in range(300)])
        publish(made.parts, made.shelf)
        close_days(database, NEXT_DAY)
        publish(made.parts, made.shelf)
        made.log.record([look(subject=f"P-{number % 50}") for number in range(300)])
        publish(made.parts, made.shelf)
        close_days(database, DAY_AFTER)
        publish(made.parts, made.shelf)
        yield made
        database.close()


@pytest.fixture
def harmed(bench: LogBench) -> Iterator[LogBench]:
    bench.run("create schema saved")
    for name in TABLES:
        bench.run(f"create table saved.{name} as table {name}")
    yield bench
    bench.run("truncate log_days, log_tiles, log_claims")
    bench.run("insert into log_days table saved.log_days")
    bench.run("insert into log_tiles table saved.log_tiles")
    bench.run("insert into log_claims table saved.log_claims")
    bench.run("drop schema saved cascade")


def codes(bench: LogBench) -> set[str]:
    return {code for code, _ in verify_database(bench.database, bench.key, bench.shelf).faults}


def test_a_sound_log_agrees_and_says_how_far_it_is_complete(bench: LogBench) -> None:
    found = verify_database(bench.database, bench.key, bench.shelf)

    assert found.faults == []
    assert (found.size, found.also()) == (602, {"days": 2, "complete_to": "2026-11-21"})


def test_the_table_of_edits_names_every_column(bench: LogBench) -> None:
    with bench.database.connect() as connection:
        found = connection.execute(
            "select table_name, column_name from information_schema.columns where table_name = any(%s)", (list(TABLES),)
        ).fetchall()

    assert {(str(table), str(column)) for table, column in found} == set(EDITS)


@pytest.mark.parametrize("edit", [edit for edits in EDITS.values() for edit in edits])
def test_every_edited_cell_is_found(harmed: LogBench, edit: str) -> None:
    harmed.run(edit)

    assert codes(harmed)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (EDITS["log_days", "size"][0], ("day_row_differs", "log_days 2026-11-21")),
        (EDITS["log_tiles", "hashes"][0], ("stored_tile_differs", "log_tiles log 0 0")),
        (EDITS["log_tiles", "first"][1], ("map_differs", "log_tiles map")),
        (EDITS["log_claims", "digest"][0], ("claim_differs", "log_claims tile/entries/000")),
        (EDITS["log_claims", "name"][1], ("claim_beyond", "log_claims")),
    ],
)
def test_it_names_the_place(harmed: LogBench, edit: str, fault: tuple[str, str]) -> None:
    harmed.run(edit)

    assert fault in verify_database(harmed.database, harmed.key, harmed.shelf).faults


def test_what_a_killed_publisher_left_out_is_no_fault(harmed: LogBench) -> None:
    harmed.run("delete from log_tiles where tree = 'log'")
    harmed.run("delete from log_claims where starts_with(name, 'tile/')")

    assert codes(harmed) == set()
