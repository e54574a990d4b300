"""The mailboxes that there are: IMAP folders and Maildirs, and several of them read as one."""

from collections import deque
from collections.abc import Generator, Sequence

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.intake.imap import ImapMailbox
from vault.intake.maildir import MaildirMailbox
from vault.intake.message import Mailbox, Message

__all__ = ["ImapMailbox", "Mailbox", "Mailboxes", "MaildirMailbox", "Message"]


class Mailboxes(Private):
    """Several mailboxes as one; the one that is away does not stop the others, and is named when they are done.

    :param mailboxes: each knows its own sources from all others'.
    """

    def __init__(self, mailboxes: Sequence[ImapMailbox | MaildirMailbox]) -> None:
        self._mailboxes = tuple(mailboxes)

    def messages(self, limit: int) -> Generator[Message, None, None]:
        """Yield the oldest messages, one of each mailbox in turn, at most ``limit``.

        :raises OutOfReachError: at the end, when one was away; ``ref`` names it, and the others' messages came before.
        """
        trouble: OutOfReachError | None = None
        walks = deque((mailbox.name, mailbox.messages(limit)) for mailbox in self._mailboxes)
        try:
            while walks and limit > 0:
                name, walk = walks.popleft()
                try:
                    message = next(walk, None)
                except (OutOfReachError, WrongUseError) as error:
                    trouble = trouble or OutOfReachError(error.code, error.advice, ref=name or None)
                    continue
                if message is not None:
                    walks.append((name, walk))
                    limit -= 1
                    yield message
        finally:
            for _, walk in walks:
                walk.close()
        if trouble is not None:
            raise trouble

    def remove(self, *sources: str) -> None:
        """Take messages away from the mailboxes that own them.

        :raises RefusedError: one is no mailbox's.
        """
        for mailbox, owned in self._owned(sources):
            mailbox.remove(*owned)

    def set_aside(self, *sources: str) -> None:
        """Move messages aside in the mailboxes that own them.

        :raises RefusedError: one is no mailbox's.
        """
        for mailbox, owned in self._owned(sources):
            mailbox.set_aside(*owned)

    def count(self) -> int:
        """Count the messages of all mailboxes.

        :raises OutOfReachError: one is away.
        """
        return sum(mailbox.count() for mailbox in self._mailboxes)

    def close(self) -> None:
        """Hang up everywhere."""
        for mailbox in self._mailboxes:
            mailbox.close()

    def _owned(self, sources: Sequence[str]) -> list[tuple[ImapMailbox | MaildirMailbox, list[str]]]:
        found = [(mailbox, [source for source in sources if mailbox.owns(source)]) for mailbox in self._mailboxes]
        if {source for _, owned in found for source in owned} != set(sources):
            raise RefusedError("mailbox_source", "this message lies in no configured mailbox; nothing was removed")
        return [(mailbox, owned) for mailbox, owned in found if owned]
