"""Encounter and Appointment (R4 s. 8.11, 12.15) as visits: kept, cancelled, no-show, or the source's own word."""

from typing import Final

from vault.domain.records import RecordKind
from vault.register.fhir.authors import take_authors
from vault.register.fhir.elements import Elements
from vault.register.fhir.entry import Around, Entry

_STATUS: Final = {
    **dict.fromkeys(("finished", "fulfilled", "arrived", "checked-in", "triaged", "in-progress", "onleave"), "kept"),
    "cancelled": "cancelled",
    "noshow": "no_show",
}
_MODES: Final = {"AMB": "in_person", "IMP": "in_person", "HH": "in_person", "VR": "video", "PHONE": "phone"}
_PHONE: Final = ("phone", "puhelin", "telefon")


def encounter(resource: Elements, around: Around) -> Entry:
    """Return an encounter as a visit; its author is the professional who took part."""
    entry = _visit(resource)
    mode = next((_MODES[code] for code in sorted(resource.coded("class")) if code in _MODES), None)
    words = f"{resource.concept('class') or ''} {resource.concept('type') or ''}".strip()
    mode = "phone" if any(word in words.lower() for word in _PHONE) else mode
    entry.put(mode=mode or words, type=words)
    places = [told for part in resource.children("location") if (told := part.child("location").text("display"))]
    period = resource.child("period")
    entry.put(starts_at=period.text("start"), ends_at=period.text("end"), place="; ".join(places))
    entry.put(reason=resource.concept("reasonCode"), service_event=_service_event(resource))
    for part in resource.children("participant"):
        entry.authors += take_authors(part, around.authors, around.spell, "individual")
    return entry


def appointment(resource: Elements, around: Around) -> Entry:
    """Return an appointment as a visit; its author is the professional who was to take part."""
    entry = _visit(resource)
    entry.put(starts_at=resource.text("start"), ends_at=resource.text("end"))
    entry.put(reason=resource.concept("cancelationReason") or resource.concept("reasonCode"))
    entry.put(type=resource.concept("appointmentType"), description=resource.text("description"))
    entry.put(comment=resource.text("comment"), patient_instruction=resource.text("patientInstruction"))
    entry.time = resource.moment("created")
    for part in resource.children("participant"):
        target = part.reference("actor") or ""
        if "Location/" in target:
            entry.put(place=part.child("actor").text("display"))
        elif "Patient/" not in target:
            entry.authors += take_authors(part, around.authors, around.spell, "actor")
    return entry


def _visit(resource: Elements) -> Entry:
    told = resource.text("status")
    entry = Entry(RecordKind.VISIT, {"status": _STATUS.get(told or "", told or "")})
    return entry.put(entered_in_error=True if told == "entered-in-error" else None)


def _service_event(resource: Elements) -> str | None:
    episodes = resource.references("episodeOfCare")
    if not episodes:
        return None
    resource.drop("episodeOfCare")
    return ", ".join(episodes)
