"""The access log: an access is durably in the tree before anybody gets the receipt that opens anything.

An append is one statement and a transaction of its own; everything slow (keys, sealing) happens before it.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial

from vault.accesslog.bounds import check_bounds, unproved
from vault.accesslog.entries import (
    Access,
    Marks,
    SealedAccess,
    SealedLook,
    check,
    key_ref,
    open_access,
    seal_access,
)
from vault.accesslog.honey import HoneyWatch
from vault.accesslog.kept import Kept
from vault.accesslog.leaves import TAG_BYTES, USE_BYTES, parse_leaf
from vault.accesslog.receipts import LogReceipt, ReceiptBook
from vault.accesslog.together import Together
from vault.crypto.envelope import KEY_BYTES
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.errors import RefusedError
from vault.storage import log as table
from vault.storage.database import Database, asking

LIFETIME = timedelta(minutes=5)
LONGEST_LIFETIME = timedelta(hours=1)
LARGEST_BATCH = 10_000
_REMEMBERED = 4096  # keys and tags kept in this process; the least used go first
_SALT_BYTES = 16
_TAG = slice(KEY_BYTES, KEY_BYTES + TAG_BYTES)  # behind a log key, as the key service gives it
READER = "actor|"  # before an actor's id: no subject's reference holds a bar, so no tag is a reader's mark


@dataclass(frozen=True, slots=True)
class LoggedAccess(Private, shows=("index",)):
    """An access as the log tells it: where its leaf stands, the leaf's bytes, and what it says."""

    index: int
    leaf: bytes
    access: Access


class AccessLog(Private):
    """Records accesses, gives and spends receipts, and tells whose records were read.

    :param database: appends take a connection of their own.
    :param keys: makes and opens the log keys.
    :param service: makes the subjects' tags.
    :param now: the clock, in UTC.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        service: KeyService,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._now = now
        self._book = ReceiptBook()
        self._keys = keys
        self._log_keys = Kept(keys.make_tagged_keys, _REMEMBERED)
        self._tags = Kept(partial(_make_tags, service), _REMEMBERED)
        self._honey = HoneyWatch(service)
        self._together = Together(self._durably)

    def record(self, accesses: Sequence[Access], *, lifetime: timedelta = LIFETIME) -> list[LogReceipt]:
        """Log accesses, all or none, and give a receipt for each once they are durable.

        A receipt of an access whose outcome is not ``granted`` opens nothing. A look at a honey record
        rings in the same transaction: there is no such look without its alarm.

        :param lifetime: how long the receipts last; at most an hour.
        :raises RefusedError: an access is incomplete or unfit; nothing was logged.
        :raises NotAllowedError: it reaches beyond its purpose (:mod:`vault.accesslog.bounds`); nothing was logged.
        :raises OutOfReachError: the log can't write; nobody reads.
        :raises TamperedError: the stored edge does not fit; nobody reads.
        """
        _check_batch(accesses, lifetime)
        if not accesses:
            return []
        proved = check_bounds(accesses)
        uses = _drawn(len(accesses), USE_BYTES)
        first = self._append(accesses, _columns(self._seal(accesses, uses)), proved)
        now = self._now()
        return [
            self._book.issue(access, first + at, use, now, lifetime)
            for at, (access, use) in enumerate(zip(accesses, uses, strict=True))
        ]

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        """Spend a receipt for exactly this look.

        :raises NoReceiptError: unknown, spent, expired, or of another case, subject or kind.
        """
        self._book.spend(receipt, case=case, subject=subject, kinds=kinds, now=self._now())

    def found(self, receipt: LogReceipt, subject: str) -> None:
        """Say that the search of this spent receipt found a subject; a honey record rings before its finder is told."""
        with self._database.connect() as connection:
            self._honey.found(
                connection,
                subject,
                at=self._now(),
                actor=receipt.actor,
                purpose=receipt.purpose,
                case=receipt.case,
            )

    def who(self, subject: str) -> list[Access]:
        """Tell every access to one subject's records, oldest first (Act 703/2023 s. 11).

        :raises TamperedError: an entry is not what its leaf commits to.
        :raises KeyMissingError: the log key of one of the years has been destroyed.
        """
        return [logged.access for logged in self.entries(subject)]

    def entries(self, subject: str) -> Iterator[LoggedAccess]:
        """Yield every access to one subject's records with its place in the log, oldest first."""
        key_of = self._opener()
        with self._database.connect() as connection:
            for row in table.tagged(connection, self._tags.of([subject])[subject]):
                yield _open(row, subject, key_of)

    def case_entries(self, case: str) -> Iterator[LoggedAccess]:
        """Yield the accesses that served a case before its subject was known, oldest first."""
        key_of = self._opener()
        with self._database.connect() as connection:
            for row in table.of_case(connection, case):
                if row.tag is None:
                    yield _open(row, None, key_of)

    def _append(self, accesses: Sequence[Access], columns: table.LeafColumns, proved: set[tuple[str, str]]) -> int:
        done = self._together.append(columns, table.Claims(proved, self._honey.marks(accesses)))
        if done.why == "unmarked":
            self._honey.known = True
            done = self._together.append(columns, table.Claims(proved, self._honey.marks(accesses)))
        if done.why == "honey":
            with self._database.connect() as connection:
                self._honey.ring(connection, [accesses[at] for at in done.hits])
                done = table.append(asking(connection), columns, table.Claims(proved, heard=True))
        if done.why is not None:
            raise unproved()
        return done.first

    def _durably(self, columns: table.LeafColumns, claims: table.Claims) -> table.Appended:
        return table.append(self._database.ask, columns, claims)

    def _seal(self, accesses: Sequence[Access], uses: Sequence[bytes]) -> list[SealedLook]:
        """Seal a batch, with as many round trips for its keys and marks as for one."""
        refs = [key_ref(access.subject, access.case, access.at) for access in accesses]
        keys = self._log_keys.of(refs)
        readers = self._tags.of({READER + access.actor for access in accesses})
        return [
            seal_access(
                access,
                keys[ref][:KEY_BYTES],
                Marks(None if access.subject is None else keys[ref][_TAG], readers[READER + access.actor], use),
                salt,
            )
            for access, ref, use, salt in zip(accesses, refs, uses, _drawn(len(refs), _SALT_BYTES), strict=True)
        ]

    def _opener(self) -> Callable[[str], bytes]:
        """Open each log key once for one telling: a person's entries of a year share theirs."""
        return lru_cache(maxsize=_REMEMBERED)(partial(self._keys.data_key, "log"))


def _open(row: table.LeafRow, subject: str | None, key_of: Callable[[str], bytes]) -> LoggedAccess:
    leaf = parse_leaf(row.leaf)
    key = key_of(key_ref(subject, leaf.case, leaf.time))
    sealed = SealedAccess(row.leaf, row.entry, row.staff, row.case, row.tag, row.reader, row.at)
    return LoggedAccess(row.index, row.leaf, open_access(sealed, key, subject=subject))


def _drawn(count: int, size: int) -> list[bytes]:
    """Draw random values, all with one call of the system."""
    drawn = os.urandom(count * size)
    return [drawn[start : start + size] for start in range(0, count * size, size)]


def _make_tags(service: KeyService, subjects: Collection[str]) -> dict[str, bytes]:
    macs = service.many("mac", "log-tag", [("", subject.encode()) for subject in subjects])
    return {subject: mac[:TAG_BYTES] for subject, mac in zip(subjects, macs, strict=True)}


def _check_batch(accesses: Sequence[Access], lifetime: timedelta) -> None:
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise RefusedError("receipt_lifetime", "a receipt lasts more than no time and at most an hour")
    if len(accesses) > LARGEST_BATCH:
        raise RefusedError("log_batch", f"log at most {LARGEST_BATCH} accesses at once; split the batch")
    for access in accesses:
        check(access)


def _columns(sealed: Sequence[SealedLook]) -> table.LeafColumns:
    use, entry, staff, case, tag, reader, at = map(list, zip(*sealed, strict=True))
    return table.LeafColumns(use, entry, staff, case, tag, reader, at)
