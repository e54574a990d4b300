"""Makes MIME entities whose headers are finished text: what we wrote ourselves is not parsed to be written again.

A header that needs encoding, folding or quoting still goes the whole way of Python's email package.
"""

import base64
import binascii
from collections.abc import Sequence
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP, EmailPolicy
from functools import lru_cache
from typing import Any

_STRUCTURE = "content-"  # these say what an entity is; there are few of them, and nothing in them is personal


class ReadyPolicy(EmailPolicy):
    """The policy of mail servers (RFC 5322, RFC 5321), by which a plain header stands as it was given."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """Keep a value that is plain and in one line; make a header of any other."""
        if type(value) is str and value.isascii() and value.isprintable():
            return name, value
        return super().header_store_parse(name, value)

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """Give a header as an object; those about the structure are made once."""
        if type(value) is str and name.lower().startswith(_STRUCTURE):
            return _structure(name, value)
        return super().header_fetch_parse(name, value)


class _Registry(HeaderRegistry):
    """Python's own, but for making each header's class once."""

    def __getitem__(self, name: str) -> Any:
        return _header_class(name.lower())


@lru_cache(maxsize=64)
def _header_class(name: str) -> Any:
    return HeaderRegistry()[name]


READY = ReadyPolicy(linesep="\r\n", header_factory=_Registry())
BOUNDARY = "=_part"  # neither quoted-printable nor base64 can hold it (RFC 2045 section 6.7)


@lru_cache(maxsize=256)
def _structure(name: str, value: str) -> Any:
    return SMTP.header_fetch_parse(name, value)


def new_message() -> EmailMessage:
    """Return a mail without headers and content."""
    return EmailMessage(policy=READY)


def set_text(message: EmailMessage, text: str) -> None:
    """Make a plain text the content of a mail, in lines that every server lets through (RFC 2045 section 6.7)."""
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = 'text/plain; charset="utf-8"'
    message["Content-Transfer-Encoding"] = "quoted-printable"
    message.set_payload(binascii.b2a_qp(text.encode(), istext=True).decode("ascii"))


def attachment(kind: str, data: bytes, name: str) -> MIMEPart:
    """Make a file of our own a part of a mail.

    :param kind: its media type, without parameters.
    :param name: its file name: letters, digits, dots, hyphens and underscores.
    """
    part = base64_part(kind, data)
    part["Content-Disposition"] = f'attachment; filename="{name}"'
    return part


def base64_part(kind: str, data: bytes) -> MIMEPart:
    """Make a part of some bytes (RFC 2045 section 6.8)."""
    part = MIMEPart(policy=READY)
    part["Content-Type"] = kind
    set_base64(part, data)
    return part


def set_base64(part: MIMEPart, data: bytes) -> None:
    """Make some bytes the content of an entity whose type stands already."""
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64.encodebytes(data).decode("ascii"))


def attach(message: EmailMessage, files: Sequence[MIMEPart]) -> None:
    """Put files behind a mail's text (RFC 2046 section 5.1.3)."""
    if files:
        message.make_mixed(BOUNDARY)
        message.set_payload([*message.iter_parts(), *files])
