"""Emergencies: who broke the glass for which case, until when, and what a second person found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vault.errors import ConflictError
from vault.storage.database import Connection

_COLUMNS = "ref, case_ref, actor, opened_at, until, alarm_ref, reviewed_at, reviewed_by, verdict"


@dataclass(frozen=True, slots=True)
class Emergency:
    """One break-glass: references and times; its reason lies sealed in the case's file.

    :param until: from then on the case is closed to her again.
    :param alarm: the alarm that stands on the board until the review.
    """

    ref: str
    case: str
    actor: str
    opened_at: datetime
    until: datetime
    alarm: str
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    verdict: str | None = None


def lock_emergencies(connection: Connection, actor: str) -> None:
    """Let no other process count or open one for this person until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 7046))", (actor,))


def count_emergencies(connection: Connection, actor: str, since: datetime) -> int:
    """Count a person's emergencies since a moment."""
    query = "select count(*) from emergencies where actor = %s and opened_at > %s"
    row = connection.execute(query, (actor, since)).fetchone()
    return int(row[0]) if row else 0


def add_emergency(connection: Connection, emergency: Emergency) -> None:
    """Store a new one; it has no review yet."""
    connection.execute(
        "insert into emergencies (ref, case_ref, actor, opened_at, until, alarm_ref) values (%s, %s, %s, %s, %s, %s)",
        (emergency.ref, emergency.case, emergency.actor, emergency.opened_at, emergency.until, emergency.alarm),
    )


def running_emergency(connection: Connection, actor: str, case: str, now: datetime) -> Emergency | None:
    """Return the emergency under which a person may open a case now."""
    row = connection.execute(
        f"select {_COLUMNS} from emergencies where actor = %s and case_ref = %s and until > %s"  # noqa: S608 - constant names
        " order by until desc limit 1",
        (actor, case, now),
    ).fetchone()
    return _emergency(row) if row else None


def get_emergency(connection: Connection, ref: str) -> Emergency | None:
    """Return one emergency."""
    row = connection.execute(f"select {_COLUMNS} from emergencies where ref = %s", (ref,)).fetchone()  # noqa: S608
    return _emergency(row) if row else None


def emergencies_of(connection: Connection, case: str) -> list[Emergency]:
    """Return a case's emergencies, the latest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from emergencies where case_ref = %s order by opened_at desc, ref",  # noqa: S608
        (case,),
    ).fetchall()
    return [_emergency(row) for row in rows]


def unreviewed(connection: Connection) -> list[Emergency]:
    """Return the emergencies that nobody has reviewed, the oldest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from emergencies where reviewed_at is null order by opened_at, ref"  # noqa: S608
    ).fetchall()
    return [_emergency(row) for row in rows]


def set_review(connection: Connection, ref: str, *, by: str, at: datetime, verdict: str) -> None:
    """Record a review, once, by another person.

    :raises ConflictError: it is reviewed already, or the reviewer is whose emergency it was.
    """
    done = connection.execute(
        "update emergencies set reviewed_at = %s, reviewed_by = %s, verdict = %s"
        " where ref = %s and reviewed_at is null and actor <> %s",
        (at, by, verdict, ref, by),
    )
    if done.rowcount != 1:
        raise ConflictError("emergency_reviewed", "this emergency is reviewed already; look at the board again")


def _emergency(row: Sequence[Any]) -> Emergency:
    return Emergency(*row)
