"""The calendar against the worked table, against another implementation, and at its edges."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import holidays as other
import pytest

from vault.domain.calendar import (
    add_months,
    add_working_days,
    easter,
    holidays,
    is_working_day,
    last_second,
    local_day,
    rest_names,
    roll,
)
from vault.errors import RefusedError, WrongUseError

TABLE = Path(__file__).parents[1] / "data" / "holidays_fi_2024_2028.csv"


def test_the_table_is_reproduced_line_by_line() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))

    found = [
        {
            "date": holiday.day.isoformat(),
            "weekday": f"{holiday.day:%a}",
            "name": holiday.name,
            "basis": holiday.basis,
            "public_holiday": "yes" if holiday.public else "no",
        }
        for year in range(2024, 2029)
        for holiday in holidays(year)
    ]

    assert found == expected


@pytest.mark.parametrize("year", range(2000, 2101))
def test_every_year_agrees_with_the_holidays_package(year: int) -> None:
    assert {holiday.day for holiday in holidays(year)} == set(other.country_holidays("FI", years=year))


@pytest.mark.parametrize(
    ("year", "expected"),
    # the extremes and the exceptions of the Gregorian computus
    [
        (1818, date(1818, 3, 22)),
        (1943, date(1943, 4, 25)),
        (1954, date(1954, 4, 18)),
        (1981, date(1981, 4, 19)),
        (2000, date(2000, 4, 23)),
        (2008, date(2008, 3, 23)),
        (2038, date(2038, 4, 25)),
        (2049, date(2049, 4, 18)),
        (2076, date(2076, 4, 19)),
        (2150, date(2150, 4, 12)),
    ],
)
def test_easter(year: int, expected: date) -> None:
    assert easter(year) == expected


@pytest.mark.parametrize(
    ("day", "act"),
    [(date(2023, 1, 6), "1054/1993"), (date(2023, 6, 24), "1054/1993"), (date(2023, 11, 4), "652/2023")],
)
def test_a_feast_names_the_act_in_force_on_its_day(day: date, act: str) -> None:
    (holiday,) = (holiday for holiday in holidays(day.year) if holiday.day == day)

    assert act in holiday.basis


@pytest.mark.parametrize(
    "day",
    [date(2026, 5, 25), date(2026, 4, 2), date(2026, 12, 31), date(2026, 12, 7)],
    ids=["Whit Monday", "Maundy Thursday", "New Year's Eve", "no substitute day"],
)
def test_no_holiday(day: date) -> None:
    assert is_working_day(day)


@pytest.mark.parametrize(
    ("day", "names", "without_eves"),
    [
        (date(2026, 6, 19), ("Midsummer Eve",), ()),
        (date(2026, 12, 24), ("Christmas Eve",), ()),
        (date(2022, 12, 24), ("Saturday", "Christmas Eve"), ("Saturday",)),
        (date(2026, 12, 6), ("Sunday", "Independence Day"), ("Sunday", "Independence Day")),
        (date(2008, 5, 1), ("May Day", "Ascension"), ("May Day", "Ascension")),
        (date(2026, 9, 23), (), ()),
    ],
)
def test_a_day_of_rest_says_why(day: date, names: tuple[str, ...], without_eves: tuple[str, ...]) -> None:
    assert rest_names(day) == names
    assert rest_names(day, eves=False) == without_eves


@pytest.mark.parametrize("year", [1, 1993, 2151, 9999])
def test_outside_its_statutes_the_calendar_refuses(year: int) -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        is_working_day(date(year, 6, 1))
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        holidays(year)


@pytest.mark.parametrize("year", [1994, 2150])
def test_the_first_and_the_last_year_are_known(year: int) -> None:
    assert len(holidays(year)) == 15


def test_a_roll_out_of_the_last_year_refuses() -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        roll(date(2150, 12, 31) + timedelta(days=1))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 3, 5), 1, date(2026, 4, 5)),
        (date(2026, 8, 31), 1, date(2026, 9, 30)),
        (date(2026, 1, 31), 3, date(2026, 4, 30)),
        (date(2028, 1, 30), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
    ],
)
def test_months_keep_the_day_number_or_end_with_the_month(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


def test_working_days_are_counted_after_the_day() -> None:
    assert add_working_days(date(2026, 10, 1), 5) == date(2026, 10, 8)
    assert add_working_days(date(2026, 12, 23), 1) == date(2026, 12, 28)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 9, 30, 22, 15, tzinfo=UTC), date(2026, 10, 1)),
        (datetime(2026, 12, 31, 21, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
        (datetime(2026, 12, 31, 22, 0, tzinfo=UTC), date(2027, 1, 1)),
    ],
)
def test_a_moment_has_the_helsinki_date(moment: datetime, expected: date) -> None:
    assert local_day(moment) == expected


def test_a_time_without_offset_is_wrong_use() -> None:
    with pytest.raises(WrongUseError, match="time_without_offset"):
        local_day(datetime(2026, 9, 25, 9, 0))  # noqa: DTZ001 - the naive time is what is refused


def test_a_moment_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        local_day(datetime.max.replace(tzinfo=UTC))


def test_a_day_ends_in_helsinki_time() -> None:
    assert last_second(date(2026, 10, 25)).isoformat() == "2026-10-25T23:59:59+02:00"
    assert last_second(date(2026, 10, 24)).isoformat() == "2026-10-24T23:59:59+03:00"
