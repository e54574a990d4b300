"""Searches the log by reader, patient, case, time and purpose: no receipt, no search; a page at a time, bounded.

A leaf names reader and patient by opaque marks, which only the key service makes; so a search asks the
database for marks, and opens what it finds. What it finds is told whole or not at all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vault.accesslog.leaves import TAG_BYTES
from vault.accesslog.log import READER, AccessLog, LoggedAccess
from vault.accesslog.reading import LogReader
from vault.accesslog.receipts import LogReceipt
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.storage.database import Connection, Database
from vault.storage.log import LeafRow
from vault.storage.logowners import log_key_owners
from vault.storage.logsearch import Wanted, newest, subjects_of_cases

KIND: Final = "access_log"  # what a search opens, in its own entry and receipt
SHOWN: Final = 50  # entries of a page
LOOKED: Final = 500  # entries that a page opens at most, when only some of them have the purpose
_MARK: Final = "reader:"  # before the mark of a reader whom nobody can name
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Query(Private):
    """What is searched for; None asks for nothing.

    :param actor: a reader's unique id, or ``reader:`` and her mark in hexadecimal.
    :param subject: the register's reference.
    :param since: the earliest time; ``until`` the first that is too late.
    :param before: a place in the log; only older entries.
    """

    actor: str | None = None
    subject: str | None = None
    case: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    purpose: Purpose | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Hits(Private):
    """One page, the newest entry first.

    :param older: the place before which the next page begins; None when this was the last.
    :param unreadable: entries that nobody opens any more, or whose subject nobody knows.
    """

    entries: Sequence[LoggedAccess]
    older: int | None
    unreadable: int


class LogSearch(Private):
    """Searches for one who may open every entry.

    :param log: gives and spends the receipts of searches.
    :param keys: opens the log keys; ``service`` makes marks and tags.
    """

    def __init__(self, log: AccessLog, database: Database, keys: KeyRing, service: KeyService) -> None:
        self._log = log
        self._database = database
        self._keys = keys
        self._service = service
        self._subjects: dict[bytes, str] = {}  # by tag; grows with the patients that were read about

    def find(self, receipt: LogReceipt, query: Query) -> Hits:
        """Give one page of what fits.

        :param receipt: of the search's own entry: kind :data:`KIND`, the query's subject, no case.
        :raises NoReceiptError: the receipt is not for this search.
        :raises TamperedError: an entry is not what its leaf commits to.
        """
        self._log.spend(receipt, case=None, subject=query.subject, kinds=[KIND])
        limit = LOOKED if query.purpose else SHOWN
        with self._database.connect() as connection:
            rows = newest(connection, self._wanted(query), limit)
            self._learn(connection, rows)
        reader = LogReader(self._database, self._keys, self._service)
        found = [
            entry for entry in reader.opened(rows, self._subjects) if query.purpose in (None, entry.access.purpose)
        ]
        more = rows[-1].index if len(rows) == limit else None
        older = found[SHOWN - 1].index if len(found) > SHOWN else more
        return Hits(found[:SHOWN], older, reader.unreadable)

    def _wanted(self, query: Query) -> Wanted:
        reader = None
        if query.actor is not None:
            named = query.actor.removeprefix(_MARK)
            reader = bytes.fromhex(named) if named != query.actor else self._mark(READER + query.actor)
        tag = None if query.subject is None else self._mark(query.subject)
        return Wanted(reader, tag, query.case, query.since, query.until, query.before)

    def _learn(self, connection: Connection, rows: Sequence[LeafRow]) -> None:
        """Find out whose tags these are: by their cases, else among all who have a log key."""
        tags = {row.tag for row in rows if row.tag is not None}
        if tags - self._subjects.keys():
            self._remember(subjects_of_cases(connection, {row.case for row in rows if row.case is not None}))
        if tags - self._subjects.keys():
            owners = [owner for owner in log_key_owners(connection) if ":" not in owner]
            self._remember(set(owners) - set(self._subjects.values()))

    def _remember(self, subjects: Collection[str]) -> None:
        names = sorted(subjects)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            self._subjects |= dict(zip(self._marks(some), some, strict=True))

    def _mark(self, name: str) -> bytes:
        return self._marks([name])[0]

    def _marks(self, names: Sequence[str]) -> list[bytes]:
        macs = self._service.many("mac", "log-tag", [("", name.encode()) for name in names])
        return [mac[:TAG_BYTES] for mac in macs]
