"""Remind: no clock runs out unseen; people are reminded, open questions too, and each only once."""

from datetime import date, timedelta

from vault.domain.calendar import HELSINKI
from vault.domain.case import Case, Event, Stage
from vault.domain.roles import Purpose
from vault.steps.casefile import CaseFile
from vault.steps.notices import intend_notice, send_notice
from vault.steps.parts import Parts
from vault.steps.queue import BoardRow, board
from vault.storage.cases import append, get_case, held, step_done

# days before the safe date on which the board escalates; 0 is the day itself
ESCALATIONS = (("two_weeks", 14), ("one_week", 7), ("two_days", 2), ("today", 0))
QUESTION_REMINDERS = (("first", 7), ("second", 14))  # days after the question
_NOTICE_BEFORE = 3  # days before the unpaused date: tell why no action was taken (GDPR 12(4))


def remind(parts: Parts) -> dict[str, int]:
    """Escalate cases whose safe date comes near, and remind of open questions; return counts."""
    today = parts.now().astimezone(HELSINKI).date()
    escalated = asked = 0
    for row in board(parts, only_open=True):
        with held(parts.database, row.case.ref) as mine:
            if not mine:
                continue
            escalated += _escalate(parts, row, today)
            if row.case.stage is Stage.ASKED:
                asked += _remind_requester(parts, row, today)
    return {"escalated": escalated, "reminded": asked}


def _escalate(parts: Parts, row: BoardRow, today: date) -> int:
    left = (row.clock.safe_due - today).days
    reached = [name for name, days in ESCALATIONS if left <= days]
    return _once(parts, row.case.ref, f"remind:{reached[-1]}", {"level": reached[-1]}) if reached else 0


def _once(parts: Parts, ref: str, step: str, detail: dict[str, str]) -> int:
    with parts.database.connect() as connection:
        if step_done(connection, ref, step):
            return 0
        case = get_case(connection, ref)
        append(connection, case, Event.REMINDED, actor=parts.actor, at=parts.now(), step=step, detail=detail)
    return 1


def _remind_requester(parts: Parts, row: BoardRow, today: date) -> int:
    asked_on = max(e.at for e in row.events if e.event is Event.QUESTION_SENT).astimezone(HELSINKI).date()
    due = [(name, asked_on + timedelta(days=days)) for name, days in QUESTION_REMINDERS]
    due.append(("unpaused", row.clock.safe_due - timedelta(days=_NOTICE_BEFORE)))
    reached = [name for name, day in due if today >= day]
    return _send(parts, row.case, asked_on, reached[-1]) if reached else 0


def _send(parts: Parts, case: Case, asked_on: date, name: str) -> int:
    step = f"question_reminder:{asked_on.isoformat()}:{name}"
    with parts.database.connect() as connection:
        if step_done(connection, case.ref, step):
            return 0
    file = CaseFile.open(parts, case.ref, Purpose.CASE_HANDLING)
    with parts.database.connect() as connection:
        notice = intend_notice(parts, connection, file, case, "reminder", mark=f"{asked_on:%m%d}-{name}")
        current = get_case(connection, case.ref)
        append(connection, current, Event.REMINDED, actor=parts.actor, at=parts.now(), step=step)
    send_notice(parts, file, notice)
    return 1
