"""What is open on somebody's page: in memory for at most five minutes, for one session, never on disk."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from vault.domain.private import Private

OPEN_FOR = timedelta(minutes=5)
_MOST = 16  # opened things at a time
Opened = TypeVar("Opened")


class Memory(Private, Generic[Opened]):
    """Remembers opened things by session and case, and forgets them by itself.

    :param now: the clock, in UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._held: OrderedDict[tuple[str, str], tuple[datetime, Opened]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, session: str, ref: str, opened: Opened) -> Opened:
        """Remember something for five minutes from now."""
        with self._lock:
            self._held.pop((session, ref), None)
            self._held[session, ref] = (self._now() + OPEN_FOR, opened)
            while len(self._held) > _MOST:
                self._held.popitem(last=False)
        timer = threading.Timer(OPEN_FOR.total_seconds() + 1, self.sweep)
        timer.daemon = True
        timer.start()
        return opened

    def get(self, session: str, ref: str) -> Opened | None:
        """Return what is remembered, or None once its time is over."""
        self.sweep()
        with self._lock:
            held = self._held.get((session, ref))
        return held[1] if held else None

    def sweep(self) -> None:
        """Forget everything whose time is over."""
        now = self._now()
        with self._lock:
            for key in [key for key, (until, _) in self._held.items() if until <= now]:
                del self._held[key]

    def forget(self, session: str, ref: str | None = None) -> None:
        """Forget a session's things, or the one of a case."""
        with self._lock:
            for key in [key for key in self._held if key[0] == session and ref in (None, key[1])]:
                del self._held[key]

    def __len__(self) -> int:
        return len(self._held)
