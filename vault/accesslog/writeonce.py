"""Puts what is published, each name once: claimed and durable in the database first, then put and never replaced."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from vault.accesslog.merkle import HASH_BYTES
from vault.accesslog.tiles import WIDTH, parse_tile_name, render_bundle
from vault.storage.claims import claim
from vault.storage.database import Database
from vault.storage.tiles import LOG, TileRow, put_tiles

_TOGETHER: Final = 64  # names claimed in one transaction; at most 8 MB of bundles wait
_AT_ONCE: Final = 8  # puts: each waits for the store's disk
_FULL: Final = WIDTH * HASH_BYTES


class Putting(Protocol):
    """Where an object is put once (:class:`vault.storage.objects.Objects`)."""

    def put_locked(self, key: str, data: bytes) -> None:
        """Store an object once; other bytes under the same name are refused."""
        ...


@dataclass(slots=True)
class WriteOnce:
    """Collects names and bytes, and puts them some at a time; call :meth:`flush` at the end.

    A name that another publisher claimed for other bytes is refused before anything is put, also where both
    of them found the bucket empty. Full tiles go into the database too, in the transaction of their claim.

    :param database: claims are transactions of their own, whatever else the publisher holds open.
    :param shelf: the log's bucket.
    """

    database: Database
    shelf: Putting
    _waiting: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, data: bytes) -> None:
        """Take one object; it is put by the next flush at the latest."""
        self._waiting[name] = data
        if len(self._waiting) >= _TOGETHER:
            self.flush()

    def put_bundle(self, name: str, leaves: list[bytes]) -> None:
        """Take an entry bundle's leaves."""
        self.put(name, render_bundle(leaves))

    def flush(self) -> None:
        """Claim and put all that waits.

        :raises ConflictError: other bytes were claimed, or stand, under one of the names.
        """
        if not self._waiting:
            return
        with self.database.connect() as connection:
            claim(connection, {name: sha256(data).digest() for name, data in self._waiting.items()})
            put_tiles(connection, LOG, full_tiles(self._waiting))
        with ThreadPoolExecutor(_AT_ONCE) as threads:  # left when all have ended: nothing is put behind our back
            for done in [threads.submit(self.shelf.put_locked, *item) for item in self._waiting.items()]:
                done.result()
        self._waiting.clear()


def full_tiles(published: dict[str, bytes]) -> list[TileRow]:
    """Pick the full tiles among published objects, as the database holds them."""
    places = {name: parse_tile_name(name) for name, data in published.items() if len(data) == _FULL}
    return [
        TileRow(place.level, place.index, published[name])
        for name, place in places.items()
        if place is not None and place.width == WIDTH
    ]
