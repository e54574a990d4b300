"""Sends one message and says what is known about it: sent, refused, to be tried later, or unclear.

`unclear` is the honest word for a line that broke after the message was given over and before the
server answered for it: such a message is never sent again by a machine.
"""

import math
import re
import smtplib
import ssl
import time
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, Self, TypeAlias

from vault.delivery.entity import READY
from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.settings import SmtpSettings, read_secret

Sending: TypeAlias = Literal["sent", "refused", "later", "unclear"]

_SECONDS = 60.0  # for one answer of the server
_AWAY = 60.0  # seconds after which one that did not answer is tried again
_OK, _FORWARDED, _CLOSING, _PERMANENT = 250, 251, 421, 500
_BARE = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9.-]+", re.ASCII)  # RFC 5322 section 3.4.1: dot-atom
_NOT_DATA = (OSError, smtplib.SMTPException)  # SMTPException covers a line that the server closed


class Courier(Private):
    """Sends messages over one line, which is kept between them; one that the server closed meanwhile is made anew.

    A server that is away is tried once a minute: whoever has a hundred messages must not wait a minute for each.
    """

    def __init__(self, settings: SmtpSettings) -> None:
        """Note the server; nothing is connected yet.

        :param settings: the server that takes outgoing mail.
        """
        self._settings = settings
        self._kept: _Line | None = None
        self._away_until = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def send(self, message: EmailMessage) -> Sending:
        """Send a message to its one recipient.

        :returns: ``sent``: the server took responsibility. ``refused``: it said no for good. ``later``: it was not
            given the message, or said no for now. ``unclear``: nobody knows.
        :raises WrongUseError: a secret or the authority's file is missing, or a password would go over an open line.
        """
        if time.monotonic() < self._away_until:
            return "later"
        recipient, data = _recipient(message), message.as_bytes(policy=READY)
        if self._kept is not None:
            with suppress(*_NOT_DATA):  # it was closed meanwhile, and given nothing: a new one takes the message
                return self._over(self._kept, recipient, data)
            self.close()
        try:
            self._kept = _signed_in(self._settings)
        except _NOT_DATA:
            self._away_until = time.monotonic() + _AWAY
            return "later"
        try:
            return self._over(self._kept, recipient, data)
        except _NOT_DATA:
            self.close()
            return "later"

    def close(self) -> None:
        """Hang up; what the server says to that changes nothing about the messages."""
        line, self._kept = self._kept, None
        if line is not None:
            line.hang_up()

    def _over(self, line: "_Line", recipient: str, data: bytes) -> Sending:
        """Hand a message over on a line.

        :raises OSError: the line was closed before the message was given.
        :raises SMTPException: as before.
        """
        line.start_anew()
        outcome = _hand_over(line, self._settings.sender, recipient, data)
        if outcome == "unclear":
            self.close()
        return outcome


def send(message: EmailMessage, settings: SmtpSettings) -> Sending:
    """Send one message over a line of its own, as :meth:`Courier.send` does.

    :raises WrongUseError: a secret or the authority's file is missing, or a password would go over an open line.
    """
    with Courier(settings) as courier:
        return courier.send(message)


def _signed_in(settings: SmtpSettings) -> "_Line":
    password = read_secret(settings.password_file) if settings.password_file else None
    if password and settings.security == "none":
        raise WrongUseError("smtp_open_line", "a password never goes over an open line; set smtp.security to starttls")
    line = _connected(settings, _tls(settings.ca_file))
    try:
        if password:
            line.login(settings.user, password)
    except _NOT_DATA:
        line.hang_up()
        raise
    return line


def _connected(settings: SmtpSettings, context: ssl.SSLContext) -> "_Line":
    if settings.security == "tls":
        return _TlsLine(settings.host, settings.port, timeout=_SECONDS, context=context)
    client = _Line(settings.host, settings.port, timeout=_SECONDS)
    if settings.security == "starttls":
        try:
            client.starttls(context=context)
        except _NOT_DATA:
            client.close()
            raise
    return client


def _recipient(message: EmailMessage) -> str:
    bare = next((value for name, value in message.raw_items() if name.lower() == "to"), "")
    return bare if _BARE.fullmatch(bare) else str(message["To"].addresses[0].addr_spec)


def _hand_over(client: "_Line", sender: str, recipient: str, data: bytes) -> Sending:
    client.ehlo_or_helo_if_needed()
    size = [f"SIZE={len(data)}"] if client.has_extn("size") else []
    client.clean = False
    for code, _ in (client.mail(sender, size), client.rcpt(recipient)):
        if code == _CLOSING:
            raise smtplib.SMTPServerDisconnected
        if code not in {_OK, _FORWARDED}:
            return _no(code)
    try:
        code, _ = client.data(data)
    except smtplib.SMTPDataError as error:  # the server did not want to hear it
        return _no(error.smtp_code)
    except _NOT_DATA:
        return "unclear"
    client.clean = code == _OK
    return "sent" if client.clean else _no(code)


def _no(code: int) -> Sending:
    return "refused" if code >= _PERMANENT else "later"


class _Line(Private, smtplib.SMTP):
    clean = True  # what a taken message leaves behind (RFC 5321 section 4.1.1.4); a refused one may leave its sender

    def start_anew(self) -> None:
        """Let the server forget the message before (RSET, RFC 5321 section 4.1.1.5), unless it has already.

        :raises SMTPServerDisconnected: it does not answer to that as it should.
        """
        if not self.clean and self.rset()[0] != _OK:
            raise smtplib.SMTPServerDisconnected

    def hang_up(self) -> None:
        """Say good-bye, or drop the line where nobody listens."""
        try:
            self.quit()
        except _NOT_DATA:
            self.close()


class _TlsLine(smtplib.SMTP_SSL, _Line):
    pass


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise WrongUseError("smtp_ca", "the authority's file can't be read; correct smtp.ca_file") from None
