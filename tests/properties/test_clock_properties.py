"""What holds for every clock, whatever came when."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.calendar import HELSINKI, add_months, easter, is_working_day, roll
from vault.domain.clock import Pause, compute
from vault.domain.periods import Extension, Reading, Rule, last_day, merge, safe_day

DAYS = st.dates(date(1994, 1, 1), date(2140, 12, 31))
PERIODS = st.sampled_from([Rule.FIRST_MONTH, Rule.EXTENDED, Rule.LOG_REQUEST])
READINGS = [Reading(*values) for values in product([True, False], [True, False], list(Extension), [True, False])]


@st.composite
def received_and_pauses(draw: st.DrawFn, *, may_be_open: bool = True) -> tuple[date, list[Pause]]:
    received = draw(DAYS)
    pauses = []
    for _ in range(draw(st.integers(0, 4))):
        start = received + timedelta(days=draw(st.integers(0, 120)))
        is_open = may_be_open and draw(st.booleans())
        pauses.append(Pause(start, None if is_open else start + timedelta(days=draw(st.integers(0, 60)))))
    return received, pauses


def at_noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=HELSINKI)


@given(PERIODS, received_and_pauses())
def test_the_safe_date_is_the_earliest_under_every_reading(rule: Rule, case: tuple[date, list[Pause]]) -> None:
    received, pauses = case
    merged = merge(received, pauses)

    days = [last_day(rule, received, merged, reading) for reading in READINGS]

    assert min(day for day in days if day is not None) == safe_day(rule, received)


@given(PERIODS, received_and_pauses())
def test_an_undisputed_clock_is_due_on_its_safe_date(rule: Rule, case: tuple[date, list[Pause]]) -> None:
    received, pauses = case

    answer = compute(rule, at_noon(received), pauses, received)

    if answer.due != answer.safe_due:
        assert answer.disputed
    if answer.due is not None:
        assert answer.safe_due <= answer.due
        assert is_working_day(answer.due)


@given(PERIODS, received_and_pauses(), st.data())
def test_the_order_of_pauses_does_not_matter(rule: Rule, case: tuple[date, list[Pause]], data: st.DataObject) -> None:
    received, pauses = case
    shuffled = data.draw(st.permutations(pauses))

    assert compute(rule, at_noon(received), shuffled, received) == compute(rule, at_noon(received), pauses, received)


@given(received_and_pauses())
def test_merged_pauses_cover_the_same_days_once(case: tuple[date, list[Pause]]) -> None:
    received, pauses = case
    horizon = received + timedelta(days=400)

    def covered(listed: list[Pause] | tuple[Pause, ...]) -> list[date]:
        return [
            pause.start + timedelta(days=ahead)
            for pause in listed
            for ahead in range(((pause.end or horizon) - pause.start).days)
        ]

    merged = covered(merge(received, pauses))

    assert len(merged) == len(set(merged))
    assert set(merged) == set(covered(pauses))


@given(PERIODS, DAYS, st.integers(0, 1439))
def test_every_minute_of_a_helsinki_day_gives_the_same_dates(rule: Rule, day: date, minute: int) -> None:
    moment = datetime(day.year, day.month, day.day, *divmod(minute, 60), tzinfo=HELSINKI).astimezone(UTC)

    assert compute(rule, moment, [], day) == compute(rule, at_noon(day), [], day)


@given(st.datetimes(datetime(1994, 1, 2), datetime(2150, 12, 20)))  # noqa: DTZ001 - the zone is set below
def test_a_breach_clock_runs_72_hours_of_utc(naive: datetime) -> None:
    aware = naive.replace(tzinfo=UTC, microsecond=0)

    answer = compute("art33_72h", aware, [], aware.date())

    assert answer.due_at is not None
    assert answer.due_at.astimezone(UTC) - aware == timedelta(hours=72)
    assert answer.due == answer.safe_due == answer.due_at.astimezone(HELSINKI).date()


@given(DAYS, st.integers(0, 36))
def test_months_never_skip_a_month(day: date, months: int) -> None:
    end = add_months(day, months)

    assert (end.year * 12 + end.month) - (day.year * 12 + day.month) == months
    assert end.day == day.day or (end.day < day.day and (end + timedelta(days=1)).day == 1)


@given(DAYS, st.booleans())
def test_a_roll_goes_to_the_next_working_day(day: date, eves: bool) -> None:
    end = roll(day, eves=eves)

    between = [day + timedelta(days=ahead) for ahead in range((end - day).days)]
    assert is_working_day(end, eves=eves)
    assert not any(is_working_day(skipped, eves=eves) for skipped in between)
    assert len(between) <= 5


@given(st.integers(1583, 4099))
def test_easter_is_a_sunday_of_spring(year: int) -> None:
    day = easter(year)

    assert day.weekday() == 6
    assert date(year, 3, 22) <= day <= date(year, 4, 25)
