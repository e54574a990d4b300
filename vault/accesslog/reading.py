"""Reads many entries back, piece by piece in flat memory: of one subject, or of everybody within a time.

A leaf names its subject by an opaque tag, so that reading everybody's entries needs the tags of all subjects
who have a log key; memory grows with them, never with the entries. Whoever is read about is announced first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

from vault.accesslog.entries import SealedAccess, key_ref, open_access
from vault.accesslog.kept import Kept
from vault.accesslog.leaves import TAG_BYTES, Leaf, parse_leaf
from vault.accesslog.log import LoggedAccess
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.errors import KeyMissingError
from vault.storage import log as table
from vault.storage.database import Database
from vault.storage.logowners import log_key_owners

PIECE = 500  # entries opened at a time
_REMEMBERED = 4096  # keys kept while reading; the least used go first
_CASE = "case:"
T = TypeVar("T")


class LogReader(Private):
    """Opens entries for one who may; the caller has logged that he reads.

    ``unreadable`` counts the entries whose key is gone, as it is twelve years later.

    :param database: holds the log.
    :param keys: opens the log keys.
    :param service: makes the subjects' tags.
    """

    def __init__(self, database: Database, keys: KeyRing, service: KeyService) -> None:
        self._database = database
        self._service = service
        self._keys = Kept(partial(_open_keys, keys), _REMEMBERED)
        self.unreadable = 0

    def of_subject(self, subject: str, start: datetime, end: datetime) -> Iterator[LoggedAccess]:
        """Yield one subject's entries from ``start``, before ``end``, in the log's order.

        :raises TamperedError: an entry is not what its leaf commits to.
        """
        tag = self._tags([subject])[0]
        with self._database.connect() as connection:
            for piece in pieces(table.between(connection, start, end, tag), PIECE):
                yield from self.opened(piece, {tag: subject})

    def between(
        self, start: datetime, end: datetime, announce: Callable[[Sequence[str]], object]
    ) -> Iterator[LoggedAccess]:
        """Yield everybody's entries from ``start``, before ``end``, as the log stands when the first is asked for.

        :param announce: called with subjects before the first entry of each is opened.
        :raises TamperedError: an entry is not what its leaf commits to.
        """
        subjects: dict[bytes, str] = {}
        told: set[str] = set()
        with self._database.connect() as connection:
            for piece in pieces(table.between(connection, start, end), PIECE):
                # after the first rows were read: whoever has an entry among them has a log key by now
                subjects = subjects or self._subjects()
                tags = {row.tag for row in piece if row.tag is not None}
                fresh = sorted({subjects[tag] for tag in tags if tag in subjects} - told)
                if fresh:
                    announce(fresh)
                    told.update(fresh)
                yield from self.opened(piece, subjects)

    def _subjects(self) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        with self._database.connect() as connection:
            owners = (owner for owner in log_key_owners(connection) if not owner.startswith(_CASE))
            for piece in pieces(owners, PIECE):
                found |= dict(zip(self._tags(piece), piece, strict=True))
        return found

    def _tags(self, subjects: Sequence[str]) -> list[bytes]:
        macs = self._service.many("mac", "log-tag", [("", subject.encode()) for subject in subjects])
        return [mac[:TAG_BYTES] for mac in macs]

    def opened(self, rows: Sequence[table.LeafRow], subjects: dict[bytes, str]) -> Iterator[LoggedAccess]:
        """Yield the entries of these rows, but for those whose subject or key is gone.

        :param subjects: by tag.
        :raises TamperedError: an entry is not what its leaf commits to.
        """
        named = [(row, parse_leaf(row.leaf), subjects.get(row.tag) if row.tag else None) for row in rows]
        keys = self._keys.of(_ref(leaf, subject) for row, leaf, subject in named if _owned(row, subject))
        for row, leaf, subject in named:
            key = keys[_ref(leaf, subject)] if _owned(row, subject) else b""
            if not key:
                self.unreadable += 1
                continue
            sealed = SealedAccess(row.leaf, row.entry, row.staff, row.case, row.tag, row.reader, row.at)
            yield LoggedAccess(row.index, row.leaf, open_access(sealed, key, subject=subject))


def pieces(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield values in lists of at most ``size``."""
    left = iter(values)
    while piece := list(islice(left, size)):
        yield piece


def _owned(row: table.LeafRow, subject: str | None) -> bool:
    """Tell whether the entry's owner is known: a tag that no log key's owner has leads to nobody."""
    return row.tag is None or subject is not None


def _ref(leaf: Leaf, subject: str | None) -> str:
    return key_ref(subject, leaf.case, leaf.time)


def _open_keys(keys: KeyRing, refs: list[str]) -> dict[str, bytes]:
    """Open keys together; where one is gone, one by one, and none for that one."""
    try:
        return keys.data_keys("log", refs)
    except KeyMissingError:
        return {ref: _open_key(keys, ref) for ref in refs}


def _open_key(keys: KeyRing, ref: str) -> bytes:
    try:
        return keys.data_key("log", ref)
    except KeyMissingError:
        return b""
