"""The documents of an answer: one for each group of records, as a PDF to read and as data to use.

Every record of the register's answer stands in exactly one document, whole, with author, title and
time; a correction keeps the original readable. Another person's details stand in documents of their
own (Act 703/2023 s. 28), one for each, so that each can be decided on alone. The same records give
the same bytes, whatever order they come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vault.domain.private import Private
from vault.domain.records import Json, Record, RecordKind
from vault.package.canonical import canonical, settled
from vault.package.entries import Entry, entries_of, shown_entry
from vault.package.heading import Heading
from vault.package.language import fill, local_day, part, sentence
from vault.package.sheet import sheet_of
from vault.package.typesetting import Shown, typeset
from vault.settings import Controller

FORMAT = "dsr-document/1"
GROUPS: dict[str, tuple[RecordKind, ...]] = {  # in the order of an answer
    "identity": (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS),
    "representative": (RecordKind.REPRESENTATIVE,),
    "visits": (RecordKind.VISIT,),
    "sessions": (RecordKind.SESSION_ENTRY,),
    "plans": (RecordKind.TREATMENT_PLAN,),
    "statements": (RecordKind.STATEMENT, RecordKind.CERTIFICATE),
    "consultations": (RecordKind.CONSULTATION,),
    "care-choices": (RecordKind.REFUSAL_OF_CARE, RecordKind.MINOR_DECISION_ABILITY),
    "referrals": (RecordKind.REFERRAL,),
    "kela": (RecordKind.KELA_DOCUMENT,),
    "consents": (RecordKind.CONSENT,),
    "correspondence": (RecordKind.CORRESPONDENCE,),
    "invoices": (RecordKind.INVOICE,),
    "inspections": (RecordKind.INSPECTION,),
    "third-person": (RecordKind.THIRD_PERSON_DOCUMENT,),
}
_ALONE = "third-person"


@dataclass(frozen=True, slots=True)
class Document(Private, shows=("id",)):
    """One document of an answer.

    :param id: stable within a case, lower-case ASCII; its files are named by it, so it says nothing personal.
    :param title: in the requester's language.
    :param kinds: the kinds of records it may hold.
    :param pdf: as the requester reads it.
    :param data: the same records as plain JSON.
    """

    id: str
    title: str
    kinds: tuple[RecordKind, ...]
    pdf: bytes
    data: Mapping[str, Json]

    def json(self) -> bytes:
        """Write the data as canonical JSON (RFC 8785)."""
        return canonical(self.data)


def render_documents(
    records: Sequence[Record], language: str, controller: Controller, case_ref: str, made_at: datetime
) -> list[Document]:
    """Render everything that was collected.

    :param records: in any order.
    :param language: ``fi``, ``sv`` or ``en``.
    :param made_at: stands in each document; the same moment gives the same bytes.
    :raises RefusedError: an unknown language, or typesetting failed.
    """
    heading = Heading(case_ref, language, controller, made_at)
    documents: list[Document] = []
    for group, kinds in GROUPS.items():
        entries = [entry for kind in kinds for entry in entries_of([r for r in records if r.kind is kind])]
        if group == _ALONE:
            documents += [_document(heading, group, [entry], number) for number, entry in enumerate(entries, 1)]
        elif entries:
            documents.append(_document(heading, group, entries))
    return documents


def _document(heading: Heading, group: str, entries: Sequence[Entry], number: int | None = None) -> Document:
    identifier = group if number is None else f"{group}-{number:02d}"
    title = fill(sentence("labels", heading.language, "documents", group), {"number": number})
    pdf = typeset("document", _page(heading, title, entries), heading.at)
    return Document(identifier, title, GROUPS[group], pdf, _data(heading, identifier, entries))


def _page(heading: Heading, title: str, entries: Sequence[Entry]) -> Mapping[str, Shown]:
    words = part("labels", heading.language, "words")
    return sheet_of(heading, title) | {
        "title_shown": title,
        "about": [
            f"{words['case']}: {heading.case_ref}",
            f"{words['made']}: {local_day(heading.at, heading.language)}",
        ],
        "intro": words["intro"],
        "count": _count(entries, heading.language),
        "signs_replaced": words["signs_replaced"],
        "entries": [shown_entry(entry, heading.language) for entry in entries],
    }


def _count(entries: Sequence[Entry], language: str) -> str:
    words = part("labels", language, "words")
    if len(entries) == 1:
        return str(words["count_one"])
    times = sorted(entry.first.at for entry in entries)
    shown = {"first": local_day(times[0], language), "last": local_day(times[-1], language), "count": len(entries)}
    return fill(words["count_many"], shown)


def _data(heading: Heading, identifier: str, entries: Sequence[Entry]) -> Mapping[str, Json]:
    records = {record.ref: record for entry in entries for record in (entry.current, *entry.earlier)}
    plain: list[Json] = [_plain(record) for _, record in sorted(records.items())]
    data: dict[str, Json] = {"format": FORMAT, "case": heading.case_ref, "document": identifier}
    return settled(data | {"language": heading.language, "records": plain})


def _plain(record: Record) -> Json:
    author = record.author
    return {
        "ref": record.ref,
        "kind": record.kind.value,
        "at": record.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "author": {"name": author.name, "identifier": author.identifier, "title": author.title},
        "corrects": record.corrects,
        "body": dict(record.body),
    }
