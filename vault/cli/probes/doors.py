"""The doors: the mailbox over TLS and nobody else's, the scan folder, and the server that takes outgoing mail."""

import functools
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path

from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.mailbox import ImapMailbox
from vault.settings import Settings, SmtpSettings, read_secret
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import open_mailbox

_SECONDS = 15.0


def probe_mailbox(settings: Settings) -> Iterator[Finding]:
    """Try each mailbox; what is tried at a further one begins with its name."""
    for mailbox in (settings.mailbox, *settings.mailboxes):
        trials = ((f"{mailbox.name} {check}".strip(), call) for check, call in _mailbox_trials(mailbox))
        yield from tried("mailbox", trials)


def probe_scans(settings: Settings) -> Iterator[Finding]:
    """Look at the scan folder."""
    look = functools.partial(_private_folder, settings.scans.folder, "scans.folder")
    yield from tried("scans", iter([("is a folder that others can't look into", look)]))


def probe_smtp(settings: Settings) -> Iterator[Finding]:
    """Try the mail server."""
    yield from tried("smtp", _smtp_trials(settings.smtp))


def _mailbox_trials(settings: MailboxSettings) -> Iterator[Trial]:
    if settings.kind == "maildir":
        yield "is a folder that others can't look into", lambda: _private_folder(settings.path, "mailbox.path")
        return
    way_in = "a token" if settings.auth == "xoauth2" else "the password"
    yield f"answers over TLS with {way_in}", lambda: _counts(settings)
    yield "refuses a wrong password", lambda: _refuses_wrong_password(settings)


def _counts(settings: MailboxSettings) -> str:
    return f"IMAP over TLS; {open_mailbox(settings).count()} messages wait"


def _refuses_wrong_password(settings: MailboxSettings) -> str:
    try:
        ImapMailbox(settings, "not-the-password").count()
    except OutOfReachError:
        return "refused"
    raise UnfitError("it let us in with a wrong password; do not receive requests there")


def _private_folder(folder: Path | None, setting: str) -> str:
    if folder is None or not folder.is_dir():
        raise WrongUseError("folder_missing", f"make the folder that {setting} names")
    if folder.stat().st_mode & 0o007:
        raise UnfitError(f"others may enter it; run chmod o-rwx on the folder that {setting} names")
    return "private"


def _smtp_trials(settings: SmtpSettings) -> Iterator[Trial]:
    yield "answers over TLS and lets us sign in", lambda: _signs_in(settings)


def _signs_in(settings: SmtpSettings) -> str:
    if settings.security == "none":
        raise UnfitError("mail would go out over an open line; set smtp.security to tls or starttls")
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        with _line(settings, context) as client:
            if settings.security == "starttls":
                client.starttls(context=context)
            if settings.password_file:
                client.login(settings.user, read_secret(settings.password_file))
            client.noop()
    except smtplib.SMTPAuthenticationError:
        raise OutOfReachError("smtp_refused", "it refuses user or password; correct [smtp]") from None
    except ssl.SSLError:
        raise UnfitError("its certificate is not one that smtp.ca_file vouches for") from None
    except (OSError, smtplib.SMTPException):
        raise OutOfReachError("smtp_away", "it does not answer; check [smtp] host and port") from None
    return f"{settings.security}, certificate checked"


def _line(settings: SmtpSettings, context: ssl.SSLContext) -> smtplib.SMTP:
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=_SECONDS, context=context)
    return smtplib.SMTP(settings.host, settings.port, timeout=_SECONDS)
