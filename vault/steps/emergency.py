"""Break-glass: one named case opens for a short time, for a written reason, and a second person reviews it.

Reason, emergency and alarm stand in one transaction, after the log entry that carries the reason and
before anything of the case is shown. The reason lies sealed in the log and in the case's file, never plain.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from vault.accesslog.entries import Access
from vault.domain.alarms import AlarmCode, Why
from vault.domain.case import Case
from vault.domain.emergencies import A_DAY, MAY_BREAK, ReviewVerdict, written_reason
from vault.domain.roles import Purpose, Role
from vault.errors import LimitError, NotAllowedError, RefusedError
from vault.steps.caps import REFUSED, at_cap
from vault.steps.casefile import CASE_FILE, CaseFile, access, record
from vault.steps.parts import Parts, Staff
from vault.storage.alarms import close_alarm, get_alarm, raise_alarm
from vault.storage.cases import get_case
from vault.storage.database import Connection
from vault.storage.emergencies import (
    Emergency,
    add_emergency,
    count_emergencies,
    emergencies_of,
    get_emergency,
    lock_emergencies,
    running_emergency,
    set_review,
    unreviewed,
)

OPENERS = frozenset({Role.REGISTRAR, Role.DPO})  # who opens particulars and originals
_LONGEST_WORDS = 4000  # characters of a review


def require_opener(connection: Connection, staff: Staff, ref: str, now: datetime) -> None:
    """Let pass who may open a case's particulars: registrars, officers, and a clinician who broke the glass for it.

    :raises NotAllowedError: anybody else.
    """
    if staff.roles & OPENERS:
        return
    if Role.CLINICIAN in staff.roles and running_emergency(connection, staff.actor, ref, now):
        return
    raise NotAllowedError("not_a_registrar", "registrars and data protection officers open particulars", ref=ref)


def break_glass(parts: Parts, staff: Staff, ref: str, reason: str) -> Emergency:
    """Open one case to a person for ``limits.emergency_minutes``; again while it is open, it changes nothing.

    :param reason: at least a sentence, at most 500 characters; sealed.
    :raises NotAllowedError: a role that opens no cases.
    :raises RefusedError: no such case, no rule that keeps her out of it now, or no reason worth the name.
    :raises LimitError: as many emergencies within a day as ``limits.emergencies_a_day``; logged, and it rings.
    """
    if not staff.roles & MAY_BREAK:
        raise NotAllowedError("not_staff", "your role opens no cases", ref=ref)
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        running = running_emergency(connection, staff.actor, ref, parts.now())
    if running is not None:
        return running
    look = _reasoned(parts, staff, case, reason)
    if _may_no_more(parts, staff, ref):
        parts.log.record([replace(look, outcome=REFUSED)])
        raise _reached(ref)
    opened = _open(parts, CaseFile(parts, ref, record(parts, [look])[0]), staff, str(look.emergency))
    if opened is None:
        raise _reached(ref)
    return opened


def _reasoned(parts: Parts, staff: Staff, case: Case, reason: str) -> Access:
    """Describe the look with its reason, where some rule refuses it now."""
    text = written_reason(reason)
    look = access(
        parts,
        Purpose.CASE_HANDLING,
        case=case.ref,
        subject=case.subject,
        kinds=[CASE_FILE],
        staff=staff,
        emergency=text,
    )
    if staff.roles & OPENERS and not at_cap(parts, look):
        raise RefusedError("emergency_not_needed", "you may open this case without breaking the glass", ref=case.ref)
    return look


def _reached(ref: str) -> LimitError:
    advice = "you have broken the glass as often as one person may a day; ask somebody else to open the case"
    return LimitError("emergencies_reached", advice, ref=ref)


def _may_no_more(parts: Parts, staff: Staff, ref: str) -> bool:
    with parts.database.connect() as connection:
        lock_emergencies(connection, staff.actor)
        running = running_emergency(connection, staff.actor, ref, parts.now())
        return running is None and _spent(parts, connection, staff, ref)


def _spent(parts: Parts, connection: Connection, staff: Staff, ref: str) -> bool:
    """Tell whether a person has had all her emergencies of a day, and ring if so."""
    now, limit = parts.now(), parts.settings.limits.emergencies_a_day
    if count_emergencies(connection, staff.actor, now - A_DAY) < limit:
        return False
    detail = {"limit": str(limit)}
    raise_alarm(connection, AlarmCode.EMERGENCIES_REACHED, at=now, actor=staff.actor, case=ref, detail=detail)
    return True


def _open(parts: Parts, file: CaseFile, staff: Staff, reason: str) -> Emergency | None:
    """Open one, or take the same one that another process opened; None when that was faster with the day's last."""
    with parts.database.connect() as connection:
        lock_emergencies(connection, staff.actor)
        running = running_emergency(connection, staff.actor, file.ref, parts.now())
        if running is not None:
            return running
        return None if _spent(parts, connection, staff, file.ref) else _insert(parts, connection, file, staff, reason)


def _insert(parts: Parts, connection: Connection, file: CaseFile, staff: Staff, reason: str) -> Emergency:
    now = parts.now()
    alarm = raise_alarm(connection, AlarmCode.EMERGENCY_OPENED, at=now, actor=staff.actor, case=file.ref)
    until = now + timedelta(minutes=parts.settings.limits.emergency_minutes)
    opened = Emergency(f"EMG-{secrets.token_hex(5).upper()}", file.ref, staff.actor, now, until, alarm)
    add_emergency(connection, opened)
    file.put(connection, _reason_item(opened.ref), {"reason": reason, "by": staff.actor})
    return opened


def case_emergencies(parts: Parts, ref: str) -> list[Emergency]:
    """Return a case's emergencies, the latest first, without their reasons."""
    with parts.database.connect() as connection:
        return emergencies_of(connection, ref)


def find_emergency(parts: Parts, ref: str) -> Emergency:
    """Return one emergency, without its reason.

    :raises RefusedError: no such reference.
    """
    with parts.database.connect() as connection:
        found = get_emergency(connection, ref)
    if found is None:
        raise RefusedError("no_such_emergency", "no emergency has this reference; go back to the board")
    return found


def read_reason(parts: Parts, staff: Staff, ref: str) -> tuple[Emergency, str, str]:
    """Open an emergency, its reason and the reviewer's words, '' before the review; the look is logged and counted.

    :raises NotAllowedError: not the data protection officer.
    """
    emergency, file = _for_review(parts, staff, ref)
    said: dict[str, Any] = file.get(_reason_item(ref)) or {}
    found: dict[str, Any] = file.get(_review_item(ref)) or {}
    return emergency, str(said.get("reason", "")), str(found.get("words", ""))


def review_emergency(parts: Parts, staff: Staff, ref: str, verdict: str, words: str) -> Emergency:
    """Record what the second person found; the alarm of the emergency closes, one of no reason rings anew.

    :param verdict: ``justified`` or ``not_justified``.
    :param words: why, in the reviewer's words; sealed.
    :raises NotAllowedError: not the data protection officer, or the person whose emergency it was.
    :raises ConflictError: it is reviewed already.
    """
    if verdict not in frozenset(ReviewVerdict) or not 0 < len(words.strip()) <= _LONGEST_WORDS:
        raise RefusedError("review_missing", "choose whether it was justified, and say in words why")
    emergency, file = _for_review(parts, staff, ref)
    if emergency.actor == staff.actor:
        raise NotAllowedError("own_emergency", "somebody else reviews your emergency", ref=emergency.case)
    now = parts.now()
    with parts.database.connect() as connection:
        set_review(connection, ref, by=staff.actor, at=now, verdict=verdict)
        file.put(connection, _review_item(ref), {"words": words.strip(), "by": staff.actor})
        _settle_alarm(connection, emergency, staff, now)
        if verdict == ReviewVerdict.NOT_JUSTIFIED:
            _ring_again(connection, emergency, now)
    return find_emergency(parts, ref)


def _ring_again(connection: Connection, emergency: Emergency, now: datetime) -> None:
    raise_alarm(
        connection,
        AlarmCode.EMERGENCY_NOT_JUSTIFIED,
        at=now,
        actor=emergency.actor,
        case=emergency.case,
        detail={"emergency": emergency.ref},
    )


def _for_review(parts: Parts, staff: Staff, ref: str) -> tuple[Emergency, CaseFile]:
    if Role.DPO not in staff.roles:
        raise NotAllowedError("not_an_officer", "the data protection officer reviews emergencies")
    emergency = find_emergency(parts, ref)
    with parts.database.connect() as connection:
        case = get_case(connection, emergency.case)
    return emergency, CaseFile.open(parts, case.ref, Purpose.AUDIT, subject=case.subject, staff=staff)


def _settle_alarm(connection: Connection, emergency: Emergency, staff: Staff, now: datetime) -> None:
    """Close the emergency's alarm unless it still stands for another one."""
    others = [item for item in unreviewed(connection) if item.alarm == emergency.alarm]
    alarm = get_alarm(connection, emergency.alarm)
    if not others and alarm is not None and alarm.closed_at is None:
        close_alarm(connection, emergency.alarm, staff.actor, now, Why.REVIEWED)


def _reason_item(ref: str) -> str:
    return f"emergency:{ref}"


def _review_item(ref: str) -> str:
    return f"emergency-review:{ref}"
