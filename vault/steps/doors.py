"""The doors: the mailbox and the scan folder, looked at from outside without opening anything."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vault.errors import OutOfReachError, WrongUseError
from vault.intake.mailbox import ImapMailbox, Mailbox, MaildirMailbox
from vault.settings import load, read_secret
from vault.settings_mailbox import MailboxSettings


def open_mailbox(settings: MailboxSettings) -> Mailbox:
    """Return the mailbox that the settings name.

    :raises WrongUseError: a Maildir without a path, or an IMAP mailbox without a password file.
    """
    if settings.kind == "maildir":
        if settings.path is None:
            raise WrongUseError("mailbox_path", "set mailbox.path to the Maildir")
        return MaildirMailbox(settings.path)
    if settings.password_file is None:
        raise WrongUseError("mailbox_password", "set mailbox.password_file")
    return ImapMailbox(settings, read_secret(settings.password_file))


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
        return open_mailbox(settings.mailbox).count()
    return 0
