"""Closing a day killed with SIGKILL anywhere: the day is closed whole or not at all, and the next run ends well."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from vault.accesslog.answers import tell
from vault.accesslog.days import close_days
from vault.accesslog.leaves import parse_day
from vault.accesslog.publish import publish
from vault.accesslog.recount import verify_database
from vault.settings import DatabaseSettings
from vault.storage import log as leaves
from vault.storage.database import Database, conninfo
from vault.storage.migrate import migrate
from vault.testing.accesslog import LogBench, close_in, log_bench, look
from vault.testing.crashes import killed_at
from vault.testing.postgres import postgres

# every call in `make fuzz`, a sample of them in `make test`
CALLS = range(1, 13) if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else (2, 6, 8)
FRIDAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SATURDAY = FRIDAY + timedelta(days=1)


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres() as server:
        made = server.create_database("dsr_kill_days")
        migrate(made)
        yield made


@pytest.fixture
def bench(settings: DatabaseSettings) -> Iterator[LogBench]:
    database = Database(settings)
    bench = log_bench(database)
    bench.log.record([look(subject=f"P-{number % 300}", at=FRIDAY) for number in range(700)])
    yield bench
    database.close()


def closed(bench: LogBench) -> list[tuple[date, int]]:
    with bench.database.connect() as connection:
        said = [(day.day, day.size) for _, leaf in leaves.leaves(connection, 0, 9999) if (day := parse_day(leaf))]
        rows = [(row[0], int(row[1])) for row in connection.execute("select day, size from log_days order by day")]
        tiles = connection.execute("select count(*) from log_tiles where tree = 'map'").fetchone()
    assert said == rows
    assert (tiles is not None and tiles[0] > 0) == bool(rows)
    return rows


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("call", CALLS)
def test_a_day_is_closed_whole_or_not_at_all(
    settings: DatabaseSettings, bench: LogBench, call: int, after: bool
) -> None:
    killed = killed_at(call, close_in, conninfo(settings), SATURDAY, after=after)

    assert closed(bench) == ([] if killed else [(date(2026, 11, 20), 700)])
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)
    assert closed(bench) == [(date(2026, 11, 20), 700)]
    assert verify_database(bench.database, bench.key, bench.shelf).to_json()["faults"] == []
    receipt = bench.log.record([look(subject="P-7", at=SATURDAY)])[0]
    assert tell(bench.log, bench.database, "P-7", receipt.index + 1).complete is not None


def test_the_sample_kills(settings: DatabaseSettings, bench: LogBench) -> None:
    assert killed_at(8, close_in, conninfo(settings), SATURDAY)
    assert not killed_at(13, close_in, conninfo(settings), SATURDAY)
    assert len(closed(bench)) == 1
