"""Unusual reading: plain rules over what one person opened on one day, held against what is usual for her; pure.

The rules, each with its threshold and why. Patients are told apart, never named: a case's reference or a tag.

1. ``rate_unusual``: more than three times her usual number of patients a day, and more than 20 above it. Usual is
   the median of her working days of the last four weeks, because one odd day does not move a median; with fewer
   than five such days nothing is usual yet. Surges after bad news double everybody's work; three times is no surge.
2. ``rate_high``: more than 200 patients a day, whatever is usual. That is one every two and a half minutes for
   eight hours, faster than anybody reads, and far below what the hour's cap would let pass in a day.
3. ``hours_unusual``: five patients or more between 21 and 6 o'clock or on a day off (Helsinki), by a person who
   had three or more then on fewer than three days of the last four weeks. One late call is no theft, and does
   not make the night her usual time; who works nights is not rung for.
4. ``no_relationship``: three patients or more, and more than a twelfth of the day's, of whom no case waited for her
   role, then or within the week before, and for whom no glass was broken. Two are questions on the telephone
   about an answer long given; who answers many has a few more such calls.
5. ``cap_near``: for the third time within a week near the hour's cap. The desk's own counters ring for it
   too; this counts what the log holds, so that it also sees a desk whose counters were turned off.

A sixth, a look at a honey record, needs no threshold: it rings when the look is logged (:mod:`vault.accesslog.honey`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final

from vault.domain.alarms import AlarmCode
from vault.domain.calendar import FIRST_YEAR, HELSINKI, LAST_YEAR, is_working_day
from vault.domain.caps import NEAR_TIMES, NEAR_WITHIN, WINDOW, near
from vault.domain.case import BEFORE_IDENTITY, OPEN, CaseEvent, Event, Stage
from vault.domain.roles import Role

HISTORY: Final = timedelta(days=28)
ENOUGH_DAYS: Final = 5  # before these nothing is usual
TIMES: Final = 3  # the usual number
ABOVE: Final = 20  # patients above it
MOST_A_DAY: Final = 200  # patients
NIGHT_FROM, NIGHT_TO = 21, 6  # o'clock in Helsinki
AT_NIGHT: Final = 5  # patients
SOME_AT_NIGHT: Final = 3  # patients that make such hours part of a day's work
NIGHTS: Final = 3  # such days that make them usual
UNRELATED: Final = 3  # patients
UNRELATED_SHARE: Final = 1 / 12  # of the day's patients
AFTERWARDS: Final = timedelta(days=7)  # a case may still be looked at by whoever it waited for
WATCHED: Final = (
    *(AlarmCode.RATE_UNUSUAL, AlarmCode.RATE_HIGH, AlarmCode.HOURS_UNUSUAL),
    *(AlarmCode.NO_RELATIONSHIP, AlarmCode.CAP_NEAR),
)

_WAITS: Final[Mapping[Role, frozenset[Stage]]] = {
    Role.REGISTRAR: frozenset(BEFORE_IDENTITY),
    Role.CLINICIAN: frozenset({Stage.DRAFTED}),
    Role.DPO: OPEN,  # she may ask after any case that still wants an answer
}
_CLEAR: Final = frozenset({Role.REGISTRAR, Role.CLINICIAN, Role.DPO})  # an exception waits for one of these


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, as the log tells it to whoever can't open it.

    :param at: with a time zone.
    :param patient: a case's reference, else a subject's tag.
    :param needed: a case waited for the reader, or she had broken the glass for it.
    """

    at: datetime
    patient: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a person's day broke.

    :param patients: how many patients, or times near the cap.
    :param usual: what was usual or allowed.
    """

    code: AlarmCode
    patients: int
    usual: int


def judge(day: date, looks: Iterable[Seen], cap: int) -> list[Finding]:
    """Hold one person's day against the rules.

    :param day: the Helsinki day that is judged.
    :param looks: hers of that day and of the four weeks before, in any order; others are left out.
    :param cap: how many patients she may open an hour.
    """
    days = _by_day(looks, day)
    close = _near(days, day, cap)
    mine = days.pop(day, [])
    found = (_rate(mine, days), _volume(mine), _hours(mine, days), _unrelated(mine), close)
    return [finding for finding in found if finding is not None]


def waited(events: Sequence[CaseEvent], roles: Collection[str], at: datetime) -> bool:
    """Tell whether a case waited for one of these roles at that moment or within the week before.

    :param events: the case's, in order.
    :param roles: none are known: then any role may have been hers.
    """
    known = [_WAITS[Role(role)] for role in roles if role in _WAITS] if roles else list(_WAITS.values())
    stages, may_clear = frozenset().union(*known), not roles or bool(_CLEAR & frozenset(roles))
    stopped = False
    for number, event in enumerate(events):
        until = events[number + 1].at if number + 1 < len(events) else None
        if event.at > at:
            break
        stopped = event.event is Event.EXCEPTION_RAISED or (stopped and event.event is not Event.EXCEPTION_CLEARED)
        stopped = stopped or (event.event is Event.ARRIVED and "exception" in event.detail)
        lately = until is None or until > at - AFTERWARDS
        if lately and (event.stage in stages or (may_clear and stopped and event.stage in OPEN)):
            return True
    return False


def _rate(mine: Sequence[Seen], days: Mapping[date, Sequence[Seen]]) -> Finding | None:
    if len(days) < ENOUGH_DAYS:
        return None
    count, usual = _patients(mine), median(_patients(looks) for looks in days.values())
    unusual = count > max(TIMES * usual, usual + ABOVE)
    return Finding(AlarmCode.RATE_UNUSUAL, count, round(usual)) if unusual else None


def _volume(mine: Sequence[Seen]) -> Finding | None:
    count = _patients(mine)
    return Finding(AlarmCode.RATE_HIGH, count, MOST_A_DAY) if count > MOST_A_DAY else None


def _hours(mine: Sequence[Seen], days: Mapping[date, Sequence[Seen]]) -> Finding | None:
    count = _off_hours(mine)
    nights = sum(_off_hours(looks) >= SOME_AT_NIGHT for looks in days.values()) if count >= AT_NIGHT else 0
    return Finding(AlarmCode.HOURS_UNUSUAL, count, nights) if count >= AT_NIGHT and nights < NIGHTS else None


def _off_hours(looks: Sequence[Seen]) -> int:
    return _patients([look for look in looks if off_hours(look.at)])


def _unrelated(mine: Sequence[Seen]) -> Finding | None:
    count = _patients([look for look in mine if not look.needed])
    fits = count >= UNRELATED and count > UNRELATED_SHARE * _patients(mine)
    return Finding(AlarmCode.NO_RELATIONSHIP, count, 0) if fits else None


def _near(days: Mapping[date, Sequence[Seen]], day: date, cap: int) -> Finding | None:
    """Count how often within the week, at least an hour apart, the last hour held nearly the cap."""
    lately = (look for one in days if day - one <= NEAR_WITHIN for look in days[one])
    ordered = sorted(lately, key=lambda look: look.at)
    times: list[datetime] = []
    start, within = 0, Counter[str]()
    for look in ordered:
        within[look.patient] += 1
        while ordered[start].at <= look.at - WINDOW:
            _forget(within, ordered[start].patient)
            start += 1
        if len(within) >= near(cap) and (not times or look.at - times[-1] >= WINDOW):
            times.append(look.at)
    close = [at for at in times if times[-1] - at < NEAR_WITHIN]
    fits = len(close) >= NEAR_TIMES and times[-1].astimezone(HELSINKI).date() == day
    return Finding(AlarmCode.CAP_NEAR, len(close), NEAR_TIMES) if fits else None


def _forget(within: Counter[str], patient: str) -> None:
    within[patient] -= 1
    if not within[patient]:
        del within[patient]


def off_hours(at: datetime) -> bool:
    """Tell whether a moment lies in Helsinki's night or on a day off."""
    here = at.astimezone(HELSINKI)
    if not NIGHT_TO <= here.hour < NIGHT_FROM or not FIRST_YEAR <= here.year <= LAST_YEAR:
        return True
    return not is_working_day(here.date())


def _by_day(looks: Iterable[Seen], last: date) -> dict[date, list[Seen]]:
    days: dict[date, list[Seen]] = {}
    for look in looks:
        day = look.at.astimezone(HELSINKI).date()
        if timedelta() <= last - day <= HISTORY:
            days.setdefault(day, []).append(look)
    return days


def _patients(looks: Sequence[Seen]) -> int:
    return len({look.patient for look in looks})
