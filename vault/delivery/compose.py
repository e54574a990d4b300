"""Composes outgoing mail; its headers carry the case's reference and nothing else that is personal but the address.

A notice answers the requester's own message and says that a machine wrote it (RFC 3834), so that no two
machines write to each other for ever. The Message-ID is made from the item's own reference: a mail that
was sent twice is one mail to its reader.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Protocol

from vault.delivery.entity import attach, attachment, new_message, set_text
from vault.domain.private import Private
from vault.errors import RefusedError
from vault.settings import Settings

OPENPGP, PDF = "openpgp", "pdf"
_FILES = {OPENPGP: ("application/octet-stream", ".zip.gpg"), PDF: ("application/pdf", ".pdf")}
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,253}")
_MOST_REFERENCES = 20
_ONE_LINE = SMTP.clone(max_line_length=None)
_ITEM = re.compile(r"[A-Za-z0-9.-]{1,120}")


class Words(Protocol):
    """What a mail says: a subject that names the case, and a plain text."""

    @property
    def subject(self) -> str:
        """The subject."""
        ...

    @property
    def text(self) -> str:
        """The text."""
        ...


@dataclass(frozen=True, slots=True)
class OwnFile(Private):
    """A file of our own that goes along with a notice, such as our public key."""

    name: str
    type: str
    data: bytes


def notice_mail(
    settings: Settings,
    item_ref: str,
    words: Words,
    particulars: Mapping[str, Any],
    files: Sequence[OwnFile] = (),
) -> EmailMessage:
    """Compose a notice that answers the requester's message.

    :param item_ref: the outgoing item's reference; the Message-ID is made from it and stays the same.
    :param particulars: of the case: ``reply_to``, ``message_id``, ``references``, ``mailbox``.
    :raises RefusedError: there is no address to write to.
    """
    message = _reply(settings, item_ref, words.subject, particulars)
    set_text(message, words.text)
    attach(message, [attachment(file.type, file.data, file.name) for file in files])
    return message


def package_mail(
    settings: Settings,
    case_ref: str,
    language: str,
    form: str,
    data: bytes,
    *,
    particulars: Mapping[str, Any],
    words: Words,
) -> EmailMessage:
    """Compose the mail that carries a finished package: an OpenPGP message or an encrypted PDF, as an attachment.

    :param language: of the requester, for mail programs that read aloud.
    :param form: ``openpgp`` or ``pdf``.
    :raises RefusedError: an unknown form, or no address to write to.
    """
    if form not in _FILES:
        raise RefusedError("package_form", "this form of package does not go by mail; print it", ref=case_ref)
    kind, ending = _FILES[form]
    message = _reply(settings, f"{case_ref}-package", words.subject, particulars)
    message["Content-Language"] = language
    set_text(message, words.text)
    attach(message, [attachment(kind, data, f"{case_ref}{ending}")])
    return message


def _reply(settings: Settings, item_ref: str, subject: str, particulars: Mapping[str, Any]) -> EmailMessage:
    recipient = particulars.get("reply_to")
    if not isinstance(recipient, str) or not _ADDRESS.fullmatch(recipient):
        raise RefusedError("no_address", "the requester has no mail address on the case; answer on paper")
    if not _ITEM.fullmatch(item_ref):
        raise RefusedError("item_reference", "an outgoing item's reference has letters, digits, dots and hyphens only")
    sender = settings.smtp.sender
    message = new_message()
    message["From"] = _sender(settings.controller.name, sender)
    message["To"] = recipient
    answers_to = _answers_to(settings, particulars)
    if answers_to != sender:
        message["Reply-To"] = answers_to
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{item_ref}@{sender.rpartition('@')[2]}>"
    _thread(message, particulars)
    message["X-Auto-Response-Suppress"] = "All"
    return message


@lru_cache(maxsize=16)
def _sender(name: str, address: str) -> str:
    """Spell the From header, encoded once (RFC 2047): it is the same in every mail."""
    header = _ONE_LINE.header_store_parse("From", Address(name, addr_spec=address))[1]
    return str(header.fold(policy=_ONE_LINE)).partition(": ")[2].rstrip()


def _answers_to(settings: Settings, particulars: Mapping[str, Any]) -> str:
    """Name the mailbox that the requester wrote to, where the settings still name it, else the first."""
    name = particulars.get("mailbox")
    return next((box.address for box in settings.mailboxes if name and box.name == name), settings.mailbox.address)


def _thread(message: EmailMessage, particulars: Mapping[str, Any]) -> None:
    """Answer the requester's own message, where there is one (RFC 5322 section 3.6.4)."""
    answered = _ids([particulars.get("message_id")])
    message["Auto-Submitted"] = "auto-replied" if answered else "auto-generated"
    if answered:
        earlier = [ref for ref in _ids(particulars.get("references") or []) if ref != answered[0]]
        message["In-Reply-To"] = answered[0]
        message["References"] = " ".join([*earlier, *answered][-_MOST_REFERENCES:])


def _ids(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str) and _MESSAGE_ID.fullmatch(value)]
