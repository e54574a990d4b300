"""What waits for a machine or a person: references only, most urgent first, in batches."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from vault.domain.calendar import HELSINKI
from vault.domain.case import BEFORE_IDENTITY, REFERENCE, Case, CaseEvent, Event, Stage, pauses
from vault.domain.clock import ClockAnswer, case_clock
from vault.errors import ConflictError, RefusedError
from vault.steps.parts import Parts
from vault.storage.arrivals import cases_with_replies
from vault.storage.cases import all_cases, append, events_of, get_case, waiting

BATCH = 25  # cases a task: its start costs 0.3 CPU-seconds, so one a case would be mostly start
OFFER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Offer:
    """One human task: a reference, a due date, nothing else."""

    ref: str
    due: date


def clock_of(case: Case, events: Sequence[CaseEvent], today: date) -> ClockAnswer:
    """Compute the clock that a case is worked to."""
    return case_clock(case.received_at, pauses(list(events)), today)


def in_batches(refs: Sequence[str], size: int = BATCH) -> list[list[str]]:
    """Cut references into batches."""
    return [list(refs[start : start + size]) for start in range(0, len(refs), size)]


def to_identify(parts: Parts, limit: int) -> list[str]:
    """Return cases that a machine can take towards a proved identity."""
    with parts.database.connect() as connection:
        fresh = [case.ref for case in waiting(connection, Stage.RECEIVED, limit)]
        return fresh + [ref for ref in cases_with_replies(connection, limit) if ref not in fresh]


def anything_new(parts: Parts, taken: Sequence[str]) -> bool:
    """Tell whether the collector is to be called: also for what a run took that could not say so, killed or failed.

    :param taken: references of what was taken just now.
    """
    return bool(taken or to_identify(parts, 1))


def in_stage(parts: Parts, stage: Stage, limit: int) -> list[str]:
    """Return cases in a stage that wait for a machine."""
    with parts.database.connect() as connection:
        return [case.ref for case in waiting(connection, stage, limit)]


def to_offer(parts: Parts, stage: Stage, limit: int) -> list[Offer]:
    """Return the most urgent cases that no human task of the last 12 hours points at.

    For ``checking`` these are the cases before an identity decision that have an exception:
    the others wait for a machine, or for a code by post.
    """
    now = parts.now()
    today = now.astimezone(HELSINKI).date()
    stages = BEFORE_IDENTITY if stage is Stage.CHECKING else (stage,)
    with parts.database.connect() as connection:
        found = [c for s in stages for c in waiting(connection, s, 10 * limit, with_exceptions=True)]
        events = events_of(connection, [case.ref for case in found])
    offers = []
    for case in found:
        mine = events[case.ref]
        offered = any(event.event is Event.OFFERED and event.at > now - OFFER for event in mine)
        if offered or (stage is Stage.CHECKING and case.exception is None):
            continue
        offers.append(Offer(case.ref, clock_of(case, mine, today).safe_due))
    return sorted(offers, key=lambda offer: (offer.due, offer.ref))[:limit]


def mark_offered(parts: Parts, offers: Sequence[Offer]) -> list[Offer]:
    """Record that a human task points at each case; return those that still wait for one."""
    return [offer for offer in offers if _marked(parts, offer.ref)]


def _marked(parts: Parts, ref: str) -> bool:
    """Record one offer; False when the case is closed, or moves just now and is looked at again by the next run."""
    with suppress(ConflictError), parts.database.connect() as connection:
        case = get_case(connection, ref)
        if case.open:
            append(connection, case, Event.OFFERED, actor=parts.actor, at=parts.now())
            return True
    return False


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of the board."""

    case: Case
    clock: ClockAnswer
    late: bool
    events: Sequence[CaseEvent]


def board(parts: Parts, *, only_open: bool = False) -> list[BoardRow]:
    """Return every case with its clock: exceptions first, then by safe date. Late only after ``due``."""
    today = parts.now().astimezone(HELSINKI).date()
    with parts.database.connect() as connection:
        cases = list(all_cases(connection, only_open=only_open))
        events = events_of(connection, [case.ref for case in cases])
    rows = [_row(case, events[case.ref], today) for case in cases]
    return sorted(rows, key=lambda r: (not r.case.open, r.case.exception is None, r.clock.safe_due, r.case.ref))


def row_of(parts: Parts, ref: str) -> BoardRow:
    """Return one case with its clock.

    :raises RefusedError: no such reference.
    """
    today = parts.now().astimezone(HELSINKI).date()
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        mine = events_of(connection, [ref])[ref]
    return _row(case, mine, today)


def _row(case: Case, events: Sequence[CaseEvent], today: date) -> BoardRow:
    clock = clock_of(case, events, today)
    return BoardRow(case, clock, case.open and clock.due is not None and today > clock.due, events)


def waiting_batches(parts: Parts, stage: str, limit: int = 500) -> list[list[str]]:
    """Return what a machine can do in a stage, in batches of references."""
    if stage == Stage.RECEIVED:
        return in_batches(to_identify(parts, limit))
    return in_batches(in_stage(parts, Stage(stage), limit))


def human_tasks(parts: Parts, stage: str, limit: int = 300) -> list[dict[str, str]]:
    """Return what a human task shows of each offered case: reference, due date, and the way to the desk."""
    offers = mark_offered(parts, to_offer(parts, Stage(stage), limit))
    room = "review" if stage == Stage.DRAFTED else "identity"
    return [
        {
            "subject": f"{offer.ref}, due {offer.due.isoformat()}",
            "body": f"Decide at the desk: {parts.settings.desk.url}/{room}/{offer.ref}",
        }
        for offer in offers
    ]


def ref_in(subject: str) -> str:
    """Return the case's reference that a human task's subject names.

    :raises RefusedError: there is none.
    """
    found = REFERENCE.search(subject)
    if found is None:
        raise RefusedError("no_reference", "a human task's subject names its case")
    return found.group()
