"""Finland's working days: computed from the statutes in force on each day, refused where none is on file.

Fixed and movable feasts stand in one table with the Act that makes each a day of rest and the
day from which that Act holds, so a new Act is a new line. Easter is computed by the anonymous
Gregorian algorithm (Nature, 20 April 1876; J. Meeus, Astronomical Algorithms, 2nd ed., ch. 8).
There are no substitute days. Christmas Eve and Midsummer Eve are no public holidays; a period
that ends on one is moved by Act 150/1930 s. 5 only, which is disputed: ``eves=False`` counts
them as working days.
"""

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from vault.errors import RefusedError, WrongUseError

HELSINKI = ZoneInfo("Europe/Helsinki")
FIRST_YEAR = 1994  # Church Act 1054/1993 came into force on 1 January 1994
LAST_YEAR = 2150
_SATURDAY, _SUNDAY = 5, 6
_DAY = timedelta(days=1)

Placement: TypeAlias = Callable[[int], date]


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day of rest in one year; ``public`` is False for the two Eves."""

    day: date
    name: str
    basis: str
    public: bool


def easter(year: int) -> date:
    """Return Easter Sunday of a Gregorian year (Meeus, ch. 8)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leaps, rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon_shift + 15) % 30
    quarter, quarter_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * rest + 2 * quarter - epact - quarter_rest) % 7
    correction = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


def _fixed(month: int, day: int) -> Placement:
    return lambda year: date(year, month, day)


def _after_easter(days: int) -> Placement:
    return lambda year: easter(year) + timedelta(days=days)


def _saturday_from(month: int, day: int, shift: int = 0) -> Placement:
    def placed(year: int) -> date:
        start = date(year, month, day)
        return start + timedelta(days=(_SATURDAY - start.weekday()) % 7 + shift)

    return placed


_CHURCH = (
    (date(1994, 1, 1), "Church Act 1054/1993 (ecclesiastical feast)"),
    (date(2023, 7, 1), "Church Act 652/2023 (ecclesiastical feast)"),
)
# in force before the calendar begins
_MAY_DAY = ((date.min, "May Day Act 272/1944"),)
_INDEPENDENCE = ((date.min, "Act 388/1937"),)
_EVE = ((date.min, "Act 150/1930 s.5 (not a statutory public holiday)"),)

_FEASTS: tuple[tuple[str, Placement, tuple[tuple[date, str], ...]], ...] = (
    ("New Year", _fixed(1, 1), _CHURCH),
    ("Epiphany", _fixed(1, 6), _CHURCH),
    ("Good Friday", _after_easter(-2), _CHURCH),
    ("Easter Day", _after_easter(0), _CHURCH),
    ("Easter Monday", _after_easter(1), _CHURCH),
    ("May Day", _fixed(5, 1), _MAY_DAY),
    ("Ascension", _after_easter(39), _CHURCH),
    ("Pentecost", _after_easter(49), _CHURCH),
    ("Midsummer Eve", _saturday_from(6, 20, -1), _EVE),
    ("Midsummer Day", _saturday_from(6, 20), _CHURCH),
    ("All Saints", _saturday_from(10, 31), _CHURCH),
    ("Independence Day", _fixed(12, 6), _INDEPENDENCE),
    ("Christmas Eve", _fixed(12, 24), _EVE),
    ("Christmas Day", _fixed(12, 25), _CHURCH),
    ("Boxing Day", _fixed(12, 26), _CHURCH),
)


def _require_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        msg = f"holidays are on file from {FIRST_YEAR} to {LAST_YEAR}; correct the date"
        raise RefusedError("calendar_out_of_range", msg)


def require(day: date) -> date:
    """Return ``day`` when the calendar knows it.

    :raises RefusedError: before 1994 or after 2150 (code ``calendar_out_of_range``).
    :raises WrongUseError: a moment instead of a day, which no type checker tells apart (code ``day_expected``).
    """
    if isinstance(day, datetime):
        raise WrongUseError("day_expected", "hand over a Helsinki day, not a moment")
    _require_year(day.year)
    return day


@lru_cache(maxsize=256)
def holidays(year: int) -> tuple[Holiday, ...]:
    """Return the days of rest of one year in order; Sundays and Saturdays besides are not listed.

    :raises RefusedError: a year that the calendar does not know.
    """
    _require_year(year)
    found = []
    for name, placed, acts in _FEASTS:
        day = placed(year)
        basis = [act for since, act in acts if since <= day][-1]
        found.append(Holiday(day, name, basis, public=acts is not _EVE))
    return tuple(sorted(found, key=lambda holiday: holiday.day))


@lru_cache(maxsize=256)
def _by_day(year: int) -> dict[date, tuple[Holiday, ...]]:
    listed = holidays(year)
    return {day: tuple(h for h in listed if h.day == day) for day in {h.day for h in listed}}


def rest_names(day: date, *, eves: bool = True) -> tuple[str, ...]:
    """Say why ``day`` is no working day: weekday and holiday names; empty for a working day.

    :param eves: False counts Christmas Eve and Midsummer Eve as working days.
    :raises RefusedError: a day that the calendar does not know.
    """
    feasts = _by_day(require(day).year).get(day, ())
    names = tuple(feast.name for feast in feasts if feast.public or eves)
    return (("Saturday",) if day.weekday() == _SATURDAY else ("Sunday",) if day.weekday() == _SUNDAY else ()) + names


def is_working_day(day: date, *, eves: bool = True) -> bool:
    """Tell whether ``day`` is neither Saturday, Sunday nor a holiday (see :func:`rest_names`)."""
    return not rest_names(day, eves=eves)


def roll(day: date, *, eves: bool = True) -> date:
    """Return ``day``, or the next working day when it is none (Act 150/1930 s. 5; Reg. 1182/71 art. 3(4)).

    :raises RefusedError: a day that the calendar does not know.
    """
    while not is_working_day(day, eves=eves):
        day += _DAY
    return day


def add_working_days(day: date, count: int) -> date:
    """Return the ``count``-th working day after ``day``; the day itself is not counted."""
    for _ in range(count):
        day = roll(day + _DAY)
    return day


def add_months(day: date, months: int) -> date:
    """Return the same day number ``months`` later, else that month's last day (Reg. 1182/71 art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def local_day(moment: datetime) -> date:
    """Return the Europe/Helsinki date of ``moment``.

    :raises WrongUseError: ``moment`` has no UTC offset (code ``time_without_offset``).
    :raises RefusedError: a day that the calendar does not know.
    """
    if moment.utcoffset() is None:
        raise WrongUseError("time_without_offset", "write the time with its UTC offset, such as 2026-09-25T09:00+03:00")
    require(moment.date())  # the year 1 can't be converted
    return require(moment.astimezone(HELSINKI).date())


def last_second(day: date) -> datetime:
    """Return 23:59:59 of ``day`` in Europe/Helsinki."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=HELSINKI)
