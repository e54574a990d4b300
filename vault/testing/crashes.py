"""Kills a process with SIGKILL at its n-th call to the outside: database, object store, key service, mail, door.

The child is forked from a server that has everything imported and has started no thread, so
many kills take seconds. Nothing is unwound in it: we roll no transaction back, no finally runs.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from vault.crypto.local import LocalKeyService
from vault.delivery.smtp import Courier
from vault.intake.mailbox import ImapMailbox, MaildirMailbox
from vault.steps import notices
from vault.storage.objects import Objects

_LONGEST = 60.0  # seconds


class _Counter:
    """Counts calls; kills this process before the n-th, or behind it when ``after`` is set."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.calls = 0
        self._at = at
        self._after = after

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            mine = self.calls == self._at
            if mine and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = act(*args, **kwargs)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


_PLACES: tuple[tuple[Any, str], ...] = (
    (psycopg.Connection, "execute"),
    (psycopg.Connection, "commit"),
    (Objects, "put"),
    (Objects, "get"),
    (Objects, "delete"),
    (LocalKeyService, "unseal"),
    (LocalKeyService, "unwrap"),
    (LocalKeyService, "many"),
    (LocalKeyService, "sign"),
    (LocalKeyService, "rotate"),
    (LocalKeyService, "destroy"),
    (ImapMailbox, "remove"),
    (ImapMailbox, "set_aside"),
    (MaildirMailbox, "remove"),
    (notices, "send"),
    (Courier, "send"),
    (os, "unlink"),
    (os, "rename"),
    (os, "fsync"),
)


@contextmanager
def counting(at: int, *, after: bool = False) -> Iterator[_Counter]:
    """Count calls to the outside while inside, and kill this process at the ``at``-th; 0 only counts."""
    counter = _Counter(at, after=after)
    originals = [(owner, name, getattr(owner, name)) for owner, name in _PLACES]
    for owner, name, original in originals:
        setattr(owner, name, counter.around(original))
    try:
        yield counter
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["vault.testing.road"])


def killed_at(number: int, act: Callable[..., object], *args: object, after: bool = False) -> bool:
    """Run ``act`` in a child that is killed at its n-th call to the outside.

    :param act: an importable function; it and ``args`` are pickled.
    :returns: True when it was killed, False when it ended before the n-th call.
    :raises AssertionError: it failed or hung instead; its traceback stands on standard error.
    """
    child = _NURSERY.Process(target=_run, args=(number, after, act, args))
    child.start()
    child.join(_LONGEST)
    if child.exitcode is None:
        child.kill()
        raise AssertionError("the child hung")
    if child.exitcode not in (0, -signal.SIGKILL):
        raise AssertionError("the child failed without being killed")
    return child.exitcode != 0


def _run(number: int, after: bool, act: Callable[..., object], args: tuple[object, ...]) -> None:
    with counting(number, after=after):
        act(*args)
