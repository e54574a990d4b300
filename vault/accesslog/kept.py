"""Remembers what is dear to fetch, up to a limit, and fetches what it lacks together; the least used goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from vault.domain.private import Private


class Kept(Private):
    """Values by reference; threads may share it.

    :param fetch: gives the value of each reference that it is asked for, all or an error.
    :param most: how many are remembered.
    """

    def __init__(self, fetch: Callable[[list[str]], dict[str, bytes]], most: int) -> None:
        self._fetch = fetch
        self._most = most
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """Give the values of these references, however many.

        :raises VaultError: what fetching raises; then nothing new is remembered.
        """
        refs = dict.fromkeys(wanted)
        with self._lock:
            found = {ref: self._known[ref] for ref in refs if ref in self._known}
        lacking = [ref for ref in refs if ref not in found]
        if lacking:
            found |= self._fetch(lacking)  # outside the lock: two threads may fetch the same, and get the same
        with self._lock:
            for ref in refs:
                self._known[ref] = found[ref]
                self._known.move_to_end(ref)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
