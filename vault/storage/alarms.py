"""Alarms: what somebody must look at soon; references, codes and numbers only, and none is lost or doubled."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from vault.errors import ConflictError
from vault.storage.database import Connection

TOGETHER: Final = timedelta(hours=1)  # the same thing again within this time is counted, not doubled
_COLUMNS = "ref, code, raised_at, last_at, actor, case_ref, detail, count, closed_at"
_NOTHING: Final[Mapping[str, str]] = {}
# two processes that raise the same alarm at once wait for each other here, so that one counts the other's
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended(%s, 7044))"
_COUNT_UP = (
    "update alarms set count = count + 1, last_at = greatest(last_at, %(at)s) where ref ="
    " (select ref from alarms where closed_at is null and code = %(code)s and actor = %(actor)s"
    " and case_ref is not distinct from %(case)s and last_at > %(since)s order by last_at desc limit 1)"
    " returning ref"
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    :param actor: who caused it: a member of staff's or an office's id.
    :param count: how often it rang within an hour of the time before.
    """

    ref: str
    code: str
    raised_at: datetime
    last_at: datetime
    actor: str
    case: str | None
    detail: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    closed_at: datetime | None = None


def raise_alarm(
    connection: Connection,
    code: str,
    *,
    at: datetime,
    actor: str,
    case: str | None = None,
    detail: Mapping[str, str] = _NOTHING,
) -> str:
    """Put an alarm on the board, inside the caller's transaction, and return its reference.

    The same code, actor and case, still open and rung within the hour, is counted up.

    :param code: lower-case words joined by ``_``; the desk's texts and docs/operations.md explain each.
    :param detail: references, codes and numbers only.
    """
    connection.execute(_ONE_AT_A_TIME, (f"{code}|{actor}|{case or ''}",))
    known = {"code": code, "actor": actor, "case": case, "at": at, "since": at - TOGETHER}
    row = connection.execute(_COUNT_UP, known).fetchone()
    return str(row[0]) if row else _insert(connection, Alarm(_new_ref(), code, at, at, actor, case, detail))


def told(connection: Connection, code: str, detail: Mapping[str, str], since: datetime) -> bool:
    """Tell whether exactly this stands open on the board, or was closed after ``since``."""
    query = (
        "select 1 from alarms where code = %s and detail = %s::jsonb and (closed_at is null or closed_at > %s) limit 1"
    )
    return connection.execute(query, (code, json.dumps(dict(detail)), since)).fetchone() is not None


def _new_ref() -> str:
    return f"ALM-{secrets.token_hex(5).upper()}"


def _insert(connection: Connection, alarm: Alarm) -> str:
    connection.execute(
        "insert into alarms (ref, code, raised_at, last_at, actor, case_ref, detail)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (
            alarm.ref,
            alarm.code,
            alarm.raised_at,
            alarm.last_at,
            alarm.actor,
            alarm.case,
            json.dumps(dict(alarm.detail)),
        ),
    )
    return alarm.ref


def open_alarms(connection: Connection) -> list[Alarm]:
    """Return the alarms that nobody has closed, the latest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from alarms where closed_at is null order by last_at desc, ref"  # noqa: S608 - constant names
    ).fetchall()
    return [_alarm(row) for row in rows]


def get_alarm(connection: Connection, ref: str) -> Alarm | None:
    """Return one alarm."""
    row = connection.execute(f"select {_COLUMNS} from alarms where ref = %s", (ref,)).fetchone()  # noqa: S608
    return _alarm(row) if row else None


def close_alarm(connection: Connection, ref: str, by: str, at: datetime, why: str = "explained") -> None:
    """Close an alarm; who did it and why stands as an event.

    :param why: a word of ``vault.domain.alarms.Why``.
    :raises ConflictError: no open alarm has this reference.
    """
    done = connection.execute("update alarms set closed_at = %s where ref = %s and closed_at is null", (at, ref))
    if done.rowcount != 1:
        raise ConflictError("alarm_closed", "this alarm is closed already; look at the board again")
    connection.execute(
        "insert into alarm_events (alarm_ref, at, event, actor, why) values (%s, %s, 'closed', %s, %s)",
        (ref, at, by, why),
    )


def _alarm(row: Sequence[Any]) -> Alarm:
    return Alarm(*row)
