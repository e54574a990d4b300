"""What a door hands out: messages as they lie there, each under a name that stays its own for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from vault.domain.private import Private
from vault.intake.held import Held, Raw

RENUMBERED: Final = "mailbox_renumbered"  # the code with which a mailbox refuses a number that means nothing any more
LARGEST: Final = 60_000_000  # bytes of a message, where the settings say nothing else


@dataclass(frozen=True, slots=True)
class Message(Private):
    """One message at the door.

    :param source: its name for good: ``imap|folder|uidvalidity|uid`` or ``maildir|unique`` in the first mailbox,
        ``imap|name|folder|uidvalidity|uid`` or ``maildir|name/unique`` in a further one.
    :param data: its exact bytes; of one that is held, or too large, the header at most.
    :param received_at: when it reached the mailbox, by the mailbox's own clock.
    :param mailbox: the mailbox's name in the settings; empty for the first.
    :param too_large: it is over ``limits.message_bytes``: its body was not fetched.
    :param size: its size at the door, in bytes, as the mailbox tells it.
    :param held: its exact bytes, where they are too many for memory.
    """

    source: str
    data: bytes
    received_at: datetime
    mailbox: str = ""
    too_large: bool = False
    size: int = 0
    held: Held | None = None

    @property
    def raw(self) -> Raw:
        """Its exact bytes, in memory or held."""
        return self.data if self.held is None else self.held


class Mailbox(Protocol):
    """Where requests arrive."""

    def messages(self, limit: int) -> Iterator[Message]:
        """Yield the oldest messages, at most ``limit``; nothing is marked or moved."""
        ...

    def remove(self, *sources: str) -> None:
        """Take away messages that are durable elsewhere; one that is gone already is no error.

        They are removed for good, or moved to ``mailbox.move_to`` where ``mailbox.after_taking`` says so.
        """
        ...

    def set_aside(self, *sources: str) -> None:
        """Move messages that can't be taken to ``mailbox.aside``, where people find them."""
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
