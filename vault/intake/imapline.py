"""A line to one IMAP folder: TLS with a checked certificate, signed in, joined again when it broke."""

import imaplib
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from vault.domain.private import Private
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.tokens import AccessTokens
from vault.intake.trust import trust
from vault.settings_mailbox import MailboxSettings

# the last three are what the libraries make of an answer that is no IMAP
AWAY: Final = (OSError, IMAPClientError, imaplib.IMAP4.error, EOFError, ValueError, AssertionError, LookupError)
_TIMES: Final = SocketTimeout(connect=20.0, read=60.0)  # seconds for a connection, and for one answer
_T = TypeVar("_T")


class ImapLine(Private):
    """One line to one folder.

    :param secret: the password, or what gives access tokens.
    :param readonly: open the folder by EXAMINE: nothing there can be changed over this line.
    """

    def __init__(self, settings: MailboxSettings, secret: str | AccessTokens, *, readonly: bool = False) -> None:
        self._settings = settings
        self._secret = secret
        self._readonly = readonly
        self._client: Any = None
        self.validity = 0
        self.exists = 0

    def ask(self, question: Callable[[Any], _T]) -> _T:
        """Ask the server; once more over a new line when the old one broke.

        :raises OutOfReachError: it does not answer or does not let us in.
        """
        fresh = self._client is None
        try:
            return question(self._connected())
        except AWAY as error:
            self.drop()
            if fresh:
                raise away(error) from None
        return self.ask(question)

    def follow(self, talk: Callable[[Any], None]) -> None:
        """Talk for as long as the line holds; it is not joined again.

        :raises OutOfReachError: it broke.
        """
        try:
            talk(self._connected())
        except AWAY as error:
            self.drop()
            raise away(error) from None

    def close(self) -> None:
        """Log out; the next question connects again."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.logout()
            except AWAY:
                client.shutdown()

    def drop(self) -> None:
        """Hang up without a word."""
        client, self._client = self._client, None
        if client is not None:
            client.shutdown()

    def _connected(self) -> Any:
        if self._client is None:
            logging.getLogger("imapclient").setLevel(logging.WARNING)  # its debug lines hold mails
            settings = self._settings
            context = trust(settings.ca_file, "mailbox.ca_file")
            client = IMAPClient(settings.host, settings.port, ssl=True, ssl_context=context, timeout=_TIMES)
            client.normalise_times = False  # else INTERNALDATE loses its zone
            self._client = client
            _sign_in(client, settings.user, self._secret)
            if not client.has_capability("UIDPLUS"):
                raise WrongUseError("mailbox_uidplus", "the mail server lacks UIDPLUS (RFC 4315); use one that has it")
            self._open()
        return self._client

    def _open(self) -> None:
        try:
            answer = self._client.select_folder(self._settings.folder, readonly=self._readonly)
        except IMAPClientAbortError:
            raise
        except IMAPClientError:
            msg = "the mailbox has no such folder; correct mailbox.folder"
            raise OutOfReachError("mailbox_folder_away", msg) from None
        self.validity, self.exists = int(answer[b"UIDVALIDITY"]), int(answer[b"EXISTS"])


def _sign_in(client: Any, user: str, secret: str | AccessTokens) -> None:
    """Sign in; a token that was kept and is refused is fetched anew once."""
    if isinstance(secret, str):
        client.login(user, secret)
        return
    fresh = not secret.kept
    try:
        _show(client, user, secret.current())
    except LoginError:
        secret.forget()
        if fresh:
            raise
        _show(client, user, secret.current())


def _show(client: Any, user: str, token: str) -> None:
    """Show a token as OAUTHBEARER (RFC 7628 s. 3.1) where that is offered, else as Google's XOAUTH2.

    A refusal comes as a challenge, which is answered with one byte or none before the server says no.
    """
    if client.has_capability("AUTH=OAUTHBEARER"):
        name = user.replace("=", "=3D").replace(",", "=2C")
        first, after = f"n,a={name},\1auth=Bearer {token}\1\1", "\1"
        client.sasl_login("OAUTHBEARER", lambda challenge: after if challenge else first)
    else:
        first = f"user={user}\1auth=Bearer {token}\1\1"
        client.sasl_login("XOAUTH2", lambda challenge: "" if challenge else first)


def away(error: BaseException) -> OutOfReachError:
    """Say what kind of trouble it was; the server's own words may name somebody."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return OutOfReachError(
            "mailbox_certificate", "the mail server's certificate is not trusted; check mailbox.ca_file"
        )
    if isinstance(error, (IMAPClientError, imaplib.IMAP4.error)) and "auth" in str(error).lower():
        return OutOfReachError(
            "mailbox_login", "the mail server does not let us in; check mailbox.user and its password or token"
        )
    return OutOfReachError(
        "mailbox_away", "the mail server does not answer; check mailbox.host, the next run tries again"
    )
