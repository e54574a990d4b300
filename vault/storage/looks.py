"""People's looks of the last hour as opaque marks; one person's counts are taken one after another.

A mark is a MAC over person and patient, so that the table tells nobody who was read.
"""

from datetime import datetime, timedelta

from vault.storage.database import Connection

# until this transaction ends, no other process counts the same person
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended(%s, 7045))"


def count_looks(connection: Connection, actor: str, mark: bytes, since: datetime) -> tuple[int, bool]:
    """Lock a person's count; return how many others she opened since, and whether this one is among them.

    :param since: looks at or before this moment are forgotten.
    """
    connection.execute(_ONE_AT_A_TIME, (actor,))
    connection.execute("delete from looks where actor = %s and at <= %s", (actor, since))
    row = connection.execute(
        "select count(*) filter (where mark <> %(mark)s), count(*) filter (where mark = %(mark)s)"
        " from looks where actor = %(actor)s",
        {"actor": actor, "mark": mark},
    ).fetchone()
    return (int(row[0]), row[1] > 0) if row else (0, False)


def add_look(connection: Connection, actor: str, mark: bytes, at: datetime) -> None:
    """Count a look, or its latest time when it is counted already."""
    connection.execute(
        "insert into looks (actor, mark, at) values (%s, %s, %s)"
        " on conflict (actor, mark) do update set at = greatest(looks.at, excluded.at)",
        (actor, mark, at),
    )


def add_near(connection: Connection, actor: str, at: datetime, apart: timedelta, since: datetime) -> int | None:
    """Note that a person came near her limit; call it under her count's lock.

    :param apart: within this time of the last note it is the same one.
    :returns: how many notes there are since ``since``, this one included; None when it is the same one.
    """
    connection.execute("delete from near_caps where actor = %s and at <= %s", (actor, since))
    done = connection.execute(
        "insert into near_caps (actor, at) select %(actor)s, %(at)s"
        " where not exists (select from near_caps where actor = %(actor)s and at > %(last)s)",
        {"actor": actor, "at": at, "last": at - apart},
    )
    row = connection.execute("select count(*) from near_caps where actor = %s", (actor,)).fetchone()
    return int(row[0]) if done.rowcount and row else None


def forget_looks(connection: Connection, looks_before: datetime, nears_before: datetime) -> int:
    """Delete everybody's looks and notes that no rule counts any more; return how many looks."""
    connection.execute("delete from near_caps where at <= %s", (nears_before,))
    return connection.execute("delete from looks where at <= %s", (looks_before,)).rowcount
