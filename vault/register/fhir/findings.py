"""Condition and Observation (R4 s. 9.2, 10.1) as session entries; any other clinical resource as it stands."""

from typing import Final

from vault.domain.records import Json, RecordKind
from vault.register.fhir.authors import take_authors
from vault.register.fhir.elements import Elements
from vault.register.fhir.entry import Around, Entry, notes_of, references, status
from vault.register.fhir.plans import quantity, value_of

_ICD10: Final = ("icd-10", "1.2.246.537.6.1")  # HL7's URL, and the Finnish classification's OID (as recalled)
_TIMES: Final = (
    *("date", "authored", "authoredOn", "recordedDate", "issued", "created", "sent", "dateAsserted", "recorded"),
    *("effectiveDateTime", "performedDateTime", "occurrenceDateTime", "started", "whenHandedOver"),
)
_WRITERS: Final = (
    *("author", "recorder", "asserter", "requester", "performer", "sender", "informationSource", "practitioner"),
)
_KINDS: Final = {
    **dict.fromkeys(("Account", "ChargeItem", "Claim", "ExplanationOfBenefit", "Invoice"), RecordKind.INVOICE),
    **dict.fromkeys(("CommunicationRequest",), RecordKind.CORRESPONDENCE),
    **dict.fromkeys(("Coverage",), RecordKind.REPRESENTATIVE),  # who pays
}


def condition(resource: Elements, around: Around) -> Entry:
    """Return a diagnosis or a problem."""
    entry = Entry(RecordKind.SESSION_ENTRY, time=resource.moment("recordedDate"))
    icd = _diagnoses(resource)
    words = resource.concept("code")
    entry.put(diagnosis=icd, problems=None if icd else words, observations=notes_of(resource))
    entry.put(onset=resource.text("onsetDateTime") or resource.text("onsetString"))
    entry.put(abatement=resource.text("abatementDateTime") or resource.text("abatementString"))
    status(entry, resource, "clinicalStatus", "verificationStatus", "category", "severity")
    entry.authors = take_authors(resource, around.authors, around.spell, "recorder", "asserter")
    return references(entry, resource, around)


def _diagnoses(resource: Elements) -> list[Json]:
    code = resource.child("code")
    text = code.rest.get("text")
    found: list[Json] = []
    for coding in code.children("coding"):
        system = str(coding.rest.get("system") or "").lower()
        if any(mark in system for mark in _ICD10) and coding.rest.get("code"):
            words = text if isinstance(text, str) and text else coding.rest.get("display")
            found.append({"code": str(coding.rest["code"]), "text": str(words or "")})
    return found


def observation(resource: Elements, around: Around) -> Entry:
    """Return an observation with its value and components, each on a line."""
    entry = Entry(RecordKind.SESSION_ENTRY, time=resource.moment("issued"))
    observed = resource.moment("effectiveDateTime", "effectiveInstant")
    if observed:
        entry.put(observed_at=observed[1] or observed[0].isoformat())
        entry.time = entry.time or observed
    lines = [_line(part) for part in (resource, *resource.children("component"))]
    entry.put(observations="\n".join(line for line in lines if line), notes=notes_of(resource))
    entry.put(method=resource.concept("method"), body_site=resource.concept("bodySite"))
    status(entry, resource, "status", "category")
    entry.authors = take_authors(resource, around.authors, around.spell, "performer")
    return references(entry, resource, around)


def _line(part: Elements) -> str | None:
    name, value = part.concept("code"), value_of(part)
    told = [value, part.concept("interpretation"), part.concept("dataAbsentReason"), *map(_range, _ranges(part))]
    words = "; ".join(word for word in told if word)
    return f"{name or ''}: {words}" if words else name


def _ranges(part: Elements) -> list[Elements]:
    return part.children("referenceRange")


def _range(element: Elements) -> str | None:
    limits = [quantity(element.child(name)) for name in ("low", "high")]
    told = " – ".join(limit or "" for limit in limits) if any(limits) else None
    return element.text("text") or told


def other(resource: Elements, around: Around) -> Entry:
    """Return a resource without a mapping of its own: author and time where it tells them, the rest as it stands."""
    entry = Entry(_KINDS.get(resource.type, RecordKind.SESSION_ENTRY), time=resource.moment(*_TIMES))
    name = str(resource.rest.get("resourceType") or "")
    entry.put(resource=name, notes=notes_of(resource))
    told = resource.concept("code") if isinstance(resource.rest.get("code"), dict) else None
    entry.put(problems=told)
    status(entry, resource, "status")
    entry.authors = take_authors(resource, around.authors, around.spell, *_WRITERS)
    return references(entry, resource, around)
