"""Arrivals at a door, as they happen: a thread watches each mailbox, and joins it again when its line broke."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

from vault.errors import VaultError, WrongUseError
from vault.intake.imapline import ImapLine
from vault.intake.maildir import MaildirMailbox
from vault.intake.watch import Stir, watch_imap, watch_maildir
from vault.settings import Settings, load
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import mailbox_secret, waiting_at

_LOG: Final = logging.getLogger(__name__)
_SECONDS: Final = 2.0  # between looks at the scan folder
_FIRST_WAIT: Final = 1.0  # seconds before a broken line is joined again; doubled each time
_LONGEST_WAIT: Final = 300.0
_STOOD: Final = 60.0  # seconds after which a line counts as one that held


async def arrivals(door: str) -> AsyncGenerator[None, None]:
    """Yield whenever something arrived at the door, and once when something lies there at the start.

    Several arrivals before the caller comes back are one. Ends when it is cancelled, and quietly.

    :param door: ``mailbox`` (all of them) or ``scans``.
    """
    if door == "mailbox":
        async with aclosing(_mails()) as mails:
            async for _ in mails:
                yield
        return
    before = 0
    while True:
        now = await asyncio.to_thread(waiting_at, door)
        if now > before:
            yield
        before = now
        await asyncio.sleep(_SECONDS)


async def _mails() -> AsyncGenerator[None, None]:
    settings = await _settings()
    loop, stirred, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def stir() -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody listens any more
            loop.call_soon_threadsafe(stirred.set)

    try:
        for mailbox in (settings.mailbox, *settings.mailboxes):
            name = f"watch-{mailbox.name or 'first'}"
            threading.Thread(target=keep_watching, args=(mailbox, stir, stop), name=name, daemon=True).start()
        while True:
            await stirred.wait()
            stirred.clear()
            yield
    finally:
        stop.set()


async def _settings() -> Settings:
    """Read the settings; wrong ones are told and read again, because a trigger that fails is not started again."""
    wait = _FIRST_WAIT
    while True:
        try:
            return await asyncio.to_thread(load)
        except WrongUseError as error:
            _LOG.warning("the doors are not watched: %s", error)
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def keep_watching(settings: MailboxSettings, stir: Stir, stop: threading.Event) -> None:
    """Watch one mailbox until stopped; a line that broke is joined again after a wait that grows."""
    wait = _FIRST_WAIT
    while not stop.is_set():
        begun = time.monotonic()
        try:
            _watch(settings, stir, stop)
        except VaultError as error:
            _LOG.warning("mailbox %s is not watched: %s", settings.name or "(first)", error)
        if time.monotonic() - begun > _STOOD:
            wait = _FIRST_WAIT
        stop.wait(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def _watch(settings: MailboxSettings, stir: Stir, stop: threading.Event) -> None:
    if settings.kind == "imap":
        watch_imap(ImapLine(settings, mailbox_secret(settings), readonly=True), stir, stop)
    elif settings.path is None:
        raise WrongUseError("mailbox_path", "set mailbox.path to the Maildir")
    else:
        watch_maildir(MaildirMailbox(settings.path), stir, stop)
