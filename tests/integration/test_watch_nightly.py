"""The nightly watch on real servers: it judges ended days once, names readers, opens nothing, and survives kills."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import psycopg
import pytest

from vault.accesslog.entries import Access
from vault.domain.calendar import HELSINKI
from vault.domain.case import Case, CaseEvent, Channel, Event, Stage
from vault.domain.roles import Purpose
from vault.steps.watch import TASK, watch
from vault.storage.alarms import Alarm, open_alarms
from vault.storage.database import Connection, conninfo
from vault.storage.progress import position
from vault.storage.readers import note_reader, readers
from vault.testing.installation import Installation, installed

DAY = date(2026, 10, 14)  # a Wednesday
NOW = datetime(2026, 10, 15, 2, 30, tzinfo=UTC)
_FIRSTS = count(0, 100)  # no event is ever taken away, so each test has cases of its own
_FIRST: list[int] = []


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as made:
        yield made


@pytest.fixture
def owner(installation: Installation) -> Iterator[Connection]:
    """Give the owner's connection over an empty log and board; cases are others in each test."""
    with psycopg.connect(conninfo(installation.settings().database), autocommit=True) as connection:
        connection.execute("truncate log_leaves, log_edge, log_progress, readers")
        connection.execute("insert into log_edge (size, hashes) values (0, '')")
        connection.execute("update alarms set closed_at = now()")
        connection.execute("delete from emergencies")
        _FIRST.append(next(_FIRSTS))
        yield connection


def at(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), HELSINKI)


def ref(number: int) -> str:
    return f"DSR-2026-{_FIRST[-1] + number:06d}"


def read(
    installation: Installation, actor: str, when: datetime, cases: Sequence[int], *, subject: str | None = None
) -> None:
    """Log one look a minute at these cases, as the desk does; without any, one search of the log."""
    look = Access(
        at=when,
        actor=actor,
        actor_name="Sari Staff",
        role="clinician",
        purpose=Purpose.REVIEW,
        legal_ground="GDPR 6(1)(c)",
        case=None,
        subject=subject,
        kinds=("case_file",),
    )
    with installation.office("desk") as parts:
        looks = [replace(look, at=when + timedelta(minutes=place), case=ref(case)) for place, case in enumerate(cases)]
        parts.log.record(looks or [look])


def cases_in(connection: Connection, stage: Stage, numbers: range) -> None:
    """Open cases that came into a stage forty days before the day that is watched."""
    for number in numbers:
        case = Case(ref(number), Channel.MAIL, at(8) - timedelta(days=40), stage, 1, "fi")
        connection.execute(
            "insert into cases (ref, channel, received_at, stage, version, language) values (%s, %s, %s, %s, 1, 'fi')",
            (case.ref, case.channel, case.received_at, case.stage),
        )
        event = CaseEvent(1, case.received_at, Event.ARRIVED, stage, "office:intake", "receive", {})
        connection.execute(
            "insert into case_events (case_ref, version, at, event, stage, actor, step, detail)"
            " values (%s, %s, %s, %s, %s, %s, %s, '{}')",
            (case.ref, event.version, event.at, event.event, event.stage, event.actor, event.step),
        )


def came_in(connection: Connection, actor: str, *roles: str) -> None:
    note_reader(connection, actor, roles, NOW)


def run(installation: Installation, now: datetime = NOW) -> dict[str, int]:
    with installation.office("keeper") as parts:
        return watch(replace(parts, now=lambda: now))


def rung(installation: Installation) -> list[Alarm]:
    with installation.office("desk") as parts, parts.database.connect() as connection:
        return sorted(open_alarms(connection), key=lambda alarm: (alarm.actor, alarm.code))


def test_a_night_of_reading_rings_once_with_the_readers_id(installation: Installation, owner: Connection) -> None:
    cases_in(owner, Stage.DRAFTED, range(30))
    came_in(owner, "staff:7", "clinician")
    read(installation, "staff:7", at(1), range(6))
    read(installation, "staff:8", at(10), range(6))

    first, second = run(installation), run(installation)

    assert (first, second) == ({"days": 2, "alarms": 1}, {"days": 0, "alarms": 0})
    (alarm,) = rung(installation)
    assert (alarm.code, alarm.actor, alarm.case) == ("hours_unusual", "staff:7", None)
    assert alarm.detail == {"day": "2026-10-14", "patients": "6", "usual": "0"}


def test_cases_that_waited_for_nobody_ring_and_an_emergency_does_not(
    installation: Installation, owner: Connection
) -> None:
    cases_in(owner, Stage.ANSWERED, range(6))
    cases_in(owner, Stage.DRAFTED, range(10, 16))
    came_in(owner, "staff:7", "clinician")
    came_in(owner, "staff:8", "registrar")
    came_in(owner, "staff:9", "clinician")
    owner.execute(
        "insert into alarms (ref, code, raised_at, last_at, actor, detail, closed_at)"
        " values ('ALM-1', 'emergency_opened', now(), now(), 'staff:9', '{}', now())"
    )
    for number in range(3):
        owner.execute(
            "insert into emergencies (ref, case_ref, actor, opened_at, until, alarm_ref)"
            " values (%s, %s, 'staff:9', %s, %s, 'ALM-1')",
            (f"EMG-{number}", ref(number), at(10), at(11)),
        )
    read(installation, "staff:7", at(10), [0, 1, 10, 11])
    read(installation, "staff:8", at(10), [10, 11, 12])  # drafts wait for clinicians, not for her
    read(installation, "staff:9", at(10), [0, 1, 2])

    run(installation)

    assert [(alarm.actor, alarm.code) for alarm in rung(installation)] == [("staff:8", "no_relationship")]


def test_a_reader_who_never_came_in_is_named_by_her_mark(installation: Installation, owner: Connection) -> None:
    read(installation, "staff:666", at(10), [1, 2, 3])

    run(installation)

    row = owner.execute("select distinct encode(reader, 'hex') from log_leaves").fetchone()
    assert row is not None
    assert [alarm.actor for alarm in rung(installation)] == [f"reader:{row[0]}"]


def test_machines_and_searches_of_the_log_are_no_reading_of_patients(
    installation: Installation, owner: Connection
) -> None:
    came_in(owner, "staff:5", "auditor")
    read(installation, "office:collector", at(2), range(20))
    read(installation, "staff:5", at(10), [])
    for number in range(4):
        read(installation, "staff:5", at(11, number), [], subject=f"P-{number}")
        read(installation, "staff:5", at(22, number), [], subject=f"P-{number}")  # a fifth patient would ring
    read(installation, "staff:5", at(22, 30), [])

    assert run(installation) == {"days": 1, "alarms": 0}


def test_a_day_is_judged_when_it_has_ended_in_helsinki(installation: Installation, owner: Connection) -> None:
    cases_in(owner, Stage.DRAFTED, range(6))
    read(installation, "staff:7", at(22), range(6))

    early = run(installation, datetime(2026, 10, 14, 20, 59, tzinfo=UTC))
    late = run(installation, datetime(2026, 10, 14, 21, 1, tzinfo=UTC))

    assert (early["alarms"], late["alarms"]) == (0, 1)


def test_entries_from_the_future_or_the_past_hold_nothing_up(installation: Installation, owner: Connection) -> None:
    cases_in(owner, Stage.DRAFTED, range(9))
    read(installation, "staff:7", at(10, day=date(2199, 1, 1)), [0])
    read(installation, "staff:7", at(1), range(6))
    run(installation)
    read(installation, "staff:8", at(1, day=DAY - timedelta(days=90)), range(6))  # written later, dated back
    read(installation, "staff:8", at(10, day=DAY + timedelta(days=1)), [0])

    run(installation, NOW + timedelta(days=1))

    days = {alarm.detail["day"] for alarm in rung(installation) if alarm.code == "hours_unusual"}
    assert days == {DAY.isoformat(), (DAY - timedelta(days=90)).isoformat()}


def test_two_at_once_ring_once(installation: Installation, owner: Connection) -> None:
    cases_in(owner, Stage.DRAFTED, range(6))
    read(installation, "staff:7", at(1), range(6))
    done: list[dict[str, int]] = []
    workers = [threading.Thread(target=lambda: done.append(run(installation))) for _ in range(3)]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert sorted(one["alarms"] for one in done) == [0, 0, 1]
    assert [alarm.count for alarm in rung(installation)] == [1]


def test_nobody_else_has_the_place_until_the_transaction_ends(installation: Installation, owner: Connection) -> None:
    run(installation)
    with owner.transaction(), psycopg.connect(conninfo(installation.settings().database)) as other:
        position(owner, TASK)
        other.execute("set lock_timeout = '100ms'")

        with pytest.raises(psycopg.errors.LockNotAvailable):
            position(other, TASK)


def test_a_run_that_dies_at_an_alarm_leaves_none_and_the_next_rings_all(
    installation: Installation, owner: Connection
) -> None:
    cases_in(owner, Stage.DRAFTED, range(6))
    for number in range(3):
        read(installation, f"staff:{number}", at(1), range(6))
    owner.execute(
        "create function dies() returns trigger language plpgsql as $$ begin"
        " if (select count(*) from alarms where closed_at is null) = 2 then raise exception 'dead'; end if;"
        " return new; end $$"
    )
    owner.execute("create trigger dies before insert on alarms for each row execute function dies()")

    with pytest.raises(psycopg.errors.RaiseException):
        run(installation)
    owner.execute("drop function dies cascade")

    assert rung(installation) == []
    assert run(installation) == {"days": 3, "alarms": 3}
    assert len(rung(installation)) == 3


@pytest.mark.usefixtures("owner")
def test_the_keeper_opens_nothing_for_it(installation: Installation) -> None:
    read(installation, "staff:7", at(1), range(6))
    audit = installation.home / "keys" / "audit.jsonl"
    before = len(audit.read_text("ascii").splitlines())

    run(installation)

    lines = audit.read_text("ascii").splitlines()[before:]
    assert any('"mac"' in line for line in lines)
    assert [line for line in lines if "unwrap" in line or "unseal" in line] == []


def test_the_desk_notes_roles_once_a_day_and_when_they_change(owner: Connection) -> None:
    came_in(owner, "staff:7", "dpo")
    came_in(owner, "staff:7", "registrar", "clinician")
    note_reader(owner, "staff:7", ["clinician", "registrar"], NOW + timedelta(hours=1))

    row = owner.execute("select seen_at from readers").fetchone()
    assert row == (NOW,)
    assert readers(owner) == {"staff:7": frozenset({"clinician", "registrar"})}
