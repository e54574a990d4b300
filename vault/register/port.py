"""The register's port: nobody reads a patient's records without a log receipt, and the type says so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from vault.accesslog.receipts import LogReceipt
from vault.domain.private import Private
from vault.domain.records import Author, Record, RecordKind


@dataclass(frozen=True, slots=True)
class Look(Private, shows=("subject", "case")):
    """One subject to be read under one receipt.

    :param case: the case that the look serves, as the receipt names it.
    """

    receipt: LogReceipt
    subject: str
    case: str | None


class Register(Protocol):
    """The controller's patient register: our own encrypted one, or another system's behind the same verbs."""

    def find(self, code: str, receipt: LogReceipt) -> str | None:
        """Return the reference of the subject with this personal identity code, or None.

        :param code: all 11 characters; the century sign is part of the identity.
        :param receipt: names no subject and the kind ``identity``; it is spent.
        :raises NoReceiptError: the receipt does not fit, is spent or expired; nothing was looked up.
        :raises RefusedError: the code is no personal identity code.
        """
        ...

    def read(self, receipt: LogReceipt, subject: str, kinds: Iterable[RecordKind], *, case: str | None) -> list[Record]:
        """Return a subject's records of these kinds, oldest first.

        :param receipt: names this subject, case and these kinds; it is spent before anything is opened.
        :raises NoReceiptError: the receipt does not fit, is spent or expired; nothing was opened.
        :raises KeyMissingError: the subject is unknown or its key has been destroyed.
        :raises TamperedError: a stored record is not what was written.
        """
        ...

    def read_many(self, looks: Sequence[Look], kinds: Iterable[RecordKind]) -> list[list[Record]]:
        """Return the records of these kinds of many subjects, in the order of the looks: all, or an error.

        :raises VaultError: as :meth:`read` does, for the first look that is refused; receipts before it are spent.
        """
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Store records; one that is there under its subject and reference stays as it was first.

        A correction names the record that it corrects, which stays readable.

        :raises RefusedError: a record is malformed, stands twice in the batch, or corrects an unknown one.
        :raises KeyMissingError: the subject is unknown or its key has been destroyed.
        """
        ...

    def add_subject(self, code: str, identity: Record, contacts: Record) -> str:
        """Make a subject known with identity and contact details; return its reference.

        :raises ConflictError: the code or the reference belongs to another subject already.
        :raises RefusedError: the code is none, or the two records do not agree with it.
        """
        ...

    def note_inspection(self, subject: str, case_ref: str, at: datetime, author: Author) -> None:
        """Enter that the right of access was used (GDPR Article 15); once a case, however often it is called.

        :param at: when the answer was given, with a time zone.
        """
        ...


def current(records: Iterable[Record], kind: RecordKind) -> Record | None:
    """Return the newest record of a kind that no other of these records corrects."""
    known = list(records)
    corrected = {record.corrects for record in known}
    standing = [record for record in known if record.kind is kind and record.ref not in corrected]
    return max(standing, key=lambda record: (record.at, record.ref), default=None)
