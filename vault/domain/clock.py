"""The statutory clocks: every answer holds the due date, the safe date to work to, and why each is what it is.

All dates are Europe/Helsinki dates. The arithmetic stands in :mod:`vault.domain.periods`, the
words in :mod:`vault.domain.clockwhy`. Nothing here asks what time it is: ``today`` is handed in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias

from vault.domain import clockwhy
from vault.domain.calendar import HELSINKI, add_working_days, is_working_day, last_second, local_day, require
from vault.domain.periods import Dispute, Pause, Rule, disputes, last_day, merge, safe_day
from vault.errors import WrongUseError

__all__ = ["ClockAnswer", "Dispute", "Pause", "Question", "Rule", "case_clock", "compute", "pause_flags"]

Question: TypeAlias = tuple[datetime, datetime | None]  # sent, answered

_QUESTION_DAYS = 5  # working days after receipt within which a question should go out
_BREACH_HOURS = timedelta(hours=72)
_WORKING_DAYS = 2  # Reg. 1182/71 art. 3(5)


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """One clock of a case.

    :param due: the last day; None while a pause is open. The case is late only after it.
    :param due_at: its last second, Helsinki time (for a breach the exact end of the 72 hours).
    :param safe_due: the earliest last day under any disputed reading; show it and work to it.
    :param extension_notice_due: for an extended clock, the day by which the notice must go out.
    :param extension_notice_safe_due: the safe date of that notice.
    :param disputed: codes of the readings that move this very clock, in a fixed order.
    :param why: lines that name rule, source and reason of every date.
    """

    rule: Rule
    due: date | None
    due_at: datetime | None
    safe_due: date
    extension_notice_due: date | None
    extension_notice_safe_due: date | None
    disputed: tuple[Dispute, ...]
    why: tuple[str, ...]


def compute(rule: str, received: datetime, pauses: Iterable[Pause], today: date) -> ClockAnswer:
    """Compute one clock.

    :param rule: a :class:`Rule` or its name.
    :param received: when the request came in at an official channel (for a breach: when we knew), with UTC offset.
    :param pauses: questions to the requester, in any order; overlapping ones are merged.
    :param today: the Helsinki date from which the clock is looked at; moves no date, only the last line of ``why``.
    :raises WrongUseError: unknown rule, a time without offset, a moment for a day, a pause before receipt or of a
        breach clock.
    :raises RefusedError: dates that the calendar does not know.
    """
    known, day = _rule(rule), local_day(received)
    require(today)
    merged = merge(day, pauses)
    if known is not Rule.BREACH:
        return _dated(known, day, merged, today)
    if merged:
        raise WrongUseError("breach_has_no_pause", "the 72 hours know no pause; leave it out")
    return _breach(received, today)


def case_clock(received: datetime, questions: Iterable[Question], today: date, extended: bool = False) -> ClockAnswer:
    """Compute the clock that a case is worked to: the first month, or the three months once extended (GDPR 12(3)).

    :param questions: each with the moment it was sent and the moment its answer came, None while open.
    :raises WrongUseError: as :func:`compute`.
    :raises RefusedError: as :func:`compute`.
    """
    return compute(Rule.EXTENDED if extended else Rule.FIRST_MONTH, received, _pauses(questions), today)


def pause_flags(received: datetime, questions: Iterable[Question]) -> tuple[Pause, ...]:
    """Return the pauses whose question went out later than 5 working days after receipt; a person looks at them.

    :raises WrongUseError: a time without UTC offset.
    """
    limit = add_working_days(local_day(received), _QUESTION_DAYS)
    return tuple(pause for pause in _pauses(questions) if pause.start > limit)


def _pauses(questions: Iterable[Question]) -> list[Pause]:
    return [Pause(local_day(sent), None if came is None else local_day(came)) for sent, came in questions]


def _rule(name: str) -> Rule:
    try:
        return Rule(name)
    except ValueError:
        raise WrongUseError("unknown_rule", f"the rules are {', '.join(Rule)}") from None


@lru_cache(maxsize=4096)  # a surge brings thousands of cases that came on the same days
def _dated(rule: Rule, received: date, pauses: tuple[Pause, ...], today: date) -> ClockAnswer:
    due, safe_due = last_day(rule, received, pauses), safe_day(rule, received)
    extended = rule is Rule.EXTENDED
    codes = disputes(rule, received, pauses)
    return ClockAnswer(
        rule=rule,
        due=due,
        due_at=None if due is None else last_second(due),
        safe_due=safe_due,
        extension_notice_due=last_day(Rule.FIRST_MONTH, received, pauses) if extended else None,
        extension_notice_safe_due=safe_day(Rule.FIRST_MONTH, received) if extended else None,
        disputed=codes,
        why=(
            clockwhy.source(rule),
            *clockwhy.steps(rule, received, pauses),
            clockwhy.safe(rule, received, pauses),
            *clockwhy.disputed(codes),
            *clockwhy.open_pause(rule, received, pauses),
            *clockwhy.duties(rule, received, pauses),
            *clockwhy.flagged(pauses, add_working_days(received, _QUESTION_DAYS)),
            clockwhy.standing(today, due, safe_due),
        ),
    )


def _breach(received: datetime, today: date) -> ClockAnswer:
    start = received.astimezone(HELSINKI).replace(microsecond=0)
    due_at = (start.astimezone(UTC) + _BREACH_HOURS).astimezone(HELSINKI)
    due = require(due_at.date())
    codes = (Dispute.R5,) if _whole_working_days(start, due) < _WORKING_DAYS else ()
    return ClockAnswer(
        rule=Rule.BREACH,
        due=due,
        due_at=due_at,
        safe_due=due,
        extension_notice_due=None,
        extension_notice_safe_due=None,
        disputed=codes,
        why=(
            clockwhy.source(Rule.BREACH),
            clockwhy.hours(start, due_at),
            *clockwhy.disputed(codes),
            clockwhy.standing_hours(today, due_at),
        ),
    )


def _whole_working_days(start: datetime, due: date) -> int:
    day = start.date() if start.time() == time(0) else start.date() + timedelta(days=1)
    return sum(is_working_day(day + timedelta(days=ahead)) for ahead in range((due - day).days))
