"""Composition and DocumentReference (R4 s. 2.42, 10.3) as the kind of record that their type tells."""

import base64
import binascii
from typing import Final

from vault.domain.records import Json, RecordKind
from vault.register.fhir.authors import take_authors
from vault.register.fhir.doctypes import field_of, kind_of, statement_type
from vault.register.fhir.elements import Elements
from vault.register.fhir.entry import Around, Entry, references, status
from vault.register.fhir.narrative import plain_text

_DEEPEST: Final = 20  # sections within sections
_WHOLE: Final = {  # where a document's text stands when no heading says more
    RecordKind.SESSION_ENTRY: "observations",
    RecordKind.STATEMENT: "course",
    RecordKind.CONSULTATION: "answer",
    RecordKind.TREATMENT_PLAN: "methods",
    RecordKind.REFUSAL_OF_CARE: "explained",
    RecordKind.CONSENT: "scope",
    RecordKind.MINOR_DECISION_ABILITY: "grounds",
    RecordKind.INSPECTION: "provision",
}
_WITH_TITLE: Final = {RecordKind.CERTIFICATE: "title", RecordKind.CORRESPONDENCE: "topic"}


def composition(resource: Elements, around: Around) -> Entry:
    """Return a composition: its sections fill the fields that their headings name."""
    entry = _document(resource, around, resource.text("title") or "")
    for section in _sections(resource, 0):
        _add_section(entry, section)
    for event in resource.children("event"):
        period = event.child("period")
        entry.put(period_from=period.text("start"), period_until=period.text("end"))
    return entry


def document_reference(resource: Elements, around: Around) -> Entry:
    """Return a document with what is attached to it: text as text, other files as they are."""
    attached = [part.child("attachment") for part in resource.children("content")]
    titles = [told for part in attached if (told := part.text("title"))]
    entry = _document(resource, around, resource.text("description") or "; ".join(titles))
    texts, files = _attachments(attached)
    _add_text(entry, "\n\n".join(texts))
    around.tally.miss("DocumentReference", ["content.attachment.data"] if not texts and not files else [])
    context = resource.child("context")
    period = context.child("period")
    entry.put(attachments=files, period_from=period.text("start"), period_until=period.text("end"))
    return entry


def _document(resource: Elements, around: Around, title: str) -> Entry:
    codes = resource.coded("type")
    kinds = resource.concept("type") or ""
    words = f"{kinds} {resource.concept('category') or ''}"
    kind = kind_of(codes, words) or kind_of(frozenset(), title)
    around.tally.miss(resource.type, [] if kind else ["type"])
    entry = Entry(kind or RecordKind.SESSION_ENTRY, time=resource.moment("date"))
    entry.put(**{_WITH_TITLE.get(entry.kind, "title"): title or None, "document_type": kinds})
    if entry.kind is RecordKind.STATEMENT:
        entry.put(type=statement_type(f"{kinds} {title}"))
    status(entry, resource, "status", "docStatus")
    entry.authors = take_authors(resource, around.authors, around.spell, "author", "authenticator", "custodian")
    return references(entry, resource, around)


def _sections(parent: Elements, depth: int) -> list[Elements]:
    found: list[Elements] = []
    for section in parent.children("section") if depth < _DEEPEST else ():
        found += [section, *_sections(section, depth + 1)]
    return found


def _add_section(entry: Entry, section: Elements) -> None:
    codes = section.coded("code")
    heading = section.text("title") or ""
    told = section.concept("code") or ""
    narrative = section.child("text")
    text = plain_text(narrative.text("div") or "")
    narrative.drop("status")
    field = field_of(entry.kind, codes, f"{heading} {told}")
    if text and field:
        before = entry.body.get(field)
        entry.body[field] = f"{before}\n\n{text}" if before else text
    elif text or heading:
        _add_text(entry, f"{heading}\n{text}".strip())


def _add_text(entry: Entry, text: str) -> None:
    field = _WHOLE.get(entry.kind, "text")
    before = entry.body.get(field)
    entry.put(**{field: f"{before}\n\n{text}" if before and text else text or before})


def _attachments(attached: list[Elements]) -> tuple[list[str], list[Json]]:
    texts: list[str] = []
    files: list[Json] = []
    for part in attached:
        kind = str(part.rest.get("contentType") or "")
        text = _text_of(part.rest.get("data"), kind)
        if text is not None:
            texts.append(text)
            part.drop("data", "contentType", "size", "hash")
        elif isinstance(part.rest.get("data"), str):
            files.append({"content_type": kind, "data": part.rest["data"]})
            part.drop("data", "contentType", "size", "hash")
    return texts, files


def _text_of(data: object, kind: str) -> str | None:
    """Return an attachment's text, where it is text that can be read."""
    if not isinstance(data, str) or not kind.startswith("text/"):
        return None
    charset = "latin-1" if "iso-8859-1" in kind.lower() else "utf-8"
    try:
        text = base64.b64decode(data, validate=True).decode(charset)
    except (binascii.Error, ValueError, LookupError):
        return None
    return plain_text(text) if "html" in kind else text
