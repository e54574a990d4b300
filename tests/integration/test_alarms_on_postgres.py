"""Alarms on a real PostgreSQL: counted within the hour, never doubled by a race, closed with a word that stays."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from vault.errors import ConflictError
from vault.storage.alarms import close_alarm, get_alarm, open_alarms, raise_alarm
from vault.storage.database import Connection, Database
from vault.storage.honey import add_honey
from vault.storage.looks import add_look
from vault.storage.migrate import migrate
from vault.testing.postgres import postgres
from vault.testing.processes import wait_until

NOW = datetime(2026, 11, 22, 10, 59, 30, tzinfo=UTC)
CASE = "DSR-2026-7K3QXM"


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres() as server:
        settings = server.create_database("dsr_alarms")
        migrate(settings)
        made = Database(settings, size=8)
        yield made
        made.close()


def test_the_tables_go_and_come_with_data_in_them() -> None:
    with postgres() as server:
        settings = server.create_database("dsr_watch")
        migrate(settings)
        database = Database(settings)
        ref = ring(database)
        with database.connect() as connection:
            close_alarm(connection, ref, "staff:9", NOW, "test")
            add_look(connection, "staff:7", b"mark", NOW)
            add_honey(connection, b"mark", NOW, "office:registry")

        assert migrate(settings, "0002") == "0002"
        migrate(settings)

        assert counts(database) == []
        assert ring(database) != ref
        database.close()


@pytest.fixture(autouse=True)
def nothing_rings(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("truncate alarms, alarm_events, emergencies cascade")


def ring(
    database: Database, code: str = "a_code", *, minutes: int = 0, actor: str = "staff:7", case: str | None = CASE
) -> str:
    with database.connect() as connection:
        return raise_alarm(
            connection, code, at=NOW + timedelta(minutes=minutes), actor=actor, case=case, detail={"limit": "100"}
        )


def counts(database: Database) -> list[int]:
    with database.connect() as connection:
        return sorted(alarm.count for alarm in open_alarms(connection))


def test_the_same_within_the_hour_is_counted(database: Database) -> None:
    refs = {ring(database, minutes=minutes) for minutes in (0, 45, 100)}  # each within an hour of the one before

    with database.connect() as connection:
        (alarm,) = open_alarms(connection)
    assert refs == {alarm.ref}
    assert (alarm.count, alarm.raised_at, alarm.last_at) == (3, NOW, NOW + timedelta(minutes=100))
    assert (alarm.actor, alarm.case, alarm.detail) == ("staff:7", CASE, {"limit": "100"})


@pytest.mark.parametrize(
    "change",
    [{"code": "another"}, {"actor": "staff:8"}, {"case": None}, {"case": "DSR-2026-000000"}, {"minutes": 61}],
    ids=["code", "actor", "no-case", "case", "an-hour-later"],
)
def test_what_differs_is_another_alarm(database: Database, change: dict[str, object]) -> None:
    assert ring(database) != ring(database, **change)  # type: ignore[arg-type]  # the table's own fields


def test_without_a_case_it_is_counted_too(database: Database) -> None:
    assert ring(database, case=None) == ring(database, case=None)


def test_twenty_at_once_are_one(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(lambda _: ring(database), range(20)))

    assert len(set(refs)) == 1
    assert counts(database) == [20]


def test_who_raises_the_same_at_once_waits_and_counts(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        with database.connect() as connection:
            first = raise_alarm(connection, "a_code", at=NOW, actor="staff:7", case=CASE)
            second = pool.submit(ring, database)
            wait_until(lambda: second.done() or waits(connection), "the second to wait for the first")

        assert second.result(timeout=60) == first
    assert counts(database) == [2]


def waits(connection: Connection) -> bool:
    query = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    return connection.execute(query).fetchone() is not None


def test_an_alarm_that_its_caller_took_back_never_rang(database: Database) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        ring_and_fail(database)

    assert counts(database) == []


def ring_and_fail(database: Database) -> None:
    with database.connect() as connection:
        raise_alarm(connection, "a_code", at=NOW, actor="staff:7")
        connection.execute("select 1/0")


def test_closing_is_an_event_and_happens_once(database: Database) -> None:
    ref = ring(database)

    with database.connect() as connection:
        close_alarm(connection, ref, "staff:9", NOW + timedelta(minutes=5), "explained")
    with pytest.raises(ConflictError, match="alarm_closed"), database.connect() as connection:
        close_alarm(connection, ref, "staff:10", NOW + timedelta(minutes=6), "test")

    with database.connect() as connection:
        events = connection.execute("select alarm_ref, event, actor, why from alarm_events").fetchall()
        closed = get_alarm(connection, ref)
    assert events == [(ref, "closed", "staff:9", "explained")]
    assert closed is not None
    assert closed.closed_at == NOW + timedelta(minutes=5)


def test_a_closed_alarm_rings_anew(database: Database) -> None:
    first = ring(database)
    with database.connect() as connection:
        close_alarm(connection, first, "staff:9", NOW, "explained")

    assert ring(database, minutes=1) != first
    assert counts(database) == [1]


def test_the_latest_stand_first(database: Database) -> None:
    old, new = ring(database, "old"), ring(database, "new", minutes=5)

    with database.connect() as connection:
        assert [alarm.ref for alarm in open_alarms(connection)] == [new, old]
