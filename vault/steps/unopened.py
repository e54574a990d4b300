"""A mail that nobody opened is a visible exception all the same: too large to fetch, or fatal to its reader."""

from dataclasses import replace
from typing import Final

from vault.domain.case import Channel
from vault.domain.request import Request
from vault.intake.mail import MailTools
from vault.intake.message import Message
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming

TOO_LARGE: Final = "mail_too_large"
READING_FAILED: Final = "mail_reading_failed"
_NOTHING = Request(
    kinds=(),
    confidence=0.0,
    language="fi",
    on_behalf=False,
    name=None,
    code=None,
    email=None,
    address=None,
    answer_by=None,
    text="",
    case_ref=None,
    one_time_code=None,
)


def too_large(message: Message, tools: MailTools) -> Incoming:
    """Make an exception of a message whose header alone was fetched; its sender hears how to write again.

    It is a case of its own even where its subject names another: nobody has read what it says.
    """
    read = read_message(message, tools)
    return replace(
        read,
        original=None,
        attachments=(),
        case_ref=None,
        exception=TOO_LARGE,
        notice=None if read.report else "could_not_open",
    )


def unread(message: Message) -> Incoming:
    """Make an exception of a message that ended its reader time and again; a person opens the sealed original."""
    return Incoming(
        channel=Channel.MAIL,
        source=message.source,
        same=message.source.encode(errors="surrogateescape"),
        original=message.raw,
        received_at=message.received_at,
        language=_NOTHING.language,
        particulars={"request": _NOTHING.to_json(), "reply_to": None},
        exception=READING_FAILED,
    )
