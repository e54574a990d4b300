"""Who comes in at the desk as what: ids and roles alone, so that the nightly watch can name a reader's mark."""

from collections.abc import Collection
from datetime import datetime, timedelta

from vault.storage.database import Connection

_FRESH = timedelta(days=1)


def note_reader(connection: Connection, actor: str, roles: Collection[str], at: datetime) -> None:
    """Remember a person's roles; who came in with the same ones within a day is not written again."""
    connection.execute(
        "insert into readers as known (actor, roles, seen_at) values (%s, %s, %s)"
        " on conflict (actor) do update set roles = excluded.roles, seen_at = excluded.seen_at"
        " where known.roles <> excluded.roles or known.seen_at < excluded.seen_at - %s",
        (actor, sorted(roles), at, _FRESH),
    )


def readers(connection: Connection) -> dict[str, frozenset[str]]:
    """Return everybody's roles, as she came in with them last."""
    return {str(actor): frozenset(roles) for actor, roles in connection.execute("select actor, roles from readers")}
