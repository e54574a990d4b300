"""Breaking the glass at the desk on real servers: one case, a reason, a short time, an alarm, a second person."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vault.accesslog.entries import Access
from vault.errors import LimitError, NotAllowedError, RefusedError
from vault.steps.alarms import AlarmRow, alarms
from vault.steps.check import open_particulars
from vault.steps.emergency import break_glass, case_emergencies, read_reason, review_emergency
from vault.steps.parts import Staff
from vault.storage.database import Database
from vault.storage.emergencies import Emergency
from vault.testing import atrest, postgres
from vault.testing.canaries import search
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.htmlpage import Element
from vault.testing.staff import DeskError, StaffClient

LIMIT = 3
REASON = "She writes that she will harm herself tonight."
WORDS = "The letter spoke of danger, and the police was called."


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk(patients_an_hour=LIMIT) as running:
        yield running


def broken(desk: RunningDesk, staff: StaffClient, name: str, reason: str = REASON) -> Element:
    """Break the glass for a case with the form on its page."""
    path = f"/cases/{desk.cases[name]}/emergency"
    return staff.send(staff.page(path).all("form", action=path)[0], {"reason": reason})


def emergency_of(desk: RunningDesk, name: str, sub: str) -> Emergency:
    found = case_emergencies(desk.parts, desk.cases[name])
    return next(item for item in found if item.actor == f"staff:{sub}")


def rung(desk: RunningDesk, code: str, sub: str) -> list[AlarmRow]:
    return [row for row in alarms(desk.parts) if (row.alarm.code, row.alarm.actor) == (code, f"staff:{sub}")]


def looks_at(desk: RunningDesk, name: str, sub: str) -> list[Access]:
    with desk.installation.office("audit") as parts:
        entries = [entry.access for entry in parts.log.case_entries(desk.cases[name])]
    return [access for access in entries if access.actor == f"staff:{sub}"]


def as_owner(desk: RunningDesk, statement: str) -> None:
    owner = Database(desk.installation.settings().database)
    with owner.connect() as connection:
        connection.execute(statement.encode())
    owner.close()


def test_a_clinician_opens_one_letter_for_a_reason_and_nothing_else(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="201")
    with pytest.raises(DeskError, match="403 not_a_registrar"):
        clinician.open_identity(desk.cases["unknown"])

    page = broken(desk, clinician, "unknown")

    assert "You broke the glass for this case." in page.text
    assert clinician.open_identity(desk.cases["unknown"])["stage"] == "checking"
    with pytest.raises(DeskError, match="403 not_a_registrar"):
        clinician.open_identity(desk.cases["unknown_too"])
    with pytest.raises(DeskError, match="403 role_refused"):
        clinician.page("/identity")
    assert clinician.page(f"/identity/{desk.cases['unknown']}").all("textarea") == []  # she sees, and decides nothing


def test_a_clinician_sees_the_scan_too(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="202")
    broken(desk, clinician, "scan")

    assert clinician.raw(f"/identity/{desk.cases['scan']}/original/pages/1.png").startswith(b"\x89PNG")


def test_the_log_says_emergency_with_the_reason_before_anything_is_shown(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="203")
    broken(desk, clinician, "asked")
    clinician.open_identity(desk.cases["asked"])

    first, second = looks_at(desk, "asked", "203")

    assert (first.emergency, first.outcome) == (REASON, "granted")
    assert second.emergency == f"emergency {emergency_of(desk, 'asked', '203').ref}"


def test_at_the_cap_a_registrar_breaks_the_glass_for_one_case(desk: RunningDesk) -> None:
    staff = Staff("204", "Sari Staff", frozenset({"registrar"}))
    for name in ("asked", "to_clear", "undecryptable"):
        open_particulars(desk.parts, staff, desk.cases[name])
    registrar = desk.staff("registrar", sub="204")

    broken(desk, registrar, "unknown")

    assert registrar.open_identity(desk.cases["unknown"])["stage"] == "checking"
    with pytest.raises(DeskError, match="429 cap_reached"):
        registrar.open_identity(desk.cases["strange"])


def test_nobody_breaks_what_is_open_to_her(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar", sub="205")

    with pytest.raises(DeskError, match="422 emergency_not_needed"):
        broken(desk, registrar, "unknown")

    assert not rung(desk, "emergency_opened", "205")


@pytest.mark.parametrize("reason", ["", "urgent", "now now now now now now now"])
def test_a_reason_that_is_none_is_asked_for_again(desk: RunningDesk, reason: str) -> None:
    clinician = desk.staff("clinician", sub="206")
    path = f"/cases/{desk.cases['unknown']}/emergency"
    form = clinician.page(path).all("form", action=path)[0]

    answer = clinician.http.post(path, data={**form.fields(), "reason": reason})

    assert (answer.status_code, "reason-fault" in answer.text) == (422, True)
    assert not rung(desk, "emergency_opened", "206")
    assert not looks_at(desk, "unknown", "206")


def test_it_ends_by_itself(desk: RunningDesk) -> None:
    clinician = desk.staff("clinician", sub="207")
    broken(desk, clinician, "unknown")
    clinician.open_identity(desk.cases["unknown"])
    as_owner(desk, "update emergencies set until = now() - interval '1 second' where actor = 'staff:207'")

    with pytest.raises(DeskError, match="403 not_a_registrar"):
        clinician.open_identity(desk.cases["unknown"])


def test_asking_twice_opens_one(desk: RunningDesk) -> None:
    staff = Staff("208", "Sari Staff", frozenset({"clinician"}))
    first, second = (break_glass(desk.parts, staff, desk.cases["unknown"], REASON) for _ in range(2))

    assert first == second
    assert [row.alarm.count for row in rung(desk, "emergency_opened", "208")] == [1]


def test_the_glass_is_no_door(desk: RunningDesk) -> None:
    staff = Staff("210", "Sari Staff", frozenset({"clinician"}))
    first = ("unknown", "unknown_too", "asked", "scan", "strange")
    for name in first:
        break_glass(desk.parts, staff, desk.cases[name], REASON)

    with pytest.raises(LimitError, match="emergencies_reached"):
        break_glass(desk.parts, staff, desk.cases["to_clear"], REASON)

    assert [(look.outcome, look.emergency) for look in looks_at(desk, "to_clear", "210")] == [("refused", REASON)]
    assert [row.alarm.case for row in rung(desk, "emergencies_reached", "210")] == [desk.cases["to_clear"]]
    with pytest.raises(NotAllowedError, match="not_a_registrar"):
        open_particulars(desk.parts, staff, desk.cases["to_clear"])
    assert break_glass(desk.parts, staff, desk.cases["asked"], REASON).case == desk.cases["asked"]  # that is open


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_other_roles_break_nothing(desk: RunningDesk, role: str) -> None:
    with pytest.raises(NotAllowedError, match="not_staff"):
        break_glass(desk.parts, Staff("209", "Sari Staff", frozenset({role})), desk.cases["unknown"], REASON)


def test_the_officer_sees_it_reviews_it_and_the_alarm_closes(desk: RunningDesk) -> None:
    broken(desk, desk.staff("clinician", sub="211"), "unknown_too")
    emergency = emergency_of(desk, "unknown_too", "211")
    dpo = desk.staff("dpo", sub="212")
    assert [row.attributes["data-alarm-ref"] for row in dpo.page("/").all("tr", data_alarm="emergency_opened")]

    page = dpo.page(f"/emergencies/{emergency.ref}")
    assert page.all(data_field="reason")[0].text == REASON
    form = page.all("form", action=f"/emergencies/{emergency.ref}")[0]
    dpo.send(form, {"verdict": "justified", "words": WORDS})

    assert not rung(desk, "emergency_opened", "211")
    reviewed = emergency_of(desk, "unknown_too", "211")
    assert (reviewed.verdict, reviewed.reviewed_by) == ("justified", "staff:212")
    assert dpo.page(f"/emergencies/{emergency.ref}").all(data_field="words")[0].text == WORDS
    assert "Justified" in dpo.page(f"/cases/{desk.cases['unknown_too']}").text
    with pytest.raises(DeskError, match="409 emergency_reviewed"):
        dpo.send(form, {"verdict": "not_justified", "words": WORDS})
    assert [look.purpose for look in looks_at(desk, "unknown_too", "212")][:1] == ["audit"]


def test_one_that_was_not_justified_rings_anew(desk: RunningDesk) -> None:
    clinician = Staff("213", "Sari Staff", frozenset({"clinician"}))
    emergency = break_glass(desk.parts, clinician, desk.cases["unknown"], REASON)

    review_emergency(desk.parts, dpo_of("214"), emergency.ref, "not_justified", WORDS)

    (row,) = rung(desk, "emergency_not_justified", "213")
    assert (row.alarm.case, row.alarm.detail) == (desk.cases["unknown"], {"emergency": emergency.ref})


def dpo_of(sub: str) -> Staff:
    return Staff(sub, "Dora Dpo", frozenset({"dpo"}))


def test_nobody_reviews_her_own_and_nobody_but_the_officer(desk: RunningDesk) -> None:
    both = Staff("215", "Sari Staff", frozenset({"clinician", "dpo"}))
    for name in ("asked", "to_clear", "undecryptable"):
        open_particulars(desk.parts, both, desk.cases[name])
    emergency = break_glass(desk.parts, both, desk.cases["unknown"], REASON)

    with pytest.raises(NotAllowedError, match="own_emergency"):
        review_emergency(desk.parts, both, emergency.ref, "justified", WORDS)
    with pytest.raises(NotAllowedError, match="not_an_officer"):
        review_emergency(desk.parts, Staff("216", "R", frozenset({"registrar"})), emergency.ref, "justified", WORDS)
    with pytest.raises(RefusedError, match="review_missing"):
        review_emergency(desk.parts, dpo_of("217"), emergency.ref, "fine", WORDS)
    with pytest.raises(RefusedError, match="review_missing"):
        review_emergency(desk.parts, dpo_of("217"), emergency.ref, "justified", "  ")

    assert desk.staff("dpo", "clinician", sub="215").page(f"/emergencies/{emergency.ref}").all("textarea") == []
    assert [row.emergencies for row in rung(desk, "emergency_opened", "215")] == [(emergency.ref,)]


def test_the_alarm_is_not_closed_by_hand_and_ages_on_the_board(desk: RunningDesk) -> None:
    break_glass(desk.parts, Staff("218", "Sari Staff", frozenset({"clinician"})), desk.cases["unknown"], REASON)
    (row,) = rung(desk, "emergency_opened", "218")
    as_owner(desk, "update alarms set raised_at = raised_at - interval '4 days' where actor = 'staff:218'")
    dpo = desk.staff("dpo", sub="219")

    answer = dpo.http.post(f"/alarms/{row.alarm.ref}/close", data={"why": "explained", "token": dpo.token()})

    assert (answer.status_code, "review_first" in answer.text) == (409, True)
    first = dpo.page("/").all("tr", data_alarm=None)[0]
    assert first.attributes["data-alarm-ref"] == row.alarm.ref  # the oldest without review stands first
    assert "Review overdue: 4 days open" in first.text


def test_reasons_stand_sealed_and_nowhere_in_plain(desk: RunningDesk) -> None:
    canary = "Kirjeessä uhataan lasta qvxzkanari, soitan poliisille"
    clinician = Staff("220", "Sari Staff", frozenset({"clinician"}))

    emergency = break_glass(desk.parts, clinician, desk.cases["unknown"], canary)
    review_emergency(desk.parts, dpo_of("221"), emergency.ref, "justified", "qvxzkanari oli totta")

    assert read_reason(desk.parts, dpo_of("222"), emergency.ref)[1] == canary
    server = postgres.start(desk.installation.home / "postgres")
    assert search(atrest.dumps(server, desk.installation.settings().database), {"reason": "qvxzkanari"}) == []


def test_the_last_one_of_a_day_is_opened_once_by_many_clicks(desk: RunningDesk) -> None:
    staff = Staff("230", "Sari Staff", frozenset({"clinician"}))
    for name in ("unknown", "unknown_too", "asked", "scan"):
        break_glass(desk.parts, staff, desk.cases[name], REASON)

    with ThreadPoolExecutor(4) as pool:
        ref = desk.cases["strange"]
        opened = list(pool.map(lambda _: break_glass(desk.parts, staff, ref, REASON), range(4)))

    assert len({emergency.ref for emergency in opened}) == 1
    assert rung(desk, "emergencies_reached", "230") == []
