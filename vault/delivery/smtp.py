"""Sends one message and says what is known about it: sent, refused, to be tried later, or unclear.

`unclear` is the honest word for a line that broke after the message was given over and before the
server answered for it: such a message is never sent again by a machine.
"""

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal, TypeAlias

from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.settings import SmtpSettings, read_secret

Sending: TypeAlias = Literal["sent", "refused", "later", "unclear"]

_SECONDS = 60.0  # for one answer of the server
_OK, _FORWARDED, _PERMANENT = 250, 251, 500
_NOT_DATA = (OSError, smtplib.SMTPException)  # SMTPException covers a line that the server closed


def send(message: EmailMessage, settings: SmtpSettings) -> Sending:
    """Send a message to its one recipient.

    :returns: ``sent``: the server took responsibility. ``refused``: it said no for good. ``later``: it was not
        given the message, or said no for now. ``unclear``: nobody knows.
    :raises WrongUseError: a secret or the authority's file is missing, or a password would go over an open line.
    """
    password = read_secret(settings.password_file) if settings.password_file else None
    if password and settings.security == "none":
        raise WrongUseError("smtp_open_line", "a password never goes over an open line; set smtp.security to starttls")
    context = _tls(settings.ca_file)
    data = message.as_bytes(policy=SMTP)
    try:
        with _connected(settings, context) as client:
            if password:
                client.login(settings.user, password)
            return _hand_over(client, settings.sender, str(message["To"].addresses[0].addr_spec), data)
    except _NOT_DATA:
        return "later"


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


def _hand_over(client: smtplib.SMTP, sender: str, recipient: str, data: bytes) -> Sending:
    client.ehlo_or_helo_if_needed()
    size = [f"SIZE={len(data)}"] if client.has_extn("size") else []
    for code in (client.mail(sender, size)[0], client.rcpt(recipient)[0]):
        if code not in {_OK, _FORWARDED}:
            return _no(code)
    try:
        code, _ = client.data(data)
    except smtplib.SMTPDataError as error:  # the server did not want to hear it
        return _no(error.smtp_code)
    except _NOT_DATA:
        return "unclear"
    return "sent" if code == _OK else _no(code)


def _no(code: int) -> Sending:
    return "refused" if code >= _PERMANENT else "later"


class _Line(Private, smtplib.SMTP):
    def __exit__(self, *args: object) -> None:
        """Hang up; what the server says to that changes nothing about the message."""
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
