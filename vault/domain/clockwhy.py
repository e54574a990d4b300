"""Explains a clock: names its rule and source, how each date was reached, and why the safe date is what it is.

The lines hold dates and statutes only, so they may stand on the board and in a terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from vault.domain.calendar import last_second, rest_names
from vault.domain.periods import (
    EARLIEST,
    MONTHS,
    PREVAILING,
    Dispute,
    Extension,
    Pause,
    Rule,
    counts,
    last_day,
    last_working,
    safe_day,
    start_of,
)

_EDPB = "EDPB Guidelines 01/2022 v2.1 paras 157-164"
_SOURCES = {
    Rule.FIRST_MONTH: f"one month from receipt (GDPR Art. 12(3); {_EDPB})",
    Rule.EXTENDED: "three months from receipt, counted as one period (GDPR Art. 12(3); Reg. 1182/71 art. 3(2)(c))",
    Rule.LOG_REQUEST: "a reasonable time, at latest two months, no extension, free of charge (Act 703/2023 s. 11)",
    Rule.BREACH: "72 elapsed hours from awareness, counted in UTC, weekends included "
    "(GDPR Art. 33(1); Reg. 1182/71 art. 3(4) does not move a period in hours)",
}
_ROLLING = {
    Rule.FIRST_MONTH: "Reg. 1182/71 art. 3(4); Act 150/1930 s. 5",
    Rule.EXTENDED: "Reg. 1182/71 art. 3(4); Act 150/1930 s. 5",
    Rule.LOG_REQUEST: "Act 150/1930 s. 5, for a private provider by analogy",
}
_PAUSING = "a recorded reasonable doubt, GDPR Art. 12(6), or a recital 63 question"
_DISPUTES = {
    Dispute.EVE: "Christmas Eve and Midsummer Eve are no public holidays; only Act 150/1930 s. 5 moves a last day",
    Dispute.EXT: "two months on top of the first month can end on another day than three months as one period",
    Dispute.PAUSE: "neither GDPR Art. 12(6) nor recital 63 says in words that a question suspends the period",
    Dispute.LOGROLL: "a private provider's two months move to a working day only by analogy with Act 150/1930 s. 5",
    Dispute.R5: "Reg. 1182/71 art. 3(5) would stretch the 72 hours until they hold two working days; "
    "do not count on it, the date shown is the earlier",
}


def source(rule: Rule) -> str:
    """Name a rule and where it stands."""
    return f"Rule {rule.value}: {_SOURCES[rule]}."


def disputed(codes: Sequence[Dispute]) -> list[str]:
    """Say for each code what is disputed."""
    return [f"Disputed, {code.value}: {_DISPUTES[code]}." for code in codes]


def _start(rule: Rule, received: date) -> str:
    end = start_of(rule, received)
    months = "one month" if MONTHS[rule] == 1 else f"{MONTHS[rule]} months"
    clipped = "" if end.day == received.day else f", the month's last day, for it has no day {received.day}"
    return f"Received on {received} in Helsinki; {months} later is {end}{clipped}."


def _paused(pause: Pause, nominal: date) -> str:
    if pause.end is None:
        return f"The question of {pause.start} is open: there is no due date until the answer comes."
    if not pause.days:
        return f"Asked and answered on {pause.start}: adds no day."
    return f"Paused from {pause.start} to {pause.end}: adds {pause.days} whole days, to {nominal} ({_PAUSING})."


def _rolled(rule: Rule, nominal: date, due: date) -> str:
    if nominal == due:
        return f"{nominal} is a working day."
    names = ", ".join(rest_names(nominal))
    return f"{nominal} is no working day ({names}): the period ends on the next one, {due} ({_ROLLING[rule]})."


def steps(rule: Rule, received: date, pauses: Sequence[Pause]) -> Iterator[str]:
    """Yield how the due date was reached: months, each pause, the move to a working day."""
    yield _start(rule, received)
    nominal = start_of(rule, received)
    for pause in pauses:
        if not counts(rule, nominal, pause):
            yield f"The question of {pause.start} went out after the period had ended: it stops nothing."
            continue
        nominal += timedelta(days=pause.days or 0)
        yield _paused(pause, nominal)
        if pause.days is None:
            return
    due = last_working(rule, nominal, PREVAILING)
    yield _rolled(rule, nominal, due)
    yield f"The case is late only after {last_second(due).isoformat()}."


def _sides(rule: Rule, received: date, pauses: Sequence[Pause]) -> Iterator[str]:
    """Yield the sides that the safe date takes, each only where taking it brings the day forward."""
    sides = (
        ("no pause counts", replace(EARLIEST, pauses=True)),
        ("the Eves are working days", replace(EARLIEST, eves=True)),
        ("the two months are added to the first month's unmoved end", replace(EARLIEST, extension=Extension.WHOLE)),
        ("the last day does not move to a working day", replace(EARLIEST, log_rolls=True)),
    )
    safe = safe_day(rule, received)
    for words, other in sides:
        if last_day(rule, received, pauses, other) != safe:
            yield words


def safe(rule: Rule, received: date, pauses: Sequence[Pause]) -> str:
    """Say why the safe date is what it is."""
    day, due = safe_day(rule, received), last_day(rule, received, pauses)
    if day == due:
        return f"Safe date {day}: the due date itself, no disputed reading ends earlier."
    taken = "; ".join(_sides(rule, received, pauses)) or "no disputed reading is relied on"
    return f"Safe date {day}: the earliest day under any disputed reading ({taken}). Work to it."


def duties(rule: Rule, received: date, pauses: Sequence[Pause]) -> Iterator[str]:
    """Yield what else hangs on the first month: a refusal, an extension's notice, the Art. 15 side of a log request."""
    first = last_day(Rule.FIRST_MONTH, received, pauses)
    first_safe = safe_day(Rule.FIRST_MONTH, received)
    by = f"{first or 'the first month end, open while the pause is'}, safe date {first_safe}"
    if rule is Rule.FIRST_MONTH:
        yield "A refusal, whole or partial, with its reasons is due by the same day (GDPR Art. 12(4))."
    elif rule is Rule.EXTENDED:
        yield f"The notice of the extension, with its reasons, is due by {by}; else the extension is lost."
        yield f"A refusal, whole or partial, is not extended: due by {by} (GDPR Art. 12(4))."
    else:
        yield (
            "Dates and purposes of consultations are also Art. 15 information (CJEU C-579/21): "
            f"aim at the {Rule.FIRST_MONTH.value} clock, {by}."
        )
        yield "Log data older than two years is given for a special reason only (Act 703/2023 s. 11)."


def open_pause(rule: Rule, received: date, pauses: Sequence[Pause]) -> Iterator[str]:
    """Yield what an open pause asks of us; nothing when none is open."""
    if last_day(rule, received, pauses) is None:
        before = safe_day(rule, received)
        yield f"Send reminders while the question is open, and before {before} a notice under GDPR Art. 12(4)."


def flagged(pauses: Sequence[Pause], limit: date) -> Iterator[str]:
    """Yield a line for each question that went out after ``limit``, the fifth working day after receipt."""
    for pause in pauses:
        if pause.start > limit:
            yield (
                f"The question of {pause.start} went out later than 5 working days after receipt ({limit}): "
                "check that the doubt was reasonable and is on record."
            )


def standing(today: date, due: date | None, safe_due: date) -> str:
    """Say where ``today`` stands between the safe date and the due date."""
    if due is not None and today > due:
        return f"Today, {today}, the case is late by {(today - due).days} days."
    if today > safe_due:
        return f"Today, {today}, the safe date has passed; the case is not late."
    return f"Today, {today}, {(safe_due - today).days} days remain to the safe date."


def hours(received: datetime, due_at: datetime) -> str:
    """Say how the 72 hours run from ``received`` to ``due_at``, both Helsinki time."""
    return f"Aware at {received.isoformat()}; 72 elapsed hours later is {due_at.isoformat()}, in local time."


def standing_hours(today: date, due_at: datetime) -> str:
    """Say where ``today`` stands before the end of the 72 hours."""
    due = due_at.date()
    if today == due:
        return f"Today, {today}, the 72 hours end at {due_at:%H:%M}."
    return standing(today, due, due)
