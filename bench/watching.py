"""The rules of unusual reading on invented months: how often each rings for nothing, and which thieves it finds."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from statistics import median

from bench.rows import Row
from vault.domain.calendar import HELSINKI
from vault.domain.watching import HISTORY, WATCHED, Seen, judge
from vault.testing.months import FIRST_DAY, HONEY, THIEVES, Theft, seeded, staff, work

CAP = 100  # patients an hour: limits.patients_an_hour
STAFF, DAYS = 20, 364
THIEVES_EACH = 100
MONTH = 28  # days
_SEED = "months"
_LIMITS = {"bulk": 1.0, "evening": 0.95, "drip": 1.0, "curious": 0.75, "patient": 0.95, "queue": 0.85, "edge": 0.95}
_FALSE = 0.12  # of one rule, a person and month: with 20 people about two a month


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of one kind of thief.

    :param found: share that broke a rule or touched a honey record.
    :param rules: how often each rule rang, as a share; ``honey_read`` besides.
    :param days: median of the days until the first ring; None when nobody was found.
    """

    found: float
    rules: dict[str, float]
    days: float | None


def watching_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Judge the months and yield the rows."""
    say(f"{STAFF} people's reading of {DAYS} days is judged")
    alarms, months = false_alarms(seeded(_SEED), STAFF, DAYS)
    for code in WATCHED:
        told = f"{alarms[code]} in {months:.0f} months of one person"
        yield Row(f"watching/false/{code}", alarms[code] / months, "a month", limit=_FALSE, at_most=True, note=told)
    for kind, (told, _) in THIEVES.items():
        say(f"{THIEVES_EACH} thieves: {kind}")
        caught = catch(seeded(f"{_SEED} {kind}"), kind, THIEVES_EACH)
        by = ", ".join(f"{rule} {share:.0%}" for rule, share in sorted(caught.rules.items()))
        note = f"{told}; by {by}; first after {caught.days:.0f} days" if caught.days is not None else told
        yield Row(f"watching/found/{kind}", caught.found, "1", limit=_LIMITS.get(kind), note=note)


def false_alarms(dice: Random, size: int, days: int) -> tuple[Counter[str], float]:
    """Judge honest people; return how often each rule rang, and in how many months of one person."""
    rings: Counter[str] = Counter()
    for worker in staff(dice, size):
        looks = _by_day(work(dice, worker, days))
        for day in looks:
            rings.update(finding.code for finding in judge(day, _until(looks, day), CAP))
    return rings, size * days / MONTH


def catch(dice: Random, kind: str, size: int) -> Caught:
    """Let thieves of one kind loose under honest people's accounts and see who is found."""
    rules: Counter[str] = Counter()
    firsts = []
    for worker in staff(dice, size):
        start = FIRST_DAY + timedelta(days=dice.randrange(100, 130))
        theft = THIEVES[kind][1](dice, worker, start)
        rung = _rung(work(dice, worker, 230), theft)
        rules.update(rung.keys())
        firsts += [(min(rung.values()) - start).days] if rung else []
    shares = {rule: times / size for rule, times in rules.items()}
    return Caught(len(firsts) / size, shares, median(firsts) if firsts else None)


def _honey(theft: Theft) -> date | None:
    """Say on which day the thief touches a honey record first, if ever."""
    hit = [look.at for look in theft.looks if theft.picked and int(look.patient.removeprefix("P-")) < HONEY]
    return min(hit).astimezone(HELSINKI).date() if hit else None


def _rung(honest: Iterable[Seen], theft: Theft) -> dict[str, date]:
    """Return each rule that rings because of the theft, and the day of its first ring."""
    honey = _honey(theft)
    rung = {"honey_read": honey} if honey else {}
    alone, stolen = _by_day(honest), _by_day(theft.looks)
    both = {day: alone.get(day, []) + stolen.get(day, []) for day in {*alone, *stolen}}
    for day in sorted(stolen):
        before = {finding.code for finding in judge(day, _until(alone, day), CAP)}
        for finding in judge(day, _until(both, day), CAP):
            if finding.code not in before:
                rung.setdefault(finding.code.value, day)
    return rung


def _until(looks: Mapping[date, Sequence[Seen]], day: date) -> list[Seen]:
    """Take what the rules look at for a day."""
    days = (day - timedelta(days=number) for number in range(HISTORY.days + 1))
    return [look for one in days for look in looks.get(one, ())]


def _by_day(looks: Iterable[Seen]) -> dict[date, list[Seen]]:
    days: dict[date, list[Seen]] = {}
    for look in looks:
        days.setdefault(look.at.astimezone(HELSINKI).date(), []).append(look)
    return days
