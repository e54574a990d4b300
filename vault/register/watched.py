"""A register that is watched: a search that finds a honey record rings before its finder is told.

Looks by reference need no watching here: they are logged with their subject, and the log rings.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from vault.accesslog.receipts import LogReceipt
from vault.domain.private import Private
from vault.domain.records import Author, Record, RecordKind
from vault.register.port import Look, Register


class Watch(Protocol):
    """What the watched register needs of the access log."""

    def found(self, receipt: LogReceipt, subject: str) -> None:
        """Say that the search of this receipt found a subject."""
        ...


class WatchedRegister(Private):
    """Any register, with its searches watched.

    :param register: our own, or another system's.
    :param log: the access log, which knows honey records.
    """

    def __init__(self, register: Register, log: Watch) -> None:
        self._register = register
        self._log = log

    def find(self, code: str, receipt: LogReceipt) -> str | None:
        """Return the reference of the subject with this code; see the port."""
        subject = self._register.find(code, receipt)
        if subject is not None:
            self._log.found(receipt, subject)
        return subject

    def read(self, receipt: LogReceipt, subject: str, kinds: Iterable[RecordKind], *, case: str | None) -> list[Record]:
        """Return a subject's records of these kinds, oldest first; see the port."""
        return self._register.read(receipt, subject, kinds, case=case)

    def read_many(self, looks: Sequence[Look], kinds: Iterable[RecordKind]) -> list[list[Record]]:
        """Return the records of these kinds of many subjects; see the port."""
        return self._register.read_many(looks, kinds)

    def write(self, records: Sequence[Record]) -> None:
        """Store records; see the port."""
        self._register.write(records)

    def add_subject(self, code: str, identity: Record, contacts: Record) -> str:
        """Make a subject known; see the port."""
        return self._register.add_subject(code, identity, contacts)

    def note_inspection(self, subject: str, case_ref: str, at: datetime, author: Author) -> None:
        """Enter once a case that the right of access was used; see the port."""
        self._register.note_inspection(subject, case_ref, at, author)
