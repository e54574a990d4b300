"""What a door hands out: messages as they lie there, each under a name that stays its own for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from vault.domain.private import Private

RENUMBERED: Final = "mailbox_renumbered"  # the code with which a mailbox refuses a number that means nothing any more
LARGEST: Final = 60_000_000  # bytes of a message, where the settings say nothing else


@dataclass(frozen=True, slots=True)
class Message(Private):
    """One message at the door.

    :param source: its name for good: ``imap|folder|uidvalidity|uid`` or ``maildir|unique`` in the first mailbox,
        ``imap|name|folder|uidvalidity|uid`` or ``maildir|name/unique`` in a further one.
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
        """Take away one message that is durable elsewhere; one that is gone already is no error.

        It is removed for good, or moved to ``mailbox.move_to`` where ``mailbox.after_taking`` says so.
        """
        ...

    def set_aside(self, source: str) -> None:
        """Move one message that can't be taken to ``mailbox.aside``, where people find it."""
        ...

    def count(self) -> int:
        """Count the messages."""
        ...

    def close(self) -> None:
        """Hang up; the next call connects again."""
        ...


def header_of(start: bytes) -> bytes:
    """Return a message's header block with the empty line behind it, from the message's first bytes.

    :param start: enough of them; without an empty line all of it is the header.
    """
    ends = [(at, at + len(line)) for line in (b"\r\n\r\n", b"\n\n") if (at := start.find(line)) >= 0]
    return start[: min(ends)[1]] if ends else start
