"""Rewrap: every wrapped key goes under the primary root, in batches, killed anywhere and resumed, while others work.

A key that somebody changed meanwhile is left as it is; one that the key service's ledger calls
destroyed is removed, because only a backup can have brought it back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from vault.crypto.ledger import DESTROYED
from vault.errors import KeyMissingError, TamperedError, UnknownFormatError
from vault.steps.parts import Parts
from vault.storage.custody import HEADER_BYTES, WrappedKey, elsewhere, move, remove

_BATCH = 500  # keys in memory and in a transaction
_MOST_FAULTY = 100  # then something else is wrong than a few rows
_START = ("", "", 0)


@dataclass(slots=True)
class _Walk:
    """Where a walk through the table is, and what it has found."""

    header: bytes = b""  # of the primary root, learnt from the first answer
    after: tuple[str, str, int] = _START
    rewrapped: int = 0
    destroyed: int = 0
    faulty: list[str] = field(default_factory=list)


def rewrap(parts: Parts, limit: int | None = None, tell: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Wrap keys anew until none stands under another root, or ``limit`` are done.

    :param tell: called with a line of progress after each batch, and with one for each key that does not open.
    :returns: how many were ``rewrapped``, ``destroyed`` (removed) and ``faulty`` (left as they are).
    """
    walk = _Walk()
    while rows := _next(parts, walk, limit):
        _batch(parts, walk, rows, tell)
        walk.after = rows[-1].place
        tell(f"{walk.rewrapped} keys wrapped anew")
    return {"rewrapped": walk.rewrapped, "destroyed": walk.destroyed, "faulty": len(walk.faulty)}


def _next(parts: Parts, walk: _Walk, limit: int | None) -> list[WrappedKey]:
    left = _BATCH if limit is None else min(_BATCH, limit - walk.rewrapped)
    if left <= 0 or len(walk.faulty) >= _MOST_FAULTY:
        return []
    with parts.database.connect() as connection:
        # the first answer tells the primary root; after it the database passes over what stands there
        return elsewhere(connection, walk.header, walk.after, left if walk.header else 1)


def _batch(parts: Parts, walk: _Walk, rows: list[WrappedKey], tell: Callable[[str], None]) -> None:
    answers = [(row, _rotated(parts, walk, row, tell)) for row in rows]
    moved = [(row, wrapped) for row, wrapped in answers if wrapped and wrapped != row.wrapped]
    gone = [row for row, wrapped in answers if not wrapped]
    with parts.database.connect() as connection:
        walk.rewrapped += move(connection, moved) if moved else 0
        walk.destroyed += sum(remove(connection, row) for row in gone)


def _rotated(parts: Parts, walk: _Walk, row: WrappedKey, tell: Callable[[str], None]) -> bytes:
    """Return the new bytes, the old ones where the key does not open, and no bytes where it is destroyed."""
    try:
        wrapped = parts.service.rotate(row.kind, row.ref, row.wrapped)
    except KeyMissingError as error:
        if error.code != DESTROYED:
            raise
        return b""
    except (TamperedError, UnknownFormatError) as error:
        walk.faulty.append(row.ref)
        tell(f"{row.kind} {row.ref}: {error.code}")
        return row.wrapped
    walk.header = wrapped[:HEADER_BYTES]
    return wrapped
