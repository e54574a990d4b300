"""What runs seldom runs under its office's own role too: reminders, purging, a person's look after a year."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from vault.domain.case import Event, Stage
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError
from vault.steps import check
from vault.steps.casefile import access, case_owner, record
from vault.steps.keep import keep
from vault.steps.parts import Parts
from vault.steps.queue import human_tasks
from vault.steps.remind import remind
from vault.steps.review import task_closed
from vault.testing.road import REGISTRAR, Road, ask_requester, travelled

YEARS = timedelta(days=4 * 366)


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def later(parts: Parts, by: timedelta) -> Parts:
    """Set an office's clock forward."""

    def now() -> datetime:
        return parts.now() + by

    return replace(parts, now=now)


def test_the_keeper_purges_a_case_whose_retention_has_ended_and_no_other(road: Road) -> None:
    closed, still_open = road.bring(Stage.RECEIVED), road.bring(Stage.RECEIVED)
    with road.installation.office("desk") as parts:
        check.close_as(parts, REGISTRAR, closed, Event.FOUND_NO_REQUEST, "An advertisement.")

    with road.installation.office("keeper") as parts:
        assert keep(parts)["cases"] == 0
        assert keep(later(parts, YEARS))["cases"] == 1
        assert keep(later(parts, YEARS))["cases"] == 0

    with road.installation.office("collector") as parts:
        assert parts.keys.owner_key(case_owner(still_open))
        with pytest.raises(KeyMissingError):
            parts.keys.owner_key(case_owner(closed))
    assert road.kinds(closed)[Event.PURGED] == 1
    with road.installation.owner() as connection:
        rows = connection.execute(
            "select count(*) from sealed_items where owner = %s", (case_owner(closed),)
        ).fetchone()
    assert rows == (0,)


def test_the_collector_reminds_of_clocks_and_of_open_questions(road: Road) -> None:
    ref = road.bring(Stage.RECEIVED)
    ask_requester(road.home, ref)

    with road.installation.office("collector") as parts:
        done = remind(later(parts, timedelta(days=20)))

    assert done["reminded"] == 1
    assert road.kinds(ref)[Event.REMINDED] >= 1
    assert [item.state for item in road.outgoing(ref) if item.kind == "reminder"] == ["sent"]


def test_the_collector_offers_drafts_and_sees_a_task_that_nobody_decided(road: Road) -> None:
    ref = road.bring(Stage.DRAFTED)

    with road.installation.office("collector") as parts:
        offered = human_tasks(parts, "drafted")
        decided = task_closed(parts, ref)

    assert any(ref in offer["subject"] for offer in offered)
    assert decided is False
    assert road.at(ref).exception == "task_without_decision"


def test_the_desk_clears_what_the_collector_raised(road: Road) -> None:
    ref = road.bring(Stage.DRAFTED)
    with road.installation.office("collector") as parts:
        task_closed(parts, ref)

    with road.installation.office("desk") as parts:
        check.clear_exception(parts, REGISTRAR, ref)

    assert road.at(ref).exception is None


def test_the_log_takes_its_first_look_of_a_new_year_from_every_office_that_logs(road: Road) -> None:
    """Each makes the year's key for the subject, which nobody else has made yet."""
    subject = road.cast.people[0].subject
    for number, office in enumerate(("collector", "desk", "sealer", "print", "keeper", "registry", "audit"), start=1):
        with road.installation.office(office) as parts:
            early = later(parts, timedelta(days=-366 * number))
            look = access(early, Purpose.AUDIT, case=None, subject=subject, kinds=["access_log"])
            assert record(parts, [look])[0].subject == subject
