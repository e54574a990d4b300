"""Honey records on real servers: any look at one rings at once, the look goes on, and the tables name nobody."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from vault.accesslog.entries import Access
from vault.cli import main
from vault.domain.records import RecordKind
from vault.domain.roles import Purpose
from vault.steps import honey as honey_step
from vault.steps.alarms import alarms
from vault.storage.alarms import Alarm
from vault.storage.database import Database
from vault.testing import atrest, postgres
from vault.testing.canaries import search
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.patients import Patient, patients
from vault.testing.staff import DeskError

PEOPLE = list(patients(1, 4))
DRAFTED, OTHER = PEOPLE[1], PEOPLE[3]  # whose cases wait for review
KINDS = (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS)


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_rings(desk: RunningDesk) -> None:
    with owner(desk) as database, database.connect() as connection:
        connection.execute("truncate alarms, alarm_events, emergencies, honey cascade")


@contextmanager
def owner(desk: RunningDesk) -> Iterator[Database]:
    database = Database(desk.installation.settings().database)
    try:
        yield database
    finally:
        database.close()


def dsr(desk: RunningDesk, *words: str) -> tuple[int, dict[str, object]]:
    done = CliRunner(env={"DSR_CONFIG": str(desk.installation.config)}).invoke(main, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def honey(desk: RunningDesk) -> Patient:
    assert dsr(desk, "register", "honey", "add", DRAFTED.subject) == (0, {"subject": DRAFTED.subject, "added": True})
    return DRAFTED


def rung(desk: RunningDesk) -> list[Alarm]:
    return [row.alarm for row in alarms(desk.parts)]


def look_at(subject: str | None, purpose: Purpose = Purpose.REGISTER_KEEPING) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:collector",
        actor_name="collector",
        role="machine",
        purpose=purpose,
        legal_ground="GDPR Article 15",
        case=None,
        subject=subject,
        kinds=tuple(kind.value for kind in KINDS),
    )


def test_marks_are_set_listed_and_taken_away(desk: RunningDesk, honey: Patient) -> None:
    again = dsr(desk, "register", "honey", "add", honey.subject)
    listed = dsr(desk, "register", "honey", "list")
    gone = dsr(desk, "register", "honey", "remove", honey.subject)

    assert again == (0, {"subject": honey.subject, "added": False})
    assert listed == (0, {"subjects": [honey.subject], "strays": 0})
    assert gone == (0, {"subject": honey.subject, "removed": True})
    assert dsr(desk, "register", "honey", "remove", honey.subject)[0] == 1
    assert dsr(desk, "register", "honey", "list")[1] == {"subjects": [], "strays": 0}


@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize("ref", ["P-NOBODY", "", "P|X", "Ä"], ids=["unknown", "empty", "bar", "letter"])
def test_only_a_subject_of_the_register_is_marked(desk: RunningDesk, verb: str, ref: str) -> None:
    assert dsr(desk, "register", "honey", verb, ref)[0] == 1
    assert dsr(desk, "register", "honey", "list")[1] == {"subjects": [], "strays": 0}


def test_in_another_system_s_register_any_reference_is_marked(desk: RunningDesk) -> None:
    with desk.installation.office("registry") as parts:
        remote = parts.settings.register.model_copy(update={"kind": "fhir"})
        elsewhere = replace(parts, settings=parts.settings.model_copy(update={"register": remote}))

        assert honey_step.add(elsewhere, "abc-123")
        assert honey_step.marked(elsewhere) == ([], 1)


@pytest.mark.usefixtures("honey")
def test_a_clinician_who_opens_the_draft_rings_and_sees_it(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="301")

    assert "visits" in clinician.open_review(desk.cases["draft"])

    (alarm,) = rung(desk)
    assert (alarm.code, alarm.actor, alarm.case) == ("honey_read", "staff:301", desk.cases["draft"])
    assert alarm.detail == {"purpose": "review"}


@pytest.mark.usefixtures("honey")
def test_a_registrar_who_opens_the_particulars_rings(desk: RunningDesk) -> None:
    desk.staff("registrar", sub="302").open_identity(desk.cases["draft"])

    assert [(alarm.code, alarm.actor) for alarm in rung(desk)] == [("honey_read", "staff:302")]


def test_a_search_that_finds_it_rings_before_the_finder_is_told(desk: RunningDesk, honey: Patient) -> None:
    with desk.installation.office("collector") as parts:
        assert parts.register is not None
        receipt = parts.log.record([look_at(None, Purpose.IDENTIFY)])[0]
        found = parts.register.find(honey.code, receipt)

    assert found == honey.subject
    assert [(alarm.actor, alarm.detail) for alarm in rung(desk)] == [("office:collector", {"purpose": "identify"})]


def test_a_search_is_not_answered_when_the_alarm_fails(desk: RunningDesk, honey: Patient) -> None:
    with desk.installation.office("collector") as parts, owner(desk) as database:
        assert parts.register is not None
        receipt = parts.log.record([look_at(None, Purpose.IDENTIFY)])[0]
        with silenced(database), pytest.raises(Exception, match="alarms"):
            parts.register.find(honey.code, receipt)


@contextmanager
def silenced(database: Database) -> Iterator[None]:
    with database.connect() as connection:
        connection.execute("alter table alarms rename to alarms_away")
    try:
        yield
    finally:
        with database.connect() as connection:
            connection.execute("alter table alarms_away rename to alarms")


@pytest.mark.parametrize("office", ["collector", "sealer", "registry"])
def test_a_machine_that_reads_it_rings(desk: RunningDesk, honey: Patient, office: str) -> None:
    with desk.installation.office(office) as parts:
        assert parts.register is not None
        receipt = parts.log.record([look_at(honey.subject)])[0]
        records = parts.register.read(receipt, honey.subject, KINDS, case=None)

    assert len(records) == len(KINDS)
    assert [alarm.code for alarm in rung(desk)] == ["honey_read"]


@pytest.mark.usefixtures("honey")
def test_in_a_batch_the_one_look_rings(desk: RunningDesk) -> None:
    with desk.installation.office("collector") as parts:
        parts.log.record([look_at(person.subject) for person in PEOPLE])

    assert len(rung(desk)) == 1


def test_others_do_not_ring(desk: RunningDesk, honey: Patient) -> None:
    desk.staff("clinician", sub="303").open_review(desk.cases["draft_too"])
    with desk.installation.office("collector") as parts:
        parts.log.record([look_at(person.subject) for person in PEOPLE if person is not honey])

    assert rung(desk) == []


@pytest.mark.usefixtures("honey")
def test_an_alarm_that_can_not_be_raised_stops_the_look_and_its_entry(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="304")
    before = entries(desk)

    with owner(desk) as database, silenced(database), pytest.raises(DeskError, match="500 unexpected"):
        clinician.open_review(desk.cases["draft"])

    assert entries(desk) == before


def entries(desk: RunningDesk) -> int:
    with owner(desk) as database, database.connect() as connection:
        row = connection.execute("select count(*) from log_leaves").fetchone()
    return int(row[0]) if row else 0


def test_the_tables_name_nobody(desk: RunningDesk, honey: Patient) -> None:
    desk.staff("clinician", sub="305").open_review(desk.cases["draft"])
    settings = desk.installation.settings().database
    server = postgres.start(desk.installation.home / "postgres")

    (plain,) = (data for name, data in atrest.dumps(server, settings) if name.endswith("plain"))
    parts = [part for part in plain.split(b"\nCOPY public.") if part.startswith((b"honey ", b"alarms ", b"looks "))]

    assert len(parts) == 3
    tables = [(f"table {number}", part.split(b"\n\\.")[0]) for number, part in enumerate(parts)]
    assert search(tables, {"subject": honey.subject, "code": honey.code}) == []
    with owner(desk) as database, database.connect() as connection:
        marks = [bytes(row[0]) for row in connection.execute("select mark from honey").fetchall()]
        tags = [
            bytes(row[0]) for row in connection.execute("select tag from log_leaves where tag is not null").fetchall()
        ]
    assert len(marks) == 1
    assert not any(marks[0].startswith(tag) for tag in tags)  # else the log would say whose mark it is
