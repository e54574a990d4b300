"""Wrapped and sealed keys, in their own tables."""

from collections.abc import Collection, Mapping, Sequence

from vault.storage.database import Connection, Database, columns

_NEWEST = (
    "select distinct on (ref) ref, wrapped from wrapped_keys where kind = %s and ref = any(%s) "
    "order by ref, version desc"
)
_PUT_MANY = (
    "insert into wrapped_keys (kind, ref, version, wrapped) "
    "select %s, ref, %s, wrapped from unnest(%b::text[], %b::bytea[]) as given (ref, wrapped) on conflict do nothing "
    "returning ref"
)

_ADD_SEALED = (
    "insert into sealed_keys (owner, box, sealed) "
    "select owner, %s, sealed from unnest(%s::text[], %b::bytea[]) as given (owner, sealed)"
)
_PUT_ITEMS = (
    "insert into sealed_items (owner, name, version, envelope) "
    "select * from unnest(%s::text[], %s::text[], %s::int[], %b::bytea[]) on conflict do nothing"
)


class WrappedKeyTable:
    """Data keys wrapped by the key service, by kind and reference."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_many(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        """Return the newest wrapped bytes of each reference that has some, by one query."""
        rows = self._database.ask(_NEWEST, (kind, list(refs)), binary=True)
        return {str(row[0]): bytes(row[1]) for row in rows}

    def put_many(self, kind: str, version: int, wrapped: Mapping[str, bytes]) -> set[str]:
        """Store a version for many references in one transaction; return those where nobody was first."""
        with self._database.connect() as connection:
            rows = connection.execute(_PUT_MANY, (kind, version, list(wrapped), list(wrapped.values()))).fetchall()
        return {str(row[0]) for row in rows}


class SealedKeyTable:
    """Keys sealed to the public half of a box by writers who can't read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str) -> tuple[str, bytes] | None:
        """Return the box's name and the sealed key."""
        with self._database.connect() as connection:
            row = connection.execute("select box, sealed from sealed_keys where owner = %s", (owner,)).fetchone()
        return (str(row[0]), bytes(row[1])) if row else None


def add_sealed_key(connection: Connection, owner: str, box: str, sealed: bytes) -> None:
    """Store a sealed key inside the caller's transaction."""
    add_sealed_keys(connection, box, {owner: sealed})


def add_sealed_keys(connection: Connection, box: str, sealed: Mapping[str, bytes]) -> None:
    """Store several owners' sealed keys inside the caller's transaction."""
    connection.execute(_ADD_SEALED, (box, list(sealed), list(sealed.values())))


def destroy_owner(connection: Connection, owner: str) -> None:
    """Destroy an owner's key and its sealed items: what was sealed under it is gone."""
    connection.execute("delete from sealed_keys where owner = %s", (owner,))


def put_items(connection: Connection, items: Sequence[tuple[str, str, int, bytes]]) -> None:
    """Store sealed items; the same name and version again keeps the first.

    :param items: owner, name, version and envelope of each.
    """
    connection.execute(_PUT_ITEMS, columns(items, 4))


def get_item(connection: Connection, owner: str, name: str) -> tuple[int, bytes] | None:
    """Return the newest version of a sealed item."""
    row = connection.execute(
        "select version, envelope from sealed_items where owner = %s and name = %s order by version desc limit 1",
        (owner, name),
    ).fetchone()
    return (int(row[0]), bytes(row[1])) if row else None
