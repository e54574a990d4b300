"""What goes out: the intent stands before the act, and an unclear outcome is `maybe_sent`, shown to a person."""

import json
from dataclasses import dataclass
from datetime import datetime

from vault.domain.case import Event
from vault.storage.cases import EVENT_OF_CHANGED
from vault.storage.database import Connection, Database

INTENDED = "intended"
SENDING = "sending"
SENT = "sent"
MAYBE_SENT = "maybe_sent"
REFUSED = "refused"  # the mail server said no
BOUNCED = "bounced"  # another mail server sent it back
WITHHELD = "withheld"  # its reader has had enough automatic answers today
READY = "ready"  # lies sealed in the print outbox
PRINTED = "printed"  # the print role opened it
POSTED = "posted"

_COLUMNS = "ref, case_ref, kind, road, state, intended_at, done_at"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail or letter; ``road`` is ``mail`` or ``post``, ``kind`` names its template."""

    ref: str
    case_ref: str
    kind: str
    road: str
    state: str
    intended_at: datetime
    done_at: datetime | None = None


def intend(connection: Connection, item: Outgoing) -> bool:
    """Record the intent once; False when it stands already."""
    done = connection.execute(
        f"insert into outgoing ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",  # noqa: S608
        (item.ref, item.case_ref, item.kind, item.road, item.state, item.intended_at, item.done_at),
    )
    return done.rowcount == 1


def move(connection: Connection, ref: str, before: str, after: str, at: datetime) -> bool:
    """Move an item from one state to the next; False when it is not in ``before``."""
    done = connection.execute(
        "update outgoing set state = %s, done_at = %s where ref = %s and state = %s", (after, at, ref, before)
    )
    return done.rowcount == 1


def begin(database: Database, ref: str, at: datetime) -> tuple[bool, str | None]:
    """Move an intended item to ``sending``, durably; tell whether that was done now, and the state found before it."""
    rows = database.ask(
        "with moved as (update outgoing set state = 'sending', done_at = %s where ref = %s and state = 'intended'"
        " returning ref) select exists (select from moved), state from outgoing where ref = %s",
        (at, ref, ref),
    )
    return (bool(rows[0][0]), str(rows[0][1])) if rows else (False, None)


def settle(database: Database, ref: str, *, actor: str, at: datetime) -> bool:
    """Write down that what was ``sending`` is sent, on the item and on its case; False when it was not ``sending``.

    It moves no case and changes nothing else of it, so whatever the case's latest version is will do.
    """
    rows = database.ask(
        "with moved as (update outgoing set state = 'sent', done_at = %s where ref = %s and state = 'sending'"  # noqa: S608 - a constant
        " returning case_ref), changed as (update cases set version = version + 1 from moved"
        f" where cases.ref = moved.case_ref returning cases.ref, version, stage){EVENT_OF_CHANGED} returning version",
        (at, ref, at, Event.NOTICE_SENT, actor, None, json.dumps({"notice": ref})),
    )
    return bool(rows)


def get_outgoing(connection: Connection, ref: str) -> Outgoing | None:
    """Return one item."""
    row = connection.execute(f"select {_COLUMNS} from outgoing where ref = %s", (ref,)).fetchone()  # noqa: S608
    return Outgoing(*row) if row else None


def in_state(connection: Connection, state: str, road: str, limit: int) -> list[Outgoing]:
    """Return items in a state, oldest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from outgoing where state = %s and road = %s order by intended_at, ref limit %s",  # noqa: S608
        (state, road, limit),
    ).fetchall()
    return [Outgoing(*row) for row in rows]


def outgoing_of(connection: Connection, case_ref: str) -> list[Outgoing]:
    """Return everything that goes out for a case."""
    rows = connection.execute(
        f"select {_COLUMNS} from outgoing where case_ref = %s order by intended_at, ref",  # noqa: S608
        (case_ref,),
    ).fetchall()
    return [Outgoing(*row) for row in rows]
