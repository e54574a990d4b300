"""Honey records: a look at a subject that belongs to nobody rings, in the very transaction that logs the look.

A mark is a MAC over the subject's reference under the label of the log's tags, told apart from a tag by a
prefix that no reference can hold; so whoever may log may also watch, and a stolen table names nobody.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from vault.accesslog.entries import Access
from vault.accesslog.kept import Kept
from vault.crypto.keyservice import KeyService
from vault.domain.alarms import AlarmCode
from vault.domain.roles import Purpose
from vault.storage.alarms import raise_alarm
from vault.storage.database import Connection
from vault.storage.honey import honey_marks

_REMEMBERED = 4096  # marks kept in this process; the least used go first


def make_marks(service: KeyService, subjects: Collection[str]) -> dict[str, bytes]:
    """Make the mark of each subject: 32 bytes that only the key service can make."""
    macs = service.many("mac", "log-tag", [("", b"honey|" + subject.encode("ascii")) for subject in subjects])
    return dict(zip(subjects, macs, strict=True))


class HoneyWatch:
    """Knows honey records when somebody looks at them; while there are none, it asks the key service nothing.

    :param service: makes the marks.
    """

    def __init__(self, service: KeyService) -> None:
        self._marks = Kept(partial(make_marks, service), _REMEMBERED)
        self.known = False

    def marks(self, looks: Sequence[Access]) -> list[bytes | None] | None:
        """Give the mark of each look's subject; None while no honey record is known of."""
        if not self.known:
            return None
        marks = self._marks.of({look.subject for look in looks if look.subject is not None})
        return [marks[look.subject] if look.subject is not None else None for look in looks]

    def ring(self, connection: Connection, looks: Sequence[Access]) -> None:
        """Raise an alarm for each of these looks at honey records, inside the caller's transaction."""
        # always in one order, so that two batches never wait for each other
        for look in sorted(looks, key=lambda look: (look.actor, look.case or "")):
            _ring(connection, look.at, look.actor, look.purpose, look.case)

    def found(
        self, connection: Connection, subject: str, *, at: datetime, actor: str, purpose: Purpose, case: str | None
    ) -> None:
        """Raise an alarm when a search found a honey record, before its finder is told."""
        known = honey_marks(connection)
        if known and self._marks.of([subject])[subject] in known:
            _ring(connection, at, actor, purpose, case)


def _ring(connection: Connection, at: datetime, actor: str, purpose: Purpose, case: str | None) -> None:
    # the subject stays out of it: an alarm is plain, and the next thief must not learn which record it was
    detail = {"purpose": purpose.value}
    raise_alarm(connection, AlarmCode.HONEY_READ, at=at, actor=actor, case=case, detail=detail)
