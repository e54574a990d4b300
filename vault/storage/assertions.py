"""Assertions that opened the desk, until they would have ended anyway."""

from datetime import datetime

from vault.storage.database import Connection


def use_assertion(connection: Connection, jti: str, until: datetime, now: datetime) -> bool:
    """Use an assertion up; False when it was used before."""
    connection.execute("delete from used_assertions where until < %s", (now,))
    done = connection.execute(
        "insert into used_assertions (jti, until) values (%s, %s) on conflict do nothing", (jti, until)
    )
    return done.rowcount == 1


def is_used(connection: Connection, jti: str) -> bool:
    """Tell whether an assertion, or a session that somebody left, is used up."""
    return connection.execute("select 1 from used_assertions where jti = %s", (jti,)).fetchone() is not None
