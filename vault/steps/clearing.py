"""Clearing the door: what is recorded is taken away, that it went is recorded, and a killed round's rest too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, VaultError
from vault.intake.message import RENUMBERED, Mailbox
from vault.steps.mail_identity import mailbox_mark
from vault.steps.parts import Parts
from vault.storage import mailroom

_STALE: Final = timedelta(days=1)  # nothing is tried for so long: the message went another way
_SETTLED: Final = timedelta(hours=1)  # far longer than two machines' clocks differ


@dataclass(frozen=True, slots=True)
class Lain(Private):
    """One message that is recorded and lies at the door still.

    :param mailbox: the mailbox's name in the settings.
    :param source: its place.
    :param kept: nothing of it is stored: it is set aside.
    """

    mailbox: str
    source: str
    arrival_ref: str
    kept: bool


@dataclass(slots=True)
class Clearing(Private):
    """Takes away, in one round through a mailbox, what is recorded.

    :param faults: why messages stay at the door, in order.
    :param since: when the round began.
    :param names: the mailboxes that were seen, by their names in the settings.
    """

    parts: Parts
    mailbox: Mailbox
    faults: list[VaultError]
    since: datetime
    names: set[str] = field(default_factory=set)
    _seen: list[str] = field(default_factory=list)
    _gone: list[str] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)

    def clear(self, several: Sequence[Lain]) -> None:
        """Take messages away from the door, or aside where nothing of them is stored."""
        self._seen += [one.arrival_ref for one in several]
        for mailbox, kept in sorted({(one.mailbox, one.kept) for one in several}):
            self._clear([one for one in several if (one.mailbox, one.kept) == (mailbox, kept)])

    def _clear(self, several: Sequence[Lain]) -> None:
        """Take away messages of one kind in one mailbox, all at once; where that is refused, one by one."""
        if several[0].mailbox in self._away:
            return
        act = self.mailbox.set_aside if several[0].kept else self.mailbox.remove
        try:
            act(*[one.source for one in several])
        except OutOfReachError as error:
            self._away.add(several[0].mailbox)
            self.faults.append(error)
        except RefusedError as error:
            if len(several) > 1:
                for one in several:
                    self._clear([one])
            elif error.code != RENUMBERED:  # numbered anew meanwhile: the next round knows it by its bytes
                self.faults.append(error)
        else:
            self._gone += [one.arrival_ref for one in several]

    def record(self, innocent: Sequence[bytes]) -> None:
        """Write down what was removed, and that messages which failed by our fault are not to blame.

        :param innocent: the marks of those messages' places.
        """
        if self._gone or innocent:
            with self.parts.database.connect() as connection:
                mailroom.removed(connection, self._gone, self.parts.now())
                mailroom.forget(connection, innocent)
            self._gone = []

    def settle(self) -> None:
        """Record what a killed round removed without saying so; only when all of the mailbox was seen."""
        marks = [mailbox_mark(self.parts, name) for name in sorted(self.names or {""})]
        with self.parts.database.connect() as connection:
            mailroom.forget_before(connection, self.since - _STALE)
            missing = mailroom.unsettled(connection, marks, self.since - _SETTLED, self._seen)
            if missing and not self.faults and self.mailbox.count() == 0:
                mailroom.removed(connection, missing, self.parts.now())
