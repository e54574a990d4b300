"""The doors: the mailbox and the scan folder, looked at from outside without opening anything."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vault.errors import OutOfReachError, WrongUseError
from vault.intake.mailbox import ImapMailbox, Mailboxes, MaildirMailbox
from vault.intake.message import LARGEST
from vault.intake.tokens import AccessTokens
from vault.settings import Settings, load, read_secret
from vault.settings_mailbox import MailboxSettings


def open_mailbox(settings: MailboxSettings, *, largest: int = LARGEST) -> ImapMailbox | MaildirMailbox:
    """Return the mailbox that the settings name.

    :param largest: bytes over which a message is not fetched.
    :raises WrongUseError: a Maildir without a path, or an IMAP mailbox without a secret.
    """
    if settings.kind == "maildir":
        if settings.path is None:
            raise WrongUseError("mailbox_path", "set mailbox.path to the Maildir")
        move_to, aside = settings.move_to, settings.aside
        return MaildirMailbox(settings.path, name=settings.name, move_to=move_to, aside=aside, largest=largest)
    return ImapMailbox(settings, mailbox_secret(settings), largest=largest)


def open_mailboxes(settings: Settings) -> Mailboxes:
    """Return all mailboxes as one; a message over ``limits.message_bytes`` comes without its body.

    :raises WrongUseError: see :func:`open_mailbox`.
    """
    largest = settings.limits.message_bytes
    return Mailboxes([open_mailbox(one, largest=largest) for one in (settings.mailbox, *settings.mailboxes)])


def mailbox_secret(settings: MailboxSettings) -> str | AccessTokens:
    """Return an IMAP mailbox's password, or what gives its access tokens.

    :raises WrongUseError: no password file is named, or it can't be read.
    """
    if settings.auth == "xoauth2":
        return AccessTokens(settings)
    if settings.password_file is None:
        raise WrongUseError("mailbox_password", "set mailbox.password_file")
    return read_secret(settings.password_file)


def sheets(folder: Path) -> Iterator[Path]:
    """Yield what lies in the scan folder and below it, oldest name first; links are never followed.

    :raises OutOfReachError: the folder is not there.
    """
    if not folder.is_dir():
        raise OutOfReachError("scan_folder_away", "the scan folder is not there; mount it, the next run looks again")
    for root, folders, names in os.walk(folder):
        links = {name for name in folders if (Path(root) / name).is_symlink()}
        folders[:] = sorted({*folders} - links)
        for name in sorted({*names} | links):
            yield Path(root) / name


def is_sheet(path: Path) -> bool:
    """Tell whether a name is a plain file, not a link, pipe or device."""
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def waiting_at(door: str) -> int:
    """Count what lies at a door; 0 when it is out of reach, which the scheduled run reports."""
    settings = load()
    with suppress(OutOfReachError):
        if door == "scans":
            return sum(1 for _ in sheets(settings.scans.folder))
        return open_mailboxes(settings).count()
    return 0
