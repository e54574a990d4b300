"""What the nightly watch asks of the log and of who broke the glass: plain columns; nothing is opened."""

from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import date, datetime

from vault.storage.database import Connection

_PIECE = 500  # rows fetched at a time
_MOST = 100_000  # looks of one person in four weeks; a thief who makes more rings by the newest of them


def ended_before(connection: Connection, moment: datetime) -> int:
    """Return how many leaves the log had when its last look before a moment was written."""
    row = connection.execute("select coalesce(max(idx) + 1, 0) from log_leaves where at < %s", (moment,)).fetchone()
    return int(row[0]) if row else 0


def days_of_readers(
    connection: Connection, start: int, end: int, but: Collection[bytes], zone: str
) -> list[tuple[bytes, date]]:
    """Return who read on which day, by reader's mark.

    :param start: index of the first leaf; ``end`` of the first that is left out.
    :param but: marks of readers who are left out.
    :param zone: name of the time zone whose days are meant.
    """
    rows = connection.execute(
        "select distinct reader, (at at time zone %s)::date from log_leaves"
        " where idx >= %s and idx < %s and reader <> all(%s::bytea[])",
        (zone, start, end, list(but)),
    ).fetchall()
    return [(bytes(reader), day) for reader, day in rows]


def looks_of(
    connection: Connection, reader: bytes, since: datetime, until: datetime, end: int
) -> Iterator[tuple[datetime, str | None, bytes | None]]:
    """Yield one reader's looks in a span of time as time, case and tag, the newest first.

    :param end: leaves from this index on are left out.
    """
    with closing(connection.cursor("looks_of_a_reader")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(
            "select at, case_ref, tag from log_leaves where reader = %s and at >= %s and at < %s and idx < %s"
            " order by idx desc limit %s",
            (reader, since, until, end, _MOST),
        )
        for at, case, tag in cursor:
            yield at, case, None if tag is None else bytes(tag)


def glasses_broken(connection: Connection, since: datetime) -> list[tuple[str, str, datetime, datetime]]:
    """Return who broke the glass for which case, from when until when, since a moment: actor, case, times."""
    rows = connection.execute(
        "select actor, case_ref, opened_at, until from emergencies where until >= %s", (since,)
    ).fetchall()
    return [(str(actor), str(case), opened, until) for actor, case, opened, until in rows]
