"""Watching a mailbox: whoever asked is told when messages arrive, and no message is opened for it.

IMAP is watched over a line that stays: IDLE (RFC 2177), begun anew long before the 29 minutes that it
may last, or a question every few seconds where the server lacks it. A Maildir is counted.
"""

import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, Final

from vault.intake.imapline import ImapLine
from vault.intake.maildir import MaildirMailbox

RENEWED: Final = 540.0  # seconds of one IDLE: middle boxes forget a silent line sooner than RFC 2177's 29 minutes
ASKED: Final = 10.0  # seconds between questions to a server without IDLE
COUNTED: Final = 2.0  # seconds between looks at a Maildir
SETTLING: Final = 1.0  # seconds of the first IDLE
SLICE: Final = 1.0  # seconds after which a watch that is stopped ends at the latest

Stir = Callable[[], None]


def watch_imap(line: ImapLine, stir: Stir, stop: Event) -> None:
    """Tell of messages that lie there and of each arrival, until stopped.

    :param line: opened read-only; nobody else uses it.
    :param stir: called when something lies at the door or arrived.
    :raises OutOfReachError: the line broke, or was never joined.
    """
    try:
        idles = line.ask(lambda client: client.has_capability("IDLE"))
        if line.exists:
            stir()
        line.follow(lambda client: (_idle if idles else _poll)(client, stir, stop))
    finally:
        line.close()


def watch_maildir(mailbox: MaildirMailbox, stir: Stir, stop: Event) -> None:
    """Tell when more messages lie there than at the look before, until stopped.

    :raises OutOfReachError: the folder is not there.
    """
    before = 0
    while not stop.is_set():
        now = mailbox.count()
        if now > before:
            stir()
        before = now
        stop.wait(COUNTED)


def _idle(client: Any, stir: Stir, stop: Event) -> None:
    """Idle, again and again.

    What a server says in one breath with its yes to IDLE stands in a buffer that is read at IDLE's end
    only, and Dovecot says there what it had noticed half a second before. So NOOP asks for all that is
    new first, and the IDLE after some news is short.
    """
    seconds = SETTLING
    while not stop.is_set():
        if _arrived(client.noop()[1]):
            stir()
            seconds = SETTLING
        client.idle()
        told = [*_listen(client, seconds, stop), *client.idle_done()[1]]
        if _arrived(told):
            stir()
        seconds = SETTLING if told else RENEWED


def _listen(client: Any, seconds: float, stop: Event) -> list[Any]:
    """Wait until the server says something, until stopped, or until the time is over."""
    end = time.monotonic() + seconds
    while not stop.is_set() and (left := end - time.monotonic()) > 0:
        begun = time.monotonic()
        wanted = min(left, SLICE)
        told = client.idle_check(timeout=wanted)
        if told or time.monotonic() - begun < wanted / 2:
            return list(told)  # nothing, and at once: the line has ended, which DONE finds out
    return []


def _poll(client: Any, stir: Stir, stop: Event) -> None:
    while not stop.wait(ASKED):
        if _arrived(client.noop()[1]):
            stir()


def _arrived(told: Iterable[Any]) -> bool:
    """Tell whether the server spoke of messages that came; those that went are no news."""
    return any(isinstance(line, tuple) and line[-1:] == (b"EXISTS",) for line in told)
