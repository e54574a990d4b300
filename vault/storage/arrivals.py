"""What came through the door: each message or sheet once, whatever is killed in between.

``source`` and ``digest`` are MACs under a key that stays in the key service, so that a
stolen table can't be compared with a message somebody holds.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import LiteralString

from vault.storage.database import Connection, columns

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


def add_arrivals(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    """Record arrivals in the transaction that makes or changes their cases."""
    connection.execute(
        f"insert into arrivals ({_COLUMNS}) select * from unnest(%s::text[], %s::text[], %b::bytea[], %b::bytea[],"  # noqa: S608 - constant names
        " %s::timestamptz[], %s::text[], %s::text[])",
        columns([astuple(one) for one in arrivals], 7),
    )


def by_source(connection: Connection, sources: Sequence[bytes]) -> dict[bytes, Arrival]:
    """Return the arrivals that these sources were recorded as."""
    return {one.source: one for one in _where(connection, "source = any(%s)", list(sources))}


def by_ref(connection: Connection, ref: str) -> Arrival | None:
    """Return one arrival."""
    return by_refs(connection, [ref]).get(ref)


def by_refs(connection: Connection, refs: Sequence[str]) -> dict[str, Arrival]:
    """Return arrivals by their references."""
    return {one.ref: one for one in _where(connection, "ref = any(%s)", list(refs))}


def by_digest(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, Arrival]:
    """Return the first arrival with the same content, for each content that came before; no copy, if another stands."""
    found = _where(connection, "digest = any(%s) order by role <> 'duplicate', received_at desc", list(digests))
    return {one.digest: one for one in found}


def untaken_replies(connection: Connection, case_ref: str) -> list[Arrival]:
    """Return the replies to a case that no step has looked at yet, oldest first."""
    untaken = "case_ref = %s and role = 'reply' and taken_at is null order by received_at, ref"
    return _where(connection, untaken, case_ref)


def _where(connection: Connection, condition: LiteralString, value: object) -> list[Arrival]:
    query = f"select {_COLUMNS} from arrivals where {condition}"  # noqa: S608 - constant names and conditions
    rows = connection.execute(query, (value,)).fetchall()
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
    return _where(connection, "case_ref = %s order by received_at, ref", case_ref)
