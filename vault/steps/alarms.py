"""Alarms on the board: what rang, how long ago, and closing one with a word, by somebody else than caused it."""

from dataclasses import dataclass
from datetime import timedelta

from vault.domain.alarms import CHOSEN, AlarmCode
from vault.domain.emergencies import REVIEW_WITHIN
from vault.domain.roles import Role
from vault.errors import ConflictError, NotAllowedError, RefusedError
from vault.steps.parts import Parts, Staff
from vault.storage.alarms import Alarm, close_alarm, get_alarm, open_alarms
from vault.storage.emergencies import unreviewed


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One open alarm as the board shows it.

    :param age: since it rang first.
    :param emergencies: references of the emergencies behind it that wait for a review.
    """

    alarm: Alarm
    age: timedelta
    emergencies: tuple[str, ...] = ()

    @property
    def overdue(self) -> bool:
        """Tell whether a review has waited too long."""
        return bool(self.emergencies) and self.age > REVIEW_WITHIN


def alarms(parts: Parts) -> list[AlarmRow]:
    """Return the open alarms: emergencies without review first, the oldest of them first, then the latest rings."""
    now = parts.now()
    with parts.database.connect() as connection:
        found, waiting = open_alarms(connection), unreviewed(connection)
    behind = {alarm.ref: tuple(item.ref for item in waiting if item.alarm == alarm.ref) for alarm in found}
    rows = [AlarmRow(alarm, now - alarm.raised_at, behind[alarm.ref]) for alarm in found]
    pending = sorted((row for row in rows if row.emergencies), key=lambda row: row.alarm.raised_at)
    return pending + [row for row in rows if not row.emergencies]


def alarm_row(parts: Parts, ref: str) -> AlarmRow:
    """Return one open alarm.

    :raises RefusedError: no open alarm has this reference.
    """
    row = next((row for row in alarms(parts) if row.alarm.ref == ref), None)
    if row is None:
        raise RefusedError("no_such_alarm", "no open alarm has this reference; go back to the board", ref=None)
    return row


def close(parts: Parts, staff: Staff, ref: str, why: str) -> Alarm:
    """Close an alarm with a word; who did it and why stands as an event.

    :param why: one of ``vault.domain.alarms.CHOSEN``.
    :raises NotAllowedError: not the data protection officer, or whoever caused it.
    :raises ConflictError: an emergency behind it waits for its review, or it is closed already.
    """
    if Role.DPO not in staff.roles:
        raise NotAllowedError("not_an_officer", "the data protection officer closes alarms")
    with parts.database.connect() as connection:
        alarm = get_alarm(connection, ref)
        if alarm is None:
            raise RefusedError("no_such_alarm", "no alarm has this reference; go back to the board")
        if alarm.actor == staff.actor:
            raise NotAllowedError("own_alarm", "somebody else closes the alarm that you caused")
        if why not in CHOSEN:
            raise RefusedError("why_missing", "choose why the alarm is closed")
        if alarm.code == AlarmCode.EMERGENCY_OPENED and any(item.alarm == ref for item in unreviewed(connection)):
            raise ConflictError("review_first", "review the emergency; its alarm closes with the review")
        close_alarm(connection, ref, staff.actor, parts.now(), why)
    return alarm
