"""The auditor's page on real servers: what is searched is found, each search is an entry, nothing goes unlogged."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from vault.accesslog.entries import Access
from vault.accesslog.search import KIND, LOOKED, SHOWN, Hits, LogSearch, Query
from vault.desk.app import create_app
from vault.domain.alarms import AlarmCode
from vault.domain.calendar import HELSINKI
from vault.domain.roles import OfficeName, Purpose
from vault.errors import NoReceiptError, NotAllowedError, OutOfReachError, TamperedError
from vault.office import holds
from vault.steps.audit import Auditing
from vault.steps.parts import Parts, Staff
from vault.steps.review import open_draft
from vault.storage.alarms import raise_alarm
from vault.storage.readers import readers
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.htmlpage import Element
from vault.testing.staff import DeskError, StaffClient, sign_assertion

AUDITOR = Staff("50", "Aino Auditor", frozenset({"auditor"}))
CLINICIAN = Staff("60", "Kaisa <b>Clinician</b>", frozenset({"clinician"}))


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        open_draft(running.parts, running.cases["draft"], Purpose.REVIEW, CLINICIAN)
        yield running


@pytest.fixture(scope="module")
def audit(desk: RunningDesk) -> Iterator[Parts]:
    with desk.installation.office("audit") as parts:
        yield parts


def subject_of(desk: RunningDesk, name: str) -> str:
    with desk.parts.database.connect() as connection:
        row = connection.execute("select subject from cases where ref = %s", (desk.cases[name],)).fetchone()
    assert row is not None
    return str(row[0])


def size(audit: Parts) -> int:
    with audit.database.connect() as connection:
        row = connection.execute("select coalesce(max(idx) + 1, 0) from log_leaves").fetchone()
    return int(row[0]) if row else 0


def looks(desk: RunningDesk, actor: str, count: int, *, when: datetime, subject: str | None = None) -> None:
    """Log looks of somebody, a second apart."""
    look = Access(
        at=when,
        actor=actor,
        actor_name="Sari Staff",
        role="registrar",
        purpose=Purpose.CASE_HANDLING,
        legal_ground="GDPR 6(1)(c)",
        case=desk.cases["unknown"] if subject is None else None,
        subject=subject,
        kinds=("case_file",),
    )
    with desk.installation.office("desk") as parts:
        parts.log.record([replace(look, at=when + timedelta(seconds=number)) for number in range(count)])


def test_whoever_comes_in_is_noted_with_her_roles(desk: RunningDesk) -> None:
    desk.staff("auditor", "dpo", sub="59")

    with desk.installation.office("keeper") as parts, parts.database.connect() as connection:
        assert readers(connection)["staff:59"] == {"auditor", "dpo"}


def rows(page: Element) -> list[dict[str, str]]:
    return [dict(row.attributes) for row in page.all("tr", data_index=None)]


def search(client: StaffClient, **fields: str) -> Element:
    form = client.page("/audit").all("form", id="search")[0]
    return client.send(form, fields)


def test_a_reader_s_looks_are_found_with_name_role_purpose_and_patient(desk: RunningDesk) -> None:
    page = search(desk.staff("auditor", sub="50"), reader="60")

    (row,) = rows(page)
    told = page.all("tr", data_index=row["data-index"])[0].text
    assert (row["data-actor"], row["data-purpose"], row["data-outcome"]) == ("staff:60", "review", "granted")
    assert CLINICIAN.name in told  # its letters, not its markup
    assert desk.cases["draft"] in told
    assert subject_of(desk, "draft") in told
    assert "health-care professional" in told


def test_a_patient_s_looks_are_found_by_reference_and_by_case(desk: RunningDesk) -> None:
    auditor = desk.staff("auditor", sub="51")

    by_subject = rows(search(auditor, patient=subject_of(desk, "draft")))
    by_case = rows(search(auditor, patient=desk.cases["draft"].lower()))

    assert {"office:collector", "staff:60"} <= {row["data-actor"] for row in by_subject}
    assert by_subject[0]["data-actor"] == "staff:51"  # the search itself, before it was made
    assert {row["data-actor"] for row in by_case} >= {"office:collector", "staff:60"}


def test_days_are_helsinki_s_and_purposes_are_told_apart(desk: RunningDesk) -> None:
    auditor, day = desk.staff("auditor", sub="52"), date(2026, 3, 10)
    midnight = datetime(2026, 3, 10, tzinfo=HELSINKI)
    for number, when in enumerate((midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=1))):
        looks(desk, f"staff:70{number}", 1, when=when)

    on_the_day = rows(search(auditor, first=day.isoformat(), last=day.isoformat()))
    other = rows(search(auditor, first=day.isoformat(), last=day.isoformat(), purpose="review"))

    assert [row["data-actor"] for row in on_the_day] == ["staff:701"]
    assert other == []


def test_each_search_and_each_further_page_is_an_entry_of_its_own(desk: RunningDesk, audit: Parts) -> None:
    looks(desk, "staff:710", SHOWN + 5, when=datetime(2026, 3, 20, 9, tzinfo=UTC))
    auditor = desk.staff("dpo", sub="53", name="Dora Officer")
    before = size(audit)

    first = search(auditor, reader="710")
    second = auditor.send(first.all("form", id="older")[0], {})

    assert (len(rows(first)), len(rows(second))) == (SHOWN, 5)
    assert not second.all("form", id="older")
    indexes = [int(row["data-index"]) for row in rows(first) + rows(second)]
    assert indexes == sorted(indexes, reverse=True)
    assert size(audit) == before + 2
    entries = rows(search(auditor, reader="53"))
    assert [row["data-purpose"] for row in entries] == ["audit"] * 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "Name a reader"),
        ({"purpose": "review"}, "Name a reader"),
        ({"reader": "7; drop"}, "Write the number"),
        ({"reader": "reader:xyz"}, "Write the number"),
        ({"patient": "010594-9032 x"}, "register&#39;s reference"),
        ({"patient": "DSR-2026-OOOOOO/.."}, "register&#39;s reference"),
        ({"first": "tomorrow"}, "Write the days"),
        ({"last": "9999-12-31"}, "Write the days"),
        ({"first": "2026-03-11", "last": "2026-03-10"}, "Write the days"),
        ({"reader": "7\x00"}, "Write the number"),
    ],
)
def test_a_malformed_search_is_asked_for_again_and_logged_by_nobody(
    desk: RunningDesk, audit: Parts, fields: dict[str, str], code: str
) -> None:
    auditor = desk.staff("auditor", sub="54")
    form = auditor.page("/audit").all("form", id="search")[0].fields()
    before = size(audit)

    answer = auditor.http.post("/audit", data={**form, **fields})

    assert answer.status_code == 422
    assert code in answer.text
    assert size(audit) == before


@pytest.mark.parametrize("fields", [{"purpose": "theft", "reader": "1"}, {"before": "-3", "reader": "1"}])
def test_a_strange_purpose_or_place_asks_for_nothing(desk: RunningDesk, fields: dict[str, str]) -> None:
    auditor = desk.staff("auditor", sub="55")
    form = auditor.page("/audit").all("form", id="search")[0].fields()

    assert auditor.http.post("/audit", data={**form, **fields}).status_code == 200


@pytest.mark.parametrize("role", ["clinician", "registrar", "operator"])
def test_others_find_no_way_in(desk: RunningDesk, audit: Parts, role: str) -> None:
    before = size(audit)

    with pytest.raises(DeskError, match="403 role_refused"):
        desk.staff(role).page("/audit")
    with pytest.raises(NotAllowedError, match="not_an_auditor"):
        Auditing(audit).find(Staff("9", "x", frozenset({role})), Query(actor="staff:1"))

    assert size(audit) == before


def test_a_search_term_stands_in_no_address_and_no_log_of_the_key_service(desk: RunningDesk) -> None:
    auditor, subject = desk.staff("auditor", sub="56"), subject_of(desk, "draft_too")

    page = search(auditor, patient=subject)

    addresses = [link.attributes.get("href", "") for link in page.all("a")]
    addresses += [form.attributes.get("action", "") for form in page.all("form")]
    assert not any(subject in address for address in addresses)


def test_a_mark_out_of_an_alarm_finds_the_reader_whom_nobody_can_name(desk: RunningDesk, audit: Parts) -> None:
    looks(desk, "staff:720", 1, when=datetime(2026, 3, 21, 9, tzinfo=UTC))
    with audit.database.connect() as connection:
        row = connection.execute("select encode(reader, 'hex') from log_leaves order by idx desc limit 1").fetchone()
    assert row is not None

    found = rows(search(desk.staff("auditor", sub="57"), reader=f"reader:{row[0]}"))

    assert [one["data-actor"] for one in found] == ["staff:720"]


def test_a_look_without_a_case_is_opened_by_whoever_has_a_log_key(desk: RunningDesk) -> None:
    looks(desk, "staff:730", 2, when=datetime(2026, 3, 22, 9, tzinfo=UTC), subject="P-NOWHERE.1")

    page = search(desk.staff("auditor", sub="58"), reader="730")

    assert len(rows(page)) == 2
    assert "P-NOWHERE.1" in page.text


def test_from_an_alarm_it_is_one_press_to_what_was_read_that_day(desk: RunningDesk) -> None:
    day, other = (datetime(2026, 3, number, 9, tzinfo=UTC) for number in (26, 27))
    for when in (day, other):
        looks(desk, "staff:760", 1, when=when)
    with desk.parts.database.connect() as connection:
        detail = {"day": "2026-03-26", "patients": "6", "usual": "0"}
        ref = raise_alarm(connection, AlarmCode.HOURS_UNUSUAL, at=other, actor="staff:760", detail=detail)
    officer = desk.staff("dpo", sub="59")

    found = rows(officer.send(officer.page(f"/alarms/{ref}").all("form", id="search-alarm")[0], {}))

    assert [row["data-actor"] for row in found] == ["staff:760"]


def find(audit: Parts, query: Query, staff: Staff = AUDITOR) -> Hits:
    return Auditing(audit).find(staff, query)


def test_a_purpose_is_looked_for_among_so_many_and_no_more(desk: RunningDesk, audit: Parts) -> None:
    looks(desk, "staff:740", LOOKED + 1, when=datetime(2026, 3, 23, 9, tzinfo=UTC))

    none = find(audit, Query(actor="staff:740", purpose=Purpose.REVIEW))
    rest = find(audit, Query(actor="staff:740", purpose=Purpose.REVIEW, before=none.older))
    some = find(audit, Query(actor="staff:740", purpose=Purpose.CASE_HANDLING))

    assert (len(none.entries), none.older is None, rest.older) == (0, False, None)
    assert (len(some.entries), some.older) == (SHOWN, some.entries[-1].index)


def test_without_a_receipt_for_this_very_search_nothing_is_opened(desk: RunningDesk, audit: Parts) -> None:
    log_search = LogSearch(audit.log, audit.database, audit.keys, audit.service)
    look = Access(
        at=datetime.now(UTC),
        actor="staff:50",
        actor_name="Aino Auditor",
        role="auditor",
        purpose=Purpose.AUDIT,
        legal_ground="Act 703/2023 s. 11",
        case=None,
        subject="P-ONE",
        kinds=(KIND,),
    )
    (receipt,) = audit.log.record([look])

    with pytest.raises(NoReceiptError, match="receipt_elsewhere"):
        log_search.find(receipt, Query(subject="P-TWO"))
    log_search.find(receipt, Query(subject="P-ONE"))
    with pytest.raises(NoReceiptError, match="receipt_unknown"):
        log_search.find(receipt, Query(subject="P-ONE"))
    assert desk.cases


def test_a_search_that_can_t_be_logged_is_not_made(audit: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    auditing, made = Auditing(audit), []

    def away(*_: object, **__: object) -> None:
        raise OutOfReachError("database_away", "try again")

    monkeypatch.setattr(type(audit.log), "record", away)
    monkeypatch.setattr(LogSearch, "find", lambda *_: made.append(1))

    with pytest.raises(OutOfReachError):
        auditing.find(AUDITOR, Query(actor="staff:1"))

    assert made == []


def test_an_edited_entry_stops_the_page(desk: RunningDesk, audit: Parts) -> None:
    looks(desk, "staff:750", 1, when=datetime(2026, 3, 24, 9, tzinfo=UTC))
    with desk.installation.owner() as owner:
        owner.execute(
            "update log_leaves set case_ref = 'DSR-2026-000000' where idx = (select max(idx) from log_leaves)"
        )

    with pytest.raises(TamperedError, match="entry_differs"):
        find(audit, Query(actor="staff:750"))


def test_a_desk_without_the_audit_office_says_so(desk: RunningDesk) -> None:
    assertion = sign_assertion(desk.installation.assertion_key, ["dpo"])
    officer = StaffClient(TestClient(create_app(desk.parts), base_url=desk.url), assertion)

    page = officer.page("/audit")
    answer = officer.http.post("/audit", data={"token": officer.token(), "reader": "7"})

    assert page.all("p", id="not-here")
    assert not page.all("form", id="search")
    assert (answer.status_code, "search_not_here" in answer.text) == (422, True)


def test_an_office_is_held_where_its_token_and_its_password_lie(desk: RunningDesk, tmp_path: Path) -> None:
    settings = desk.installation.settings()
    gone = {"audit": tmp_path / "not-mounted"}
    without_token = settings.model_copy(update={"keys": settings.keys.model_copy(update={"token_files": gone})})
    without_password = settings.model_copy(
        update={"database": settings.database.model_copy(update={"password_files": {}})}
    )

    assert holds(settings, OfficeName.AUDIT)
    assert not holds(without_token, OfficeName.AUDIT)
    assert not holds(without_password, OfficeName.AUDIT)
