"""Watch: the days that ended are held against the rules of unusual reading; what breaks one rings.

The keeper does it from the log's plain columns and opens nothing. Everything new since the last run is
judged in one transaction with its alarms and the new position, so that a kill repeats it whole or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from vault.accesslog.leaves import TAG_BYTES
from vault.accesslog.log import READER
from vault.domain.calendar import HELSINKI
from vault.domain.case import CaseEvent
from vault.domain.private import Private
from vault.domain.roles import OfficeName, Role
from vault.domain.watching import HISTORY, Finding, Seen, judge, waited
from vault.steps.parts import Parts
from vault.storage.alarms import raise_alarm
from vault.storage.cases import events_of
from vault.storage.database import Connection
from vault.storage.progress import advance, position
from vault.storage.readers import readers
from vault.storage.watch import days_of_readers, ended_before, glasses_broken, looks_of

TASK = "watch"
_SEARCHES = frozenset({Role.AUDITOR, Role.DPO})
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KnownReader(Private):
    """Whoever made looks.

    :param actor: her id, or ``reader:`` and her mark when she never came in at the desk.
    :param roles: the ones that she came in with last; none when she is not known.
    """

    mark: bytes
    actor: str
    roles: frozenset[str]


def watch(parts: Parts) -> dict[str, int]:
    """Judge what people read on the days that ended; return how many of their days there were, and rings."""
    now = parts.now()
    today = datetime.combine(now.astimezone(HELSINKI).date(), time(), HELSINKI)
    machines = frozenset(_marks(parts, [f"office:{office.value}" for office in OfficeName]))
    with parts.database.connect() as connection:
        start, end = position(connection, TASK), ended_before(connection, today)
        days = days_of_readers(connection, start, end, machines, HELSINKI.key) if end > start else []
        rings = list(_found(parts, connection, sorted(days), end))
        for reader, day, finding in sorted(rings, key=lambda ring: (ring[0].actor, ring[2].code, ring[1])):
            detail = {"day": day.isoformat(), "patients": str(finding.patients), "usual": str(finding.usual)}
            raise_alarm(connection, finding.code, at=now, actor=reader.actor, detail=detail)
        advance(connection, TASK, max(start, end), now)
    return {"days": len(days), "alarms": len(rings)}


def _found(
    parts: Parts, connection: Connection, days: Sequence[tuple[bytes, date]], end: int
) -> Iterator[tuple[KnownReader, date, Finding]]:
    known = _known(parts, connection)
    cap = parts.settings.limits.patients_an_hour
    for mark, day in days:
        reader = known.get(mark) or KnownReader(mark, f"reader:{mark.hex()}", frozenset())
        looks = _looks(connection, reader, day, end)
        for finding in judge(day, looks, cap):
            yield reader, day, finding


def _known(parts: Parts, connection: Connection) -> dict[bytes, KnownReader]:
    roles = readers(connection)
    marks = _marks(parts, list(roles))
    return {mark: KnownReader(mark, actor, roles[actor]) for mark, actor in zip(marks, roles, strict=True)}


def _marks(parts: Parts, actors: Sequence[str]) -> list[bytes]:
    macs = parts.service.many("mac", "log-tag", [("", f"{READER}{actor}".encode()) for actor in actors])
    return [mac[:TAG_BYTES] for mac in macs]


def _looks(connection: Connection, reader: KnownReader, day: date, end: int) -> list[Seen]:
    """Return a person's looks of a day and of the weeks before; whether they were needed is asked for the day only."""
    begins = datetime.combine(day, time(), HELSINKI)
    rows = list(looks_of(connection, reader.mark, begins - HISTORY, begins + _DAY, end))
    cases = {case for at, case, _ in rows if case is not None and at >= begins}
    events = events_of(connection, sorted(cases))
    glasses = glasses_broken(connection, begins)
    broken = [(case, since, until) for actor, case, since, until in glasses if actor == reader.actor]
    return list(_seen(rows, begins, reader, events, broken))


def _seen(
    rows: Iterable[tuple[datetime, str | None, bytes | None]],
    begins: datetime,
    reader: KnownReader,
    events: Mapping[str, Sequence[CaseEvent]],
    broken: Sequence[tuple[str, datetime, datetime]],
) -> Iterator[Seen]:
    for at, case, tag in rows:
        if case is None and tag is None:
            continue  # a search of the log for nobody in particular
        if at < begins:
            needed = True
        elif case is None:  # a search of the log for one patient
            needed = not reader.roles or bool(_SEARCHES & reader.roles)
        else:
            glass = any(ref == case and since <= at <= until for ref, since, until in broken)
            needed = glass or waited(events.get(case, ()), reader.roles, at)
        yield Seen(at, case if case is not None else (tag or b"").hex(), needed)
