"""What came through the door: each message or sheet once, whatever is killed in between.

``source`` and ``digest`` are MACs under a key that stays in the key service, so that a
stolen table can't be compared with a message somebody holds.
"""

from dataclasses import dataclass
from datetime import datetime

from vault.storage.database import Connection

_COLUMNS = "ref, channel, source, digest, received_at, case_ref, role"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message or sheet.

    :param role: ``request``, ``reply``, ``duplicate`` or ``notice`` (an automatic message).
    """

    ref: str
    channel: str
    source: bytes
    digest: bytes
    received_at: datetime
    case_ref: str
    role: str


def add_arrival(connection: Connection, arrival: Arrival) -> None:
    """Record an arrival in the transaction that makes or changes its case."""
    connection.execute(
        f"insert into arrivals ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s)",  # noqa: S608 - constant names
        (
            arrival.ref,
            arrival.channel,
            arrival.source,
            arrival.digest,
            arrival.received_at,
            arrival.case_ref,
            arrival.role,
        ),
    )


def by_source(connection: Connection, source: bytes) -> Arrival | None:
    """Return the arrival that this source was recorded as."""
    return _one(connection, "source = %s", source)


def by_ref(connection: Connection, ref: str) -> Arrival | None:
    """Return one arrival."""
    return _one(connection, "ref = %s", ref)


def by_digest(connection: Connection, digest: bytes) -> Arrival | None:
    """Return the first arrival with the same content."""
    return _one(connection, "digest = %s order by received_at", digest)


def _one(connection: Connection, where: str, value: bytes | str) -> Arrival | None:
    query = f"select {_COLUMNS} from arrivals where {where} limit 1"  # noqa: S608 - constant names
    row = connection.execute(query, (value,)).fetchone()
    return Arrival(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4], row[5], row[6]) if row else None


def untaken_replies(connection: Connection, case_ref: str) -> list[Arrival]:
    """Return the replies to a case that no step has looked at yet, oldest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from arrivals"  # noqa: S608 - constant names
        " where case_ref = %s and role = 'reply' and taken_at is null order by received_at, ref",
        (case_ref,),
    ).fetchall()
    return [Arrival(r[0], r[1], bytes(r[2]), bytes(r[3]), r[4], r[5], r[6]) for r in rows]


def cases_with_replies(connection: Connection, limit: int) -> list[str]:
    """Return references of cases that have replies nobody has looked at."""
    rows = connection.execute(
        "select distinct case_ref from arrivals where role = 'reply' and taken_at is null order by case_ref limit %s",
        (limit,),
    ).fetchall()
    return [str(row[0]) for row in rows]


def take_reply(connection: Connection, ref: str, at: datetime) -> None:
    """Mark a reply as looked at."""
    connection.execute("update arrivals set taken_at = %s where ref = %s and taken_at is null", (at, ref))


def of_case(connection: Connection, case_ref: str) -> list[Arrival]:
    """Return everything that arrived for a case."""
    rows = connection.execute(
        f"select {_COLUMNS} from arrivals where case_ref = %s order by received_at, ref",  # noqa: S608 - constant names
        (case_ref,),
    ).fetchall()
    return [Arrival(r[0], r[1], bytes(r[2]), bytes(r[3]), r[4], r[5], r[6]) for r in rows]
