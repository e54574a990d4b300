"""Mail is opened in child processes that stay warm: no network, bounded memory, a clock for each mail, none shared.

A fresh process for each mail would cost more than opening it. So a child takes one mail after the other; one that
crossed a limit, or died, is ended and another takes its place, and after some hundred mails each is renewed.
"""

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from vault.domain.private import Private
from vault.errors import OutOfReachError, UnreadableError, VaultError, WrongUseError
from vault.intake.child import ANSWERED, NO_MEMORY, RAISED
from vault.intake.frames import pack, receive, unpack
from vault.intake.held import Raw, size_of
from vault.intake.mime import MimeLimits
from vault.intake.opened import OpenedMail
from vault.intake.sandbox import ChildLimits, environment
from vault.intake.smime import SmimeKey

T = TypeVar("T")
LENGTH = 8  # octets before each frame
_RENEWED = 500  # mails, after which a child is ended
_START = 60.0  # seconds in which a child must have begun
_ERRORS: dict[str, type[VaultError]] = {"WrongUseError": WrongUseError, "OutOfReachError": OutOfReachError}
_NOT_STARTED = "the process that reads mail does not start; look at the memory and at limits.child_bytes"
_ADVICE = "the mail can't be read within the limits; a person must look at the original"


@dataclass(frozen=True, slots=True)
class OwnKeys(Private):
    """What a child opens mail with.

    :param home: the OpenPGP home, or None; ``passphrase`` is its key's.
    """

    home: str | None = None
    passphrase: str | None = None
    smime: tuple[SmimeKey, ...] = ()
    known_keys: tuple[bytes, ...] = ()
    limits: MimeLimits = field(default_factory=MimeLimits)


@dataclass(frozen=True, slots=True)
class Said:
    """An error of ours that a child passes on: its class, code and advice."""

    name: str
    code: str
    advice: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A child has its keys."""


class Apart(Private):
    """Opens mails in children; may be used by several threads, each of which gets a child of its own."""

    def __init__(self, keys: OwnKeys, limits: ChildLimits | None = None) -> None:
        self._keys = keys
        self._limits = limits or ChildLimits()
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()

    def open(self, raw: Raw) -> OpenedMail:
        """Open a mail as :func:`vault.intake.mail.open_mail` does.

        :raises UnreadableError: ``child_timeout``, ``child_memory``, ``child_failed`` or ``child_died``.
        :raises WrongUseError: a program or a passphrase of ours is missing or wrong.
        :raises OutOfReachError: gpg's agent does not answer.
        """
        child = self._take()
        try:
            mail = [raw] if isinstance(raw, bytes) else raw.pieces()
            opened = child.ask(chain([size_of(raw).to_bytes(LENGTH, "big")], mail), OpenedMail, self._limits.seconds)
        except (WrongUseError, OutOfReachError):
            self._idle.put(child)
            raise
        except BaseException:
            child.end()
            raise
        if child.asked < _RENEWED:
            self._idle.put(child)
        else:
            child.end()
        return opened

    def close(self) -> None:
        """End all children that have nothing to do."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().end()

    def _take(self) -> "_Child":
        with contextlib.suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child.lives:
                    return child
                child.end()
        return _Child(self._keys, self._limits)


class _Child(Private):
    def __init__(self, keys: OwnKeys, limits: ChildLimits) -> None:
        self.asked = 0
        self._socket, theirs = socket.socketpair()
        with theirs:
            numbers = (str(limits.memory), str(int(limits.seconds) + 1), str(limits.files))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vault.intake.apartchild", *numbers],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a library's complaint may quote what it read
                cwd="/",
                env=environment(),
                start_new_session=True,
            )
        try:
            self.ask(pack(keys), Ready, _START)
        except UnreadableError:
            self.end()
            raise OutOfReachError("mail_reader", _NOT_STARTED) from None

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, pieces: Iterable[bytes], kind: type[T], seconds: float) -> T:
        """Send one frame and wait for the answer.

        :raises UnreadableError: ``child_timeout``, ``child_memory``, ``child_failed`` or ``child_died``.
        :raises VaultError: what the child says itself.
        """
        self.asked += 1
        self._patience(seconds)
        try:
            for piece in pieces:
                self._socket.sendall(piece)
            return _judged(lambda size: receive(self._socket, size), kind)
        except OSError:
            raise UnreadableError(self._end_of_patience(), _ADVICE) from None

    def _patience(self, seconds: float) -> None:
        """Let the kernel give up waiting: a timeout of Python's would make each piece of an answer a copy."""
        whole = int(seconds)
        limit = struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def end(self) -> None:
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # also an HTML reader that it started
        self._process.wait()

    def _end_of_patience(self) -> str:
        """Say whether the child died; the kernel's own clock for it counts as patience."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return "child_timeout" if self._process.wait(timeout=1.0) == -signal.SIGALRM else "child_died"
        return "child_timeout"


def _judged(take: Callable[[int], bytes], wanted: type[T]) -> T:
    kind = take(1)
    if kind == ANSWERED:
        return unpack(wanted, take)
    if kind == RAISED:
        said = unpack(Said, take)
        raise _ERRORS.get(said.name, UnreadableError)(said.code, said.advice)
    raise UnreadableError("child_memory" if kind == NO_MEMORY else "child_failed", _ADVICE)
