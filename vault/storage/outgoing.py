"""What goes out: the intent stands before the act, and an unclear outcome is `maybe_sent`, shown to a person."""

from dataclasses import dataclass
from datetime import datetime

from vault.storage.database import Connection

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
