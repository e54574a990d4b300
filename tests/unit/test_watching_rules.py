"""The rules of unusual reading as tables: what rings, and what is a working day like others."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.domain.alarms import AlarmCode
from vault.domain.calendar import HELSINKI
from vault.domain.case import CaseEvent, Event, Stage
from vault.domain.watching import WATCHED, Finding, Seen, judge, off_hours, waited

DAY = date(2026, 11, 19)  # a Thursday
CAP = 100


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=HELSINKI)


def looks(day: date, count: int, *, hour: int = 10, name: str = "", needed: bool = True) -> list[Seen]:
    """Make looks at so many patients on a day, forty an hour from ``hour`` on, across midnight never."""
    spread = (at(day, hour) + timedelta(seconds=90 * number) for number in range(count))
    return [Seen(when, f"{day}-{name}{number}", needed) for number, when in enumerate(spread)]


def weeks(count: int, days: int, *, hour: int = 10) -> list[Seen]:
    """Make the same working day before :data:`DAY`, so many times."""
    before = [DAY - timedelta(days=number) for number in range(1, 29)]
    working = [day for day in before if day.weekday() < 5][:days]
    return [look for day in working for look in looks(day, count, hour=hour)]


def codes(seen: Iterable[Seen], day: date = DAY) -> list[str]:
    return [finding.code.value for finding in judge(day, seen, CAP)]


@pytest.mark.parametrize(
    ("usual", "days", "count", "rings"),
    [
        (10, 5, 30, False),  # three times, and no more than 20 above
        (10, 5, 31, True),
        (10, 4, 60, False),  # nothing is usual yet
        (2, 20, 22, False),  # eleven times, but 20 above at most
        (2, 20, 23, True),
        (40, 20, 120, False),
        (40, 20, 121, True),
    ],
)
def test_a_day_of_more_than_three_times_the_usual_rings(usual: int, days: int, count: int, rings: bool) -> None:
    seen = weeks(usual, days) + looks(DAY, count, hour=9)

    assert ("rate_unusual" in codes(seen)) is rings


def test_one_odd_day_does_not_move_what_is_usual() -> None:
    odd = looks(DAY - timedelta(days=1), 190, hour=8)

    assert "rate_unusual" in codes(weeks(10, 19)[10:] + odd + looks(DAY, 40))


@pytest.mark.parametrize(("count", "rings"), [(200, False), (201, True)])
def test_more_than_anybody_reads_rings_without_any_history(count: int, rings: bool) -> None:
    assert ("rate_high" in codes(looks(DAY, count, hour=8))) is rings


@pytest.mark.parametrize(
    ("day", "hour", "count", "rings"),
    [
        (DAY, 20, 5, False),
        (DAY, 21, 4, False),
        (DAY, 21, 5, True),
        (DAY, 5, 5, True),
        (DAY, 6, 5, False),
        (date(2026, 11, 21), 10, 5, True),  # Saturday
        (date(2026, 12, 25), 10, 5, True),
        (date(2026, 12, 23), 10, 5, False),
    ],
)
def test_nights_and_days_off_ring_from_five_patients_on(day: date, hour: int, count: int, rings: bool) -> None:
    assert ("hours_unusual" in codes(looks(day, count, hour=hour), day)) is rings


@pytest.mark.parametrize(("nights", "rings"), [(2, True), (3, False)])
def test_who_works_at_night_is_not_rung_for(nights: int, rings: bool) -> None:
    assert ("hours_unusual" in codes(weeks(6, nights, hour=22) + looks(DAY, 6, hour=22))) is rings


def test_hours_are_those_of_helsinki_in_summer_and_winter() -> None:
    assert off_hours(datetime.fromisoformat("2026-07-01T18:30:00+00:00"))  # half past nine in the evening there
    assert not off_hours(datetime.fromisoformat("2026-11-19T18:30:00+00:00"))
    assert off_hours(datetime.fromisoformat("9000-01-01T12:00:00+00:00"))  # no calendar knows the day


@pytest.mark.parametrize(("count", "rings"), [(2, False), (3, True)])
def test_patients_who_waited_for_nobody_ring_from_three_on(count: int, rings: bool) -> None:
    seen = looks(DAY, 10) + looks(DAY, count, name="closed", needed=False)

    assert codes(seen) == (["no_relationship"] if rings else [])


@pytest.mark.parametrize(("count", "rings"), [(5, False), (6, True)])
def test_who_answers_many_has_a_few_more_such_calls(count: int, rings: bool) -> None:
    seen = looks(DAY, 60) + looks(DAY, count, name="closed", needed=False)

    assert ("no_relationship" in codes(seen)) is rings


def test_looking_three_times_at_one_patient_is_one_patient() -> None:
    assert codes([Seen(at(DAY, hour), "one", needed=False) for hour in range(8, 18)]) == []


@pytest.mark.parametrize(("hours", "per_hour", "rings"), [((9, 11, 13), 80, True), ((9, 11), 80, False)])
def test_the_third_time_near_the_cap_rings(hours: tuple[int, ...], per_hour: int, rings: bool) -> None:
    seen = [
        Seen(at(DAY, hour) + timedelta(seconds=40 * number), f"{hour}-{number}")
        for hour in hours
        for number in range(per_hour)
    ]

    assert ("cap_near" in codes(seen)) is rings


def test_times_near_the_cap_are_counted_over_a_week_and_ring_on_the_day_of_the_third() -> None:
    def busy(day: date) -> list[Seen]:
        return [Seen(at(day, 9) + timedelta(seconds=40 * number), f"{day}-{number}") for number in range(85)]

    far = [*busy(DAY - timedelta(days=9)), *busy(DAY - timedelta(days=8)), *busy(DAY)]
    close = [*busy(DAY - timedelta(days=3)), *busy(DAY - timedelta(days=2)), *busy(DAY)]

    assert "cap_near" not in codes(far)
    assert "cap_near" in codes(close)
    assert "cap_near" not in codes([*close, *looks(DAY + timedelta(days=1), 5)], DAY + timedelta(days=1))


def test_a_finding_says_how_many_and_what_was_usual() -> None:
    assert judge(DAY, weeks(10, 19) + looks(DAY, 40), CAP) == [Finding(AlarmCode.RATE_UNUSUAL, 40, 10)]


@given(st.lists(st.integers(min_value=0, max_value=40 * 24 * 60), max_size=60), st.integers(1, 30))
def test_the_order_of_looks_does_not_matter_and_other_days_are_left_out(minutes: list[int], patients: int) -> None:
    seen = [
        Seen(at(DAY, 12) + timedelta(days=2) - timedelta(minutes=number), str(number % patients)) for number in minutes
    ]

    found = judge(DAY, seen, CAP)

    assert found == judge(DAY, reversed(seen), CAP)
    assert found == judge(DAY, [look for look in seen if look.at.astimezone(HELSINKI).date() <= DAY], CAP)
    assert {finding.code for finding in found} <= set(WATCHED)


def event(version: int, days: float, kind: Event, stage: Stage, **detail: str) -> CaseEvent:
    return CaseEvent(version, at(DAY, 12) + timedelta(days=days), kind, stage, "office:intake", None, detail)


ROAD = (
    event(1, -40, Event.ARRIVED, Stage.RECEIVED),
    event(2, -39, Event.IDENTITY_PROVED, Stage.IDENTIFIED),
    event(3, -38, Event.DRAFT_MADE, Stage.DRAFTED),
    event(4, -30, Event.DECISION_MADE, Stage.DECIDED),
    event(5, -29, Event.DELIVERED, Stage.ANSWERED),
)


@pytest.mark.parametrize(
    ("days", "roles", "needed"),
    [
        (-41, {"registrar"}, False),  # before there was a case
        (-39.5, {"registrar"}, True),
        (-39.5, {"clinician"}, False),
        (-37, {"clinician"}, True),
        (-33, {"registrar"}, True),  # within the week after identity was proved
        (-31, {"registrar"}, False),
        (-24, {"clinician"}, True),  # within the week after the decision
        (-22, {"clinician"}, False),
        (-31, {"dpo"}, True),
        (-1, {"dpo"}, False),
        (-31, {"auditor"}, False),
        (-31, {"operator", "clinician"}, True),
        (-31, set(), True),  # roles unknown: the case is open
        (-1, set(), False),
    ],
)
def test_a_case_waits_for_a_role_and_a_week_longer(days: float, roles: set[str], needed: bool) -> None:
    assert waited(ROAD, roles, at(DAY, 12) + timedelta(days=days)) is needed


@pytest.mark.parametrize(
    ("events", "needed"),
    [
        ((event(1, -20, Event.ARRIVED, Stage.IDENTIFIED, exception="a_code"),), True),
        ((event(1, -20, Event.ARRIVED, Stage.IDENTIFIED),), False),
        (
            (
                event(1, -20, Event.EXCEPTION_RAISED, Stage.IDENTIFIED),
                event(2, -19, Event.NOTICE_SENT, Stage.IDENTIFIED),
            ),
            True,
        ),
        (
            (
                event(1, -20, Event.EXCEPTION_RAISED, Stage.IDENTIFIED),
                event(2, -19, Event.EXCEPTION_CLEARED, Stage.IDENTIFIED),
            ),
            False,
        ),
        ((), False),
    ],
    ids=["arrived stopped", "machine's", "raised", "cleared", "no such case"],
)
def test_an_exception_waits_for_whoever_may_clear_it(events: tuple[CaseEvent, ...], needed: bool) -> None:
    assert waited(events, {"clinician"}, at(DAY, 12)) is needed
    assert not waited(events, {"auditor"}, at(DAY, 12))
