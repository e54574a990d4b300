"""The cap for people: a look is counted durably before it is logged, and over the limit nothing is opened.

Every opening by a member of staff passes here (``vault.steps.casefile.CaseFile.open``); machines
are bound by receipts and identity decisions instead. A kill between counting and logging leaves
one look counted too many, never one too few.
"""

from dataclasses import replace
from datetime import datetime

from vault.accesslog.entries import Access
from vault.domain.alarms import AlarmCode
from vault.domain.caps import NEAR_TIMES, NEAR_WITHIN, WINDOW, Verdict, judge
from vault.errors import LimitError
from vault.steps.parts import Parts
from vault.storage.alarms import raise_alarm
from vault.storage.database import Connection
from vault.storage.emergencies import Emergency, running_emergency
from vault.storage.looks import add_look, add_near, count_looks, forget_looks

REFUSED = "refused"  # the outcome in the access log
_MARK_BYTES = 16


def admit(parts: Parts, look: Access) -> Access:
    """Count a person's look; return it as it is to be logged, marked when it stands under an emergency.

    :param look: names a case or a subject.
    :raises LimitError: she opened as many patients as the limit within the hour (code ``cap_reached``); the
        attempt is logged, and an alarm stands on the board.
    :raises OutOfReachError: the database does not answer, so nothing can be counted and nothing is opened.
    """
    verdict, emergency = _count(parts, look)
    if verdict is Verdict.REFUSED:
        parts.log.record([replace(look, outcome=REFUSED)])
        advice = "you have opened as many patients as one person may an hour; wait, or break the glass for this case"
        raise LimitError("cap_reached", advice, ref=look.case)
    return replace(look, emergency=f"emergency {emergency.ref}") if emergency else look


def _count(parts: Parts, look: Access) -> tuple[Verdict, Emergency | None]:
    """Rule and count in one transaction, which stands, with its alarm, before anything is logged or opened."""
    now, mark, limit = parts.now(), _mark(parts, look), parts.settings.limits.patients_an_hour
    with parts.database.connect() as connection:
        emergency = running_emergency(connection, look.actor, look.case, now) if look.case else None
        others, again = count_looks(connection, look.actor, mark, now - WINDOW)
        verdict = judge(others, limit, again=again, emergency=emergency is not None)
        if verdict is Verdict.REFUSED:
            detail = {"limit": str(limit), "opened": str(others)}
            raise_alarm(connection, AlarmCode.CAP_REACHED, at=now, actor=look.actor, detail=detail)
        else:
            add_look(connection, look.actor, mark, now)
        if verdict is Verdict.NEAR:
            _note_near(connection, look, now, limit)
    return verdict, emergency


def at_cap(parts: Parts, look: Access) -> bool:
    """Tell whether the cap would refuse this look now; nothing is counted."""
    with parts.database.connect() as connection:
        others, again = count_looks(connection, look.actor, _mark(parts, look), parts.now() - WINDOW)
    limit = parts.settings.limits.patients_an_hour
    return judge(others, limit, again=again, emergency=False) is Verdict.REFUSED


def forget(parts: Parts) -> int:
    """Delete counts that no rule needs any more; return how many looks."""
    now = parts.now()
    with parts.database.connect() as connection:
        return forget_looks(connection, now - WINDOW, now - NEAR_WITHIN)


def _note_near(connection: Connection, look: Access, now: datetime, limit: int) -> None:
    times = add_near(connection, look.actor, now, WINDOW, now - NEAR_WITHIN)
    if times is not None and times >= NEAR_TIMES:
        detail = {"limit": str(limit), "times": str(times)}
        raise_alarm(connection, AlarmCode.CAP_NEAR, at=now, actor=look.actor, detail=detail)


def _mark(parts: Parts, look: Access) -> bytes:
    """Name person and patient opaquely; no subject's tag is like it, because no reference holds a bar."""
    patient = look.subject if look.subject is not None else look.case
    return parts.service.mac("log-tag", f"look|{look.actor}|{patient}".encode())[:_MARK_BYTES]
