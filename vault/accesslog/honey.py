"""Honey records: a look at a subject that belongs to nobody rings, in the very transaction that logs the look.

A mark is a MAC over the subject's reference under the label of the log's tags, told apart from a tag by a
prefix that no reference can hold; so whoever may log may also watch, and a stolen table names nobody.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from vault.accesslog.entries import Access
from vault.crypto.keyservice import KeyService
from vault.domain.alarms import AlarmCode
from vault.domain.roles import Purpose
from vault.storage.alarms import raise_alarm
from vault.storage.database import Connection
from vault.storage.honey import honey_marks

_REMEMBERED = 4096  # marks kept in this process; the least used go first


class HoneyWatch:
    """Knows honey records when somebody looks at them; without any it asks the key service nothing.

    :param service: makes the marks.
    """

    def __init__(self, service: KeyService) -> None:
        self.mark = lru_cache(_REMEMBERED)(lambda subject: service.mac("log-tag", b"honey|" + subject.encode("ascii")))

    def watch(self, connection: Connection, looks: Sequence[Access]) -> None:
        """Raise an alarm for each look at a honey record, inside the caller's transaction."""
        if not any(look.subject for look in looks):
            return
        marks = honey_marks(connection)
        hits = [look for look in looks if look.subject and marks and self.mark(look.subject) in marks]
        # always in one order, so that two batches never wait for each other
        for look in sorted(hits, key=lambda look: (look.actor, look.case or "")):
            self._ring(connection, look.at, look.actor, look.purpose, look.case)

    def found(
        self, connection: Connection, subject: str, *, at: datetime, actor: str, purpose: Purpose, case: str | None
    ) -> None:
        """Raise an alarm when a search found a honey record, before its finder is told."""
        marks = honey_marks(connection)
        if marks and self.mark(subject) in marks:
            self._ring(connection, at, actor, purpose, case)

    def _ring(self, connection: Connection, at: datetime, actor: str, purpose: Purpose, case: str | None) -> None:
        # the subject stays out of it: an alarm is plain, and the next thief must not learn which record it was
        detail = {"purpose": purpose.value}
        raise_alarm(connection, AlarmCode.HONEY_READ, at=at, actor=actor, case=case, detail=detail)
