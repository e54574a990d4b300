"""The cap at the desk on real servers: every way to open counts, over it nothing opens, and it is told."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import sql

from vault.accesslog.entries import Access
from vault.domain.case import Case
from vault.domain.roles import Purpose
from vault.errors import LimitError
from vault.steps.alarms import AlarmRow, alarms
from vault.steps.casefile import CaseFile
from vault.steps.check import open_particulars
from vault.steps.parts import Parts, Staff
from vault.storage.alarms import raise_alarm
from vault.storage.cases import get_case
from vault.storage.database import Connection, Database
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.installation import Installation
from vault.testing.processes import wait_until
from vault.testing.staff import DeskError, StaffClient

LIMIT = 4
ROLES = frozenset({"registrar", "clinician"})


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk(patients_an_hour=LIMIT) as running:
        yield running


def rung(desk: RunningDesk, code: str, sub: str) -> list[AlarmRow]:
    return [row for row in alarms(desk.parts) if (row.alarm.code, row.alarm.actor) == (code, f"staff:{sub}")]


def looks_at(desk: RunningDesk, ref: str, sub: str) -> list[Access]:
    with desk.installation.office("audit") as parts:
        entries = [entry.access for entry in parts.log.case_entries(ref)]
    return [access for access in entries if access.actor == f"staff:{sub}"]


def marks_of(desk: RunningDesk, sub: str) -> int:
    with desk.parts.database.connect() as connection:
        row = connection.execute("select count(*) from looks where actor = %s", (f"staff:{sub}",)).fetchone()
    return int(row[0]) if row else 0


def case_of(desk: RunningDesk, ref: str) -> Case:
    with desk.parts.database.connect() as connection:
        return get_case(connection, ref)


def at_cap(desk: RunningDesk, sub: str, *roles: str, without: str) -> StaffClient:
    """Let a person come in who has opened as many cases as she may, and none of one name."""
    staff = Staff(sub, "Sari Staff", frozenset({"registrar"}))
    names = [name for name in ("asked", "unknown", "unknown_too", "undecryptable", "to_clear") if name != without]
    for name in names[:LIMIT]:
        open_particulars(desk.parts, staff, desk.cases[name])
    return desk.staff(*roles, sub=sub)


def test_one_more_than_the_limit_is_refused_and_everything_open_opens_again(desk: RunningDesk) -> None:
    registrar = at_cap(desk, "101", "registrar", without="strange")

    with pytest.raises(DeskError, match="429 cap_reached"):
        registrar.open_identity(desk.cases["strange"])

    assert registrar.open_identity(desk.cases["asked"])["stage"] == "asked"
    assert marks_of(desk, "101") == LIMIT
    assert desk.staff("registrar", sub="102").open_identity(desk.cases["strange"])["stage"] == "received"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("strange", "/identity/{ref}"),
        ("scan", "/identity/{ref}/original"),
        ("scan", "/identity/{ref}/original/pages/1.png"),
        ("undecryptable", "/identity/{ref}/mails/0123456789abcdef"),
        ("draft", "/review/{ref}"),
        ("draft", "/review/{ref}/documents/visits.pdf"),
        ("draft", "/review/{ref}/documents/visits/pages/1.png"),
    ],
    ids=["particulars", "scan", "scanned-page", "mail", "draft", "pdf", "page"],
)
def test_every_way_to_open_is_refused_at_the_cap(desk: RunningDesk, name: str, path: str) -> None:
    sub = f"11{path.count('/')}{name[0]}"
    staff = at_cap(desk, sub, *ROLES, without=name)
    opened = desk.installation.home.joinpath("keys", "audit.jsonl").read_text("ascii").count('"unseal"')

    with pytest.raises(DeskError, match="429 cap_reached"):
        staff.raw(path.format(ref=desk.cases[name]))

    assert desk.installation.home.joinpath("keys", "audit.jsonl").read_text("ascii").count('"unseal"') == opened


@pytest.mark.parametrize("verb", ["prove", "ask", "correct", "close"])
def test_every_form_is_refused_at_the_cap(desk: RunningDesk, verb: str) -> None:
    staff = at_cap(desk, f"12{verb}", "registrar", without="name_differs")
    ref = desk.cases["name_differs"]
    fields = {"evidence": "portal_login", "note": "seen", "question": "Who?", "name": "A B", "reason": "no"}
    before = case_of(desk, ref)

    answer = staff.http.post(
        f"/identity/{ref}/{verb}", data={**fields, "token": staff.token(), "closing": "no_request"}
    )

    assert (answer.status_code, "cap_reached" in answer.text) == (429, True)
    assert case_of(desk, ref) == before


def test_the_refused_attempt_is_logged_and_rings_once_with_a_count(desk: RunningDesk) -> None:
    registrar = at_cap(desk, "131", "registrar", without="to_close")

    for _ in range(3):
        with pytest.raises(DeskError, match="429"):
            registrar.open_identity(desk.cases["to_close"])

    logged = looks_at(desk, desk.cases["to_close"], "131")
    assert [(look.outcome, look.purpose, look.emergency) for look in logged] == [
        ("refused", Purpose.CASE_HANDLING, None)
    ] * 3
    (row,) = rung(desk, "cap_reached", "131")
    assert (row.alarm.count, row.alarm.detail) == (3, {"limit": str(LIMIT), "opened": str(LIMIT)})


def test_the_page_says_in_the_readers_language_what_to_do(desk: RunningDesk) -> None:
    registrar = at_cap(desk, "141", "registrar", without="strange")
    words = {"en": "break the glass for it", "fi": "tee hätäavaus", "sv": "gör en nödöppning"}

    for language, word in words.items():
        registrar.http.headers["Accept-Language"] = language
        answer = registrar.http.get(f"/identity/{desk.cases['strange']}")

        assert word in answer.text
        assert f"/cases/{desk.cases['strange']}/emergency" in answer.text


def test_a_case_and_its_subject_are_one_patient_whichever_draft_or_letter_it_is(desk: RunningDesk) -> None:
    staff = Staff("151", "Sari Staff", ROLES)

    for _ in range(2):
        CaseFile.open(desk.parts, desk.cases["draft"], Purpose.REVIEW, subject="P-ONE", staff=staff)
        CaseFile.open(desk.parts, desk.cases["draft_too"], Purpose.REVIEW, subject="P-ONE", staff=staff)

    assert marks_of(desk, "151") == 1


def test_machines_are_not_counted(desk: RunningDesk) -> None:
    for name in ("asked", "unknown", "unknown_too", "undecryptable", "to_clear", "strange"):
        CaseFile.open(desk.parts, desk.cases[name], Purpose.CASE_HANDLING)

    with desk.parts.database.connect() as connection:
        assert connection.execute("select 1 from looks where actor like 'office:%'").fetchone() is None


def test_an_hour_later_the_place_is_free_again(desk: RunningDesk) -> None:
    registrar = at_cap(desk, "161", "registrar", without="strange")
    back_in_time(desk, "looks", "161")

    assert registrar.open_identity(desk.cases["strange"])["stage"] == "received"
    assert marks_of(desk, "161") == 1


def test_what_is_opened_again_counts_from_then(desk: RunningDesk) -> None:
    staff = Staff("165", "Sari Staff", frozenset({"registrar"}))
    for _ in range(2):
        open_particulars(desk.parts, staff, desk.cases["asked"])
        back_in_time(desk, "looks", "165", minutes=40)

    open_particulars(desk.parts, staff, desk.cases["unknown"])

    assert marks_of(desk, "165") == 2  # opened first 80 minutes ago, and last 40 minutes ago


def test_nothing_is_opened_when_nothing_can_be_counted(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar", sub="171")
    owner = Database(desk.installation.settings().database)

    with owner.connect() as connection:
        connection.execute("alter table looks rename to looks_away")
    try:
        with pytest.raises(DeskError, match="500 unexpected"):
            registrar.open_identity(desk.cases["strange"])
    finally:
        with owner.connect() as connection:
            connection.execute("alter table looks_away rename to looks")
        owner.close()

    assert looks_at(desk, desk.cases["strange"], "171") == []
    assert registrar.open_identity(desk.cases["strange"])["stage"] == "received"


def test_processes_that_race_for_the_last_place_open_exactly_as_many_as_the_limit(desk: RunningDesk) -> None:
    refs = [desk.cases[name] for name in ("asked", "unknown", "unknown_too", "undecryptable", "to_clear", "strange")]
    orders = [refs, refs[3:] + refs[:3]]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vault.testing.road"])

    with ProcessPoolExecutor(len(orders), mp_context=context) as pool:
        with desk.parts.database.connect() as connection:
            connection.execute("select pg_advisory_xact_lock(hashtextextended('staff:181', 7045))")
            running = [pool.submit(open_all, desk.installation.home, order, "181") for order in orders]
            wait_until(lambda: waiting_for_a_lock(connection) == len(orders), "every process at the lock")
        opened = {ref for done in running for ref in done.result(timeout=60)}

    assert len(opened) == LIMIT
    assert marks_of(desk, "181") == LIMIT


def waiting_for_a_lock(connection: Connection) -> int:
    row = connection.execute("select count(*) from pg_locks where locktype = 'advisory' and not granted").fetchone()
    return int(row[0]) if row else 0


def open_all(home: Path, refs: list[str], sub: str) -> list[str]:
    """Try each case in a process of its own; return those that opened."""
    staff = Staff(sub, "Sari Staff", frozenset({"registrar"}))
    with Installation(home).office("desk") as parts:
        return [ref for ref in refs if opens(parts, staff, ref)]


def opens(parts: Parts, staff: Staff, ref: str) -> bool:
    try:
        open_particulars(parts, staff, ref)
    except LimitError:
        return False
    return True


def test_whoever_comes_near_the_cap_for_the_third_time_is_shown(desk: RunningDesk) -> None:
    staff = Staff("191", "Sari Staff", frozenset({"registrar"}))
    refs = [desk.cases[name] for name in ("asked", "unknown", "unknown_too")]  # three of four is near
    alarmed = []

    for _ in range(3):
        for ref in refs:
            open_particulars(desk.parts, staff, ref)
        alarmed.append(len(rung(desk, "cap_near", "191")))
        with desk.parts.database.connect() as connection:  # two hours later
            connection.execute("delete from looks where actor = 'staff:191'")
        back_in_time(desk, "near_caps", "191")

    assert alarmed == [0, 0, 1]


def back_in_time(desk: RunningDesk, table: str, sub: str, *, minutes: int = 120) -> None:
    """Make a person's counts older."""
    statement = sql.SQL("update {} set at = at - %s where actor = %s").format(sql.Identifier(table))
    owner = Database(desk.installation.settings().database)
    with owner.connect() as connection:
        connection.execute(statement, (timedelta(minutes=minutes), f"staff:{sub}"))
    owner.close()


def ring(desk: RunningDesk, code: str, sub: str) -> str:
    with desk.parts.database.connect() as connection:
        return raise_alarm(connection, code, at=desk.parts.now(), actor=f"staff:{sub}", case=desk.cases["asked"])


def close(staff: StaffClient, ref: str, why: str) -> None:
    form = staff.page(f"/alarms/{ref}").all("form", action=f"/alarms/{ref}/close")
    if not form:
        raise DeskError(404, "no_such_form")
    staff.send(form[0], {"why": why})


def test_the_officer_closes_an_alarm_with_a_word_that_stays(desk: RunningDesk) -> None:
    ref, dpo = ring(desk, "cap_reached", "401"), desk.staff("dpo", sub="402")
    assert [row.attributes["data-alarm"] for row in dpo.page("/").all("tr", data_alarm_ref=ref)] == ["cap_reached"]

    close(dpo, ref, "measures_taken")

    assert dpo.page("/").all("tr", data_alarm_ref=ref) == []
    with desk.parts.database.connect() as connection:
        row = connection.execute("select actor, event, why from alarm_events where alarm_ref = %s", (ref,)).fetchone()
    assert row == ("staff:402", "closed", "measures_taken")


@pytest.mark.parametrize(
    ("sub", "why", "fault"),
    [("403", "explained", "403 own_alarm"), ("404", "because", "422 why_missing"), ("404", "", "422 why_missing")],
    ids=["own", "unknown-word", "no-word"],
)
def test_an_alarm_is_not_closed(desk: RunningDesk, sub: str, why: str, fault: str) -> None:
    ref, dpo = ring(desk, "cap_near", "403"), desk.staff("dpo", sub=sub)

    answer = dpo.http.post(f"/alarms/{ref}/close", data={"why": why, "token": dpo.token()})

    assert f"{answer.status_code} {fault.split()[1]}" == fault
    assert fault.split()[1] in answer.text
    assert dpo.page(f"/alarms/{ref}").text


def test_the_auditor_sees_alarms_and_closes_none_and_others_see_none(desk: RunningDesk) -> None:
    ref = ring(desk, "a_rule_of_tomorrow", "405")
    auditor = desk.staff("auditor", sub="406")

    assert "Something rang" in auditor.page(f"/alarms/{ref}").text  # a code that no text knows
    assert auditor.page(f"/alarms/{ref}").all("form", id="close") == []
    for role in ("clinician", "registrar", "operator"):
        assert desk.staff(role, sub="407").page("/").all("tr", data_alarm_ref=None) == []


def test_an_alarm_that_is_not_there_is_a_page_that_says_so(desk: RunningDesk) -> None:
    with pytest.raises(DeskError, match="404 no_such_alarm"):
        desk.staff("dpo").page("/alarms/ALM-0000000000")
