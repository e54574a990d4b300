"""The mailbox at the door: messages are handed out as they lie there, and each is removed by its own name only.

A message is removed once it is durable elsewhere, and nothing else with it: IMAP's UID EXPUNGE
(RFC 4315) takes that one UID, a Maildir that one file. A source names a message for good, so a
message that was taken before a kill is recognised after it.
"""

import imaplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.settings_mailbox import MailboxSettings

_SECONDS = 60.0  # for one answer of the server
_AWAY = (OSError, IMAPClientError, imaplib.IMAP4.error, EOFError)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Message(Private):
    """One message at the door.

    :param source: its name for good: ``imap|folder|uidvalidity|uid`` or ``maildir|unique``.
    :param received_at: when it reached the mailbox, by the mailbox's own clock.
    :param mailbox: the mailbox's name in the settings; empty for the first.
    :param too_large: it is over ``limits.message_bytes``: its body was not fetched, ``data`` holds its header at most.
    :param size: its size at the door, in bytes, as the mailbox tells it.
    """

    source: str
    data: bytes
    received_at: datetime
    mailbox: str = ""
    too_large: bool = False
    size: int = 0


class Mailbox(Protocol):
    """Where requests arrive."""

    def messages(self, limit: int) -> Iterator[Message]:
        """Yield the oldest messages, at most ``limit``; nothing is marked or moved."""
        ...

    def remove(self, source: str) -> None:
        """Remove one message for good; one that is gone already is no error."""
        ...

    def count(self) -> int:
        """Count the messages."""
        ...


class ImapMailbox(Private):
    """A folder of an IMAP server over TLS.

    :param settings: server, folder, and the file of the authority that vouches for the server.
    """

    def __init__(self, settings: MailboxSettings, password: str) -> None:
        if "|" in settings.folder:
            raise WrongUseError("mailbox_folder", "the folder's name must not hold |; rename mailbox.folder")
        self._settings = settings
        self._password = password
        self._client: Any = None
        self._validity = 0

    def messages(self, limit: int) -> Iterator[Message]:
        """Yield the oldest messages, at most ``limit``.

        :raises OutOfReachError: the server does not answer or does not let us in.
        """
        try:
            uids = self._ask(lambda client: sorted(client.search("ALL")))[:limit]
            for uid in uids:
                message = self._fetch(uid)
                if message is not None:
                    yield message
        finally:
            self.close()

    def remove(self, source: str) -> None:
        """Expunge the one message that ``source`` names.

        :raises RefusedError: the source is another folder's, or the server has numbered its messages anew.
        :raises OutOfReachError: the server does not answer.
        """
        validity, uid = self._parse(source)

        def expunge(client: Any) -> None:
            if self._validity != validity:
                msg = "the mailbox was numbered anew; the message is read again and recognised as a copy"
                raise RefusedError("mailbox_renumbered", msg)
            client.delete_messages([uid], silent=True)
            client.uid_expunge([uid])

        self._ask(expunge)

    def count(self) -> int:
        """Count the messages, and hang up."""
        try:
            return self._ask(lambda client: len(client.search("ALL")))
        finally:
            self.close()

    def close(self) -> None:
        """Log out; the next call connects again."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.logout()
            except _AWAY:
                client.shutdown()

    def _fetch(self, uid: int) -> Message | None:
        found = self._ask(lambda client: client.fetch([uid], ["BODY.PEEK[]", "INTERNALDATE"]))
        answer = found.get(uid)
        if answer is None or b"BODY[]" not in answer:
            return None  # somebody else removed it
        if not answer[b"BODY[]"] and not self._ask(lambda client: _exists(client, uid)):
            return None  # Dovecot gives an expunged message an empty body
        when = answer.get(b"INTERNALDATE") or datetime.now(UTC)
        source = f"imap|{self._settings.folder}|{self._validity}|{uid}"
        return Message(source, answer[b"BODY[]"] or b"", when.astimezone(UTC))

    def _parse(self, source: str) -> tuple[int, int]:
        kind, folder, validity, uid = [*source.split("|"), "", "", ""][:4]
        if kind != "imap" or folder != self._settings.folder or not (validity.isdigit() and uid.isdigit()):
            raise RefusedError(
                "mailbox_source", "this message does not lie in the configured folder; nothing was removed"
            )
        return int(validity), int(uid)

    def _ask(self, question: Callable[[Any], _T]) -> _T:
        """Ask the server; once more over a new line when the old one broke."""
        fresh = self._client is None
        try:
            return question(self._connected())
        except _AWAY as error:
            self._drop()
            if fresh:
                raise _away(error) from None
        try:
            return question(self._connected())
        except _AWAY as error:
            self._drop()
            raise _away(error) from None

    def _connected(self) -> Any:
        if self._client is None:
            settings = self._settings
            context = _tls(settings.ca_file)
            client = IMAPClient(settings.host, settings.port, ssl=True, ssl_context=context, timeout=_SECONDS)
            client.normalise_times = False  # else INTERNALDATE loses its zone
            self._client = client
            client.login(settings.user, self._password)
            if not client.has_capability("UIDPLUS"):
                raise WrongUseError("mailbox_uidplus", "the mail server lacks UIDPLUS (RFC 4315); use one that has it")
            self._validity = _select(client, settings.folder)
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.shutdown()


def _select(client: Any, folder: str) -> int:
    """Open the folder; return its UIDVALIDITY."""
    try:
        return int(client.select_folder(folder)[b"UIDVALIDITY"])
    except IMAPClientAbortError:
        raise
    except IMAPClientError:
        raise OutOfReachError("mailbox_folder_away", "the mailbox has no such folder; correct mailbox.folder") from None


def _exists(client: Any, uid: int) -> bool:
    client.noop()
    return uid in client.search(["UID", str(uid)])


class MaildirMailbox:
    """A Maildir on this machine.

    :param path: holds ``new``, ``cur`` and ``tmp``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def messages(self, limit: int) -> Iterator[Message]:
        """Yield the oldest messages, at most ``limit``.

        :raises OutOfReachError: the folder is not there.
        """
        for path in self._files()[:limit]:
            try:
                data, when = path.read_bytes(), path.stat().st_mtime
            except FileNotFoundError:
                continue  # a mail program moved it; it is found again at the next look
            yield Message(f"maildir|{_unique(path)}", data, _moment(when))

    def remove(self, source: str) -> None:
        """Unlink the one file that ``source`` names.

        :raises RefusedError: the source is no Maildir's.
        """
        kind, _, unique = source.partition("|")
        if kind != "maildir" or not unique:
            raise RefusedError(
                "mailbox_source", "this message does not lie in the configured Maildir; nothing was removed"
            )
        for path in self._files():
            if _unique(path) == unique:
                path.unlink(missing_ok=True)

    def count(self) -> int:
        """Count the messages."""
        return len(self._files())

    def _files(self) -> list[Path]:
        if not (self._path / "new").is_dir():
            raise OutOfReachError("mailbox_away", "the Maildir is not there; mount it, the next run looks again")
        found = [p for name in ("new", "cur") for p in (self._path / name).glob("*") if not p.name.startswith(".")]
        return sorted((p for p in found if p.is_file() and not p.is_symlink()), key=lambda p: (_unique(p), p.name))


def _unique(path: Path) -> str:
    """Return a message's name without the flags that mail programs put behind it."""
    return path.name.partition(":")[0]


def _moment(seconds: float) -> datetime:
    """Return a file's time; now, when it names a year that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise WrongUseError("mailbox_ca", "the authority's file can't be read; correct mailbox.ca_file") from None


def _away(error: BaseException) -> OutOfReachError:
    """Say what kind of trouble it was; the server's own words may name somebody."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return OutOfReachError(
            "mailbox_certificate", "the mail server's certificate is not trusted; check mailbox.ca_file"
        )
    if isinstance(error, (IMAPClientError, imaplib.IMAP4.error)) and "auth" in str(error).lower():
        return OutOfReachError(
            "mailbox_login", "the mail server does not let us in; check mailbox.user and its password"
        )
    return OutOfReachError(
        "mailbox_away", "the mail server does not answer; check mailbox.host, the next run tries again"
    )
