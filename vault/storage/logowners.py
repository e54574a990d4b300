"""Whose log keys there are: the one place from which a leaf's tag can be led back to its subject."""

from collections.abc import Iterator
from contextlib import closing

from vault.storage.database import Connection

_PIECE = 1000  # rows fetched at a time


def log_key_owners(connection: Connection) -> Iterator[str]:
    """Yield each owner of a log key once: a subject's reference, or ``case:`` with a case's."""
    with closing(connection.cursor("log_key_owners")) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(
            "select distinct regexp_replace(ref, '/[0-9]+$', '') from wrapped_keys where kind = 'log' order by 1"
        )
        for (owner,) in cursor:
            yield str(owner)
