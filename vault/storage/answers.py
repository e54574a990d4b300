"""Which address got an automatic answer within the last day: marks and times, so that a loop ends.

The mark is a MAC under a key that stays in the key service, as in :mod:`vault.storage.arrivals`,
and it is forgotten after a day.
"""

from datetime import datetime, timedelta

from vault.storage.database import Connection

_DAY = timedelta(days=1)


def answered_lately(connection: Connection, sender: bytes, now: datetime) -> int:
    """Count the automatic answers that an address got within 24 hours; older ones are forgotten."""
    connection.execute("delete from mail_answers where at < %s", (now - _DAY,))
    row = connection.execute("select count(*) from mail_answers where sender = %s", (sender,)).fetchone()
    return int(row[0]) if row else 0


def add_answer(connection: Connection, item_ref: str, sender: bytes, at: datetime) -> None:
    """Record an answer in the transaction that intends it."""
    connection.execute(
        "insert into mail_answers (item_ref, sender, at) values (%s, %s, %s) on conflict do nothing",
        (item_ref, sender, at),
    )
