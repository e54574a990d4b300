"""A clinic whose mailbox tests disturb: it takes mail in, and says what became of each message since the last look."""

from collections import Counter
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

from vault.domain.case import Case
from vault.errors import VaultError
from vault.intake.message import Mailbox
from vault.office import open_office
from vault.settings import Settings
from vault.steps.doors import open_mailboxes
from vault.steps.parts import Parts
from vault.steps.queue import board
from vault.steps.receive_mail import receive_mail
from vault.storage.outgoing import Outgoing, outgoing_of
from vault.testing import dovecot
from vault.testing.controller import ADDRESS
from vault.testing.dovecot import MailServer
from vault.testing.installation import Installation
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text

_NUMBERS = count(1)


class Clinic:
    """An installation, its mailbox, and what that became since the last look.

    :param server: the mailbox; None for the installation's own.
    """

    def __init__(self, installation: Installation, server: MailServer | None = None) -> None:
        self.installation = installation
        self.server = server or dovecot.start(installation.home / "mailbox")
        self.known: set[str] = set()

    def settings(self, **mailbox: object) -> Settings:
        """Load the settings, with some of the mailbox's changed."""
        own = self.server.settings(ADDRESS).model_copy(update=mailbox)
        return self.installation.settings().model_copy(update={"mailbox": own})

    def post(self, number: int) -> list[bytes]:
        """Deliver requests of people who never wrote before."""
        mails = [request() for _ in range(number)]
        for raw in mails:
            self.server.deliver(raw)
        return mails

    def settle(self) -> None:
        """Take in what still lies there, and look at it: the next test begins anew."""
        with suppress(VaultError):
            self.receive()
        self.fresh()

    def receive(self, mailbox: Mailbox | None = None, **changes: Any) -> list[str]:
        """Run one round.

        :param mailbox: the mailbox to take from; None for the settings'.
        :param changes: of the office's parts.
        :raises VaultError: what the round ends with.
        """
        with self.office() as parts:
            return receive_mail(replace(parts, **changes), mailbox)

    def office(self) -> AbstractContextManager[Parts]:
        """Open the office of intake."""
        return open_office("intake", self.settings())

    def cases(self) -> list[Case]:
        """Return the cases that there are."""
        with self.installation.office("operator") as parts:
            return [row.case for row in board(parts)]

    def fresh(self) -> list[Case]:
        """Return the cases that were made since the last look."""
        cases = self.cases()
        found = [case for case in cases if case.ref not in self.known]
        self.known |= {case.ref for case in cases}
        return found

    def left(self, **mailbox: object) -> int:
        """Count what lies in the mailbox.

        :param mailbox: settings to change, such as another folder.
        """
        return open_mailboxes(self.settings(**mailbox)).count()

    def asked(self, query: str) -> int:
        """Ask the database, as its owner, for one number."""
        with self.installation.owner() as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def notices(self, ref: str) -> Counter[str]:
        """Count what goes out for a case, by kind."""
        return Counter(item.kind for item in self.outgoing(ref))

    def outgoing(self, ref: str) -> list[Outgoing]:
        """Return what goes out for a case."""
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            return outgoing_of(connection, ref)


def request(text: str | None = None, sender: str | None = None) -> bytes:
    """Write a request, from somebody who never wrote before where no sender is named."""
    sender = sender or f"asks{next(_NUMBERS)}@requester.example"
    return plain_mail(Letter("Kysyjä", sender, ADDRESS, text or request_text("fi", "Tuntematon Kysyjä", None)))
