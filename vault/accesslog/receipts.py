"""Receipts: the only way to plaintext; made by the access log after a durable append, bound, short-lived, spent once.

What a receipt allows stands in its book, not in the object that the caller holds: an object that was
forged, copied or changed is not the one that the book remembers, and is refused. A book ends with its
process, and a forked child has none.
"""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn, Self

from vault.accesslog.entries import GRANTED, Access
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import NoReceiptError

_SWEEP_SECONDS = 10


class LogReceipt(Private, shows=("index",)):
    """Proof that one look is in the log; opens what it names, once, until it expires.

    ``id`` is random and names this use in the entry's leaf and in the key service's audit; ``index`` is the
    entry's place in the log.
    """

    __slots__ = ("actor", "case", "expires", "id", "index", "kinds", "purpose", "subject")

    id: str
    actor: str
    purpose: Purpose
    case: str | None
    subject: str | None
    kinds: frozenset[str]
    expires: datetime
    index: int

    def __new__(cls, *_: object, **__: object) -> Self:
        """Refuse: only the access log makes receipts."""
        raise _refused("receipt_not_made_here", "only the access log makes receipts; record the access first")

    def __init_subclass__(cls) -> NoReturn:
        raise _refused("receipt_not_made_here", "a receipt has no other kinds; record the access first")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _refused("receipt_fixed", "a receipt can't be changed; record another access")

    def __delattr__(self, name: str) -> NoReturn:
        raise _refused("receipt_fixed", "a receipt can't be changed; record another access")


# past the class's own refusal, and without a look-up of eight names for each receipt
_FILL = tuple(getattr(LogReceipt, name).__set__ for name in LogReceipt.__slots__)


@dataclass(slots=True)  # not frozen, which costs more than all the rest of it
class _Open(Private, shows=("case",)):
    receipt: LogReceipt  # held here, so that no other object can have its address, by which the book knows it
    case: str | None
    subject: str | None
    kinds: frozenset[str]
    expires: datetime


class ReceiptBook:
    """Remembers the receipts that one access log gave out and that nobody has spent."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._swept: datetime | None = None

    def issue(self, access: Access, index: int, use: bytes, now: datetime, lifetime: timedelta) -> LogReceipt:
        """Make the receipt of a logged access; one that was not granted opens nothing.

        :param index: the entry's place in the log.
        :param use: the random name of this use, 16 bytes, as the leaf holds it.
        """
        receipt, expires, kinds = object.__new__(LogReceipt), now + lifetime, frozenset(access.kinds)
        case, subject = access.case, access.subject
        values = (access.actor, case, expires, use.hex(), index, kinds, access.purpose, subject)
        for fill, value in zip(_FILL, values, strict=True):
            fill(receipt, value)
        if access.outcome == GRANTED:
            with self._lock:
                self._sweep(now)
                self._open[id(receipt)] = _Open(receipt, case, subject, kinds, expires)
        return receipt

    def spend(
        self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str], now: datetime
    ) -> None:
        """Spend a receipt for exactly this look; a look that does not fit leaves it unspent.

        :param kinds: one or more of those that the receipt names.
        :raises NoReceiptError: unknown, spent, expired, or of another case, subject or kind.
        """
        wanted = frozenset(kinds)
        with self._lock:
            known = self._open.get(id(receipt)) if os.getpid() == self._pid else None
            if known is None:
                raise _refused("receipt_unknown", "the receipt is unknown here or spent; record another access")
            if now >= known.expires:
                raise _refused("receipt_expired", "the receipt has expired; record another access")
            if (case, subject) != (known.case, known.subject):
                raise _refused("receipt_elsewhere", "the receipt is for another case or subject; record this access")
            if not wanted or not wanted <= known.kinds:
                raise _refused("receipt_kinds", "the receipt does not name these record kinds; record this access")
            del self._open[id(receipt)]

    def _sweep(self, now: datetime) -> None:
        if self._swept is not None and abs(now - self._swept) < timedelta(seconds=_SWEEP_SECONDS):
            return
        self._swept = now
        for number in [number for number, known in self._open.items() if known.expires <= now]:
            del self._open[number]


def _refused(code: str, advice: str) -> NoReceiptError:
    return NoReceiptError(code, advice)
