"""Invented months of reading by honest staff, and thieves among them: what rules about unusual reading are tried on.

Seeded: the same number gives the same months. The staff is a clinic's under the surge that this program is for: rates
from a few patients a day to forty, holidays and the pile behind them, evenings and Saturdays now and then, one person
who works nights, telephone questions about closed cases, and a fortnight in which everybody's work doubles.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Final

from vault.domain.calendar import HELSINKI, is_working_day
from vault.domain.watching import Seen

FIRST_DAY: Final = date(2026, 1, 7)
PATIENTS: Final = 33_000  # on the register; a thief who picks at random picks among these
HONEY: Final = 30  # of them belong to nobody
_SURGE: Final = (60, 74)  # days of the fortnight of double work
_DAY: Final = timedelta(days=1)
_AWAY: Final = 0.1  # share of working days away, for illness and courses
_TELEPHONE: Final = 0.015  # share of looks at a case that no longer waits
_SATURDAY: Final = 0.02  # share of days off on which she works a little
_LATE: Final = 0.01  # share of looks after nine in the evening


@dataclass(frozen=True, slots=True)
class Worker:
    """One member of staff.

    :param rate: patients on a usual day.
    :param nights: she works at night.
    :param holiday: the day, from 0, on which her three weeks away begin.
    """

    name: str
    rate: float
    nights: bool
    holiday: int


@dataclass(frozen=True, slots=True)
class Theft:
    """What a thief under somebody's account looked at.

    :param looks: his alone.
    :param picked: numbers of patients that he picked from the register at random.
    """

    looks: Sequence[Seen]
    picked: frozenset[int]


def seeded(seed: str) -> Random:
    """Give dice that fall the same way for the same seed."""
    return Random(seed)  # noqa: S311 - invented months are no secret


def staff(dice: Random, size: int = 20) -> list[Worker]:
    """Invent a clinic's staff: most open a handful to two dozen patients a day, some forty; one works nights."""
    rates = [dice.choice((4, 8, 12, 16, 20, 25, 30, 40)) * dice.uniform(0.8, 1.2) for _ in range(size)]
    return [Worker(f"W{number}", rate, number == 0, dice.randrange(20, 340)) for number, rate in enumerate(rates)]


def work(dice: Random, worker: Worker, days: int) -> Iterator[Seen]:
    """Invent what one person opens in so many days from :data:`FIRST_DAY` on, in no order within a day."""
    for number in range(days):
        day = FIRST_DAY + number * _DAY
        for look in range(_patients(dice, worker, number, day)):
            yield Seen(_moment(dice, worker, day), f"{worker.name}-{number}-{look}", dice.random() >= _TELEPHONE)


def _patients(dice: Random, worker: Worker, number: int, day: date) -> int:
    if worker.holiday <= number < worker.holiday + 21:
        return 0
    if not is_working_day(day):
        return dice.randrange(1, 8) if dice.random() < _SATURDAY else 0
    if dice.random() < _AWAY:
        return 0
    pile = 1.6 if worker.holiday + 21 <= number < worker.holiday + 26 else 1.0
    surge = 2.0 if _SURGE[0] <= number < _SURGE[1] else 1.0
    return max(1, round(dice.gauss(1, 0.35) * worker.rate * pile * surge))


def _moment(dice: Random, worker: Worker, day: date) -> datetime:
    late = worker.nights or dice.random() < _LATE
    hour = dice.uniform(21, 23.9) if late else min(max(dice.gauss(12.5, 2.2), 7), 18)
    return datetime(day.year, day.month, day.day, tzinfo=HELSINKI) + timedelta(hours=hour)


def _spread(dice: Random, day: date, hour: float, hours: float, patients: int) -> list[datetime]:
    begins = datetime(day.year, day.month, day.day, tzinfo=HELSINKI)
    return sorted(begins + timedelta(hours=hour + dice.uniform(0, hours)) for _ in range(patients))


def _steal(dice: Random, moments: Sequence[datetime], *, needed: bool = False) -> Theft:
    picked = [dice.randrange(PATIENTS) for _ in moments]
    looks = [Seen(at, f"P-{number}", needed) for at, number in zip(moments, picked, strict=True)]
    return Theft(looks, frozenset(() if needed else picked))


def _working(day: date, many: int) -> list[date]:
    days = (day + number * _DAY for number in count())
    return [next(later for later in days if is_working_day(later)) for _ in range(many)]


def _over_days(
    dice: Random, days: Sequence[date], hours: tuple[float, float], patients: int, *, needed: bool = False
) -> Theft:
    moments = [at for one in days for at in _spread(dice, one, hours[0], hours[1] - hours[0], patients)]
    return _steal(dice, moments, needed=needed)


def _bulk(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 1), (9, 15), 540)


def _evening(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 1), (21, 23.5), 40)


def _drip(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 20), (8, 16), 10)


def _curious(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 1), (8, 16), 3)


def _patient(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 60), (8, 16), 2)


def _neighbour(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 1), (8, 16), 1)


def _queue(dice: Random, worker: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 1), (8, 16), max(30, round(3 * worker.rate)), needed=True)


def _edge(dice: Random, _: Worker, day: date) -> Theft:
    return _over_days(dice, _working(day, 4), (10, 10.95), 90, needed=True)


THIEVES: Final[Mapping[str, tuple[str, Callable[[Random, Worker, date], Theft]]]] = {
    "bulk": ("90 patients an hour for six hours, below the cap", _bulk),
    "evening": ("40 patients in one evening", _evening),
    "drip": ("10 patients a working day for a month", _drip),
    "curious": ("3 patients on one day", _curious),
    "patient": ("2 patients a working day for three months", _patient),
    "neighbour": ("one patient, once", _neighbour),
    "queue": ("three times a usual day's patients more, all of whom wait for her role", _queue),
    "edge": ("90 patients within an hour on four days, all of whom wait for her role", _edge),
}
