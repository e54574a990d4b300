"""Wrapped keys and where they stand: moved only if nobody changed them meanwhile, removed with what they open.

The first five bytes of a wrapped key are plain: its holder's format and the root's number.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from vault.domain.private import Private
from vault.storage.database import Connection

HEADER_BYTES = 5
_ELSEWHERE = (
    "select kind, ref, version, wrapped from wrapped_keys "
    "where (kind, ref, version) > (%b, %b, %b) and substring(wrapped from 1 for 5) <> %b "
    "order by kind, ref, version limit %b"
)
_MOVE = (
    "update wrapped_keys set wrapped = new.wrapped "
    "from unnest(%b::text[], %b::text[], %b::int[], %b::bytea[], %b::bytea[]) "
    "as new (kind, ref, version, old, wrapped) "
    "where (wrapped_keys.kind, wrapped_keys.ref, wrapped_keys.version) = (new.kind, new.ref, new.version) "
    "and wrapped_keys.wrapped = new.old"
)
_COUNTS = (
    "select kind, get_byte(wrapped, 0), ('x' || encode(substring(wrapped from 2 for 4), 'hex'))::bit(32)::bigint, "
    "count(*) from wrapped_keys group by 1, 2, 3 order by 1, 2, 3"
)


@dataclass(frozen=True, slots=True)
class WrappedKey(Private, shows=("kind", "ref")):
    """One row: a key's kind, reference and version, and its wrapped bytes."""

    kind: str
    ref: str
    version: int
    wrapped: bytes

    @property
    def place(self) -> tuple[str, str, int]:
        """Give where it stands in the order of the table."""
        return self.kind, self.ref, self.version


@dataclass(frozen=True, slots=True)
class RootCount:
    """How many keys of a kind stand under a root.

    :param holder: the format byte: 1 local, 2 aws-kms, 3 pkcs11.
    """

    kind: str
    holder: int
    root: int
    keys: int


def elsewhere(connection: Connection, header: bytes, after: tuple[str, str, int], limit: int) -> list[WrappedKey]:
    """Return wrapped keys that do not stand under a root, in the order of kind, reference and version.

    :param header: the root's five bytes; no bytes for every key.
    :param after: where the last batch ended; ``("", "", 0)`` at first.
    """
    rows = connection.execute(_ELSEWHERE, (*after, header, limit), binary=True).fetchall()
    return [WrappedKey(str(row[0]), str(row[1]), int(row[2]), bytes(row[3])) for row in rows]


def move(connection: Connection, moved: Sequence[tuple[WrappedKey, bytes]]) -> int:
    """Put new wrapped bytes in the place of the old, where the old still stand; return how many did."""
    columns = (
        [row.kind for row, _ in moved],
        [row.ref for row, _ in moved],
        [row.version for row, _ in moved],
        [row.wrapped for row, _ in moved],
        [wrapped for _, wrapped in moved],
    )
    return connection.execute(_MOVE, columns).rowcount


def remove(connection: Connection, row: WrappedKey) -> int:
    """Remove a wrapped key that still stands as it was read; return how many did."""
    return connection.execute(
        "delete from wrapped_keys where kind = %s and ref = %s and version = %s and wrapped = %s",
        (*row.place, row.wrapped),
    ).rowcount


def counts(connection: Connection) -> list[RootCount]:
    """Count the wrapped keys by kind, holder and root."""
    return [RootCount(str(row[0]), *map(int, row[1:])) for row in connection.execute(_COUNTS).fetchall()]


def is_subject(connection: Connection, subject: str) -> bool:
    """Tell whether the register knows a subject."""
    return connection.execute("select 1 from subjects where ref = %s", (subject,)).fetchone() is not None


def erase_records(connection: Connection, subject: str, kept: Collection[str]) -> tuple[int, int]:
    """Remove a subject's wrapped record key and her records, but those of the kinds that are kept.

    :returns: how many wrapped keys and how many records were there.
    """
    keys = connection.execute("delete from wrapped_keys where kind = 'record' and ref = %s", (subject,))
    records = connection.execute("delete from records where subject = %s and kind <> all(%s)", (subject, list(kept)))
    return keys.rowcount, records.rowcount
