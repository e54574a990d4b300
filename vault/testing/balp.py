"""A checker of AuditEvents: FHIR R4's own shape and the constraints of three BALP profiles, written down as tables.

Written from the published guide (https://profiles.ihe.net/ITI/BALP, 1.1: Read, PatientRead,
PrivacyDisclosure.Source) and from https://hl7.org/fhir/R4/auditevent.html, independently of what makes our
events; elements that neither R4 nor a profile knows are faults, as for a FHIR server.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Coded: TypeAlias = tuple[str, str]

_TERMS: Final = "http://terminology.hl7.org/CodeSystem/"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_REFERENCE: Final = frozenset({"reference", "type", "identifier", "display", "extension"})
# element -> (fewest, most); None for any number; what a table leaves out may not be there
_EVENT: Final = {
    "resourceType": (1, 1),
    "id": (0, 1),
    "meta": (0, 1),
    "type": (1, 1),
    "subtype": (0, None),
    "action": (0, 1),
    "recorded": (1, 1),
    "outcome": (0, 1),
    "outcomeDesc": (0, 1),
    "purposeOfEvent": (0, None),
    "agent": (1, None),
    "source": (1, 1),
    "entity": (0, None),
}
_AGENT: Final = {
    "type": (0, 1),
    "role": (0, None),
    "who": (0, 1),
    "altId": (0, 1),
    "name": (0, 1),
    "requestor": (1, 1),
    "policy": (0, None),
    "network": (0, 1),
    "purposeOfUse": (0, None),
}
_SOURCE: Final = {"site": (0, 1), "observer": (1, 1), "type": (0, None)}
_ENTITY: Final = {
    "what": (0, 1),
    "type": (0, 1),
    "role": (0, 1),
    "securityLabel": (0, None),
    "name": (0, 1),
    "description": (0, 1),
    "query": (0, 1),
    "detail": (0, None),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of ``agent`` or ``entity``, told by its type.

    :param fewest: like ``most``, how many of the type there may be; ``needs`` and ``lacks`` name elements.
    :param role: the entity's, where the profile binds it.
    """

    kind: Coded
    fewest: int
    most: int
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    role: tuple[Coded, ...] = ()
    requestor: bool | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile asks beyond R4."""

    kind: Coded
    subtypes: tuple[Coded, ...]
    outcomes: tuple[str, ...]
    agents: tuple[Slice, ...]
    entities: tuple[Slice, ...]
    fewest_entities: int
    source_is_observer: bool = False


_ENDS: Final = 2  # the source's and the destination's agent
_ROLE: Final = f"{_TERMS}object-role"
_REST_ROLES: Final = ((_ROLE, "4"), (_ROLE, "3"), (_ROLE, "20"))
_CLIENT: Final = Slice((_DICOM, "110152"), 1, 1, ("who", "network"), ("media",))
_SERVER: Final = Slice((_DICOM, "110153"), 1, 1, ("who", "network"), ("media",))
_USER: Final = Slice((f"{_TERMS}v3-ParticipationType", "IRCP"), 0, 1, ("who",), ("media", "network"), requestor=True)
_DATA: Final = Slice((f"{_TERMS}audit-entity-type", "2"), 1, 1, ("what",), role=_REST_ROLES)
_PATIENT: Final = Slice((f"{_TERMS}audit-entity-type", "1"), 1, 1, ("what",), role=((_ROLE, "1"),))
_TRANSACTION: Final = Slice(("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"), 0, 1)
_READ: Final = Profile(
    (f"{_TERMS}audit-event-type", "rest"),
    (("http://hl7.org/fhir/restful-interaction", "read"), ("http://hl7.org/fhir/restful-interaction", "vread")),
    ("0",),
    (_CLIENT, _SERVER, _USER),
    (_DATA, _TRANSACTION),
    1,
)
PROFILES: Final[Mapping[str, Profile]] = {
    f"{_PROFILES}Read": _READ,
    f"{_PROFILES}PatientRead": Profile(
        _READ.kind, _READ.subtypes, _READ.outcomes, _READ.agents, (_PATIENT, _DATA, _TRANSACTION), 2
    ),
    f"{_PROFILES}PrivacyDisclosure.Source": Profile(
        (_DICOM, "110106"),
        ((f"{_TERMS}iso-21089-lifecycle", "disclose"),),
        ("0", "4", "8", "12"),
        (
            _SERVER,
            _CLIENT,
            Slice(("http://snomed.info/sct", "159541003"), 0, 1, ("who",)),
            Slice(("http://snomed.info/sct", "429577009"), 0, 1, ("who",)),
        ),
        (_PATIENT,),
        2,
        source_is_observer=True,
    ),
}


def faults(event: Mapping[str, Any]) -> list[str]:
    """Name everything that is wrong with an event; empty when it conforms to R4 and to each profile that it claims."""
    found = [*_r4(event)]
    for name in event.get("meta", {}).get("profile", ()):
        profile = PROFILES.get(name)
        found += [f"profile unknown: {name}"] if profile is None else [*_profile(event, profile)]
    return found


def _r4(event: Mapping[str, Any]) -> Iterator[str]:
    yield from _shape("AuditEvent", event, _EVENT)
    if event.get("resourceType") != "AuditEvent" or not _ID.fullmatch(event.get("id", "x")):
        yield "AuditEvent.id"
    if not _INSTANT.fullmatch(str(event.get("recorded"))):
        yield "AuditEvent.recorded is no instant"
    if event.get("action") not in (None, *"CRUDE") or event.get("outcome") not in (None, "0", "4", "8", "12"):
        yield "AuditEvent.action or outcome"
    for agent in event.get("agent", ()):
        yield from _shape("agent", agent, _AGENT)
        yield from _reference("agent.who", agent.get("who"))
        if not isinstance(agent.get("requestor"), bool):
            yield "agent.requestor"
    yield from _shape("source", event.get("source", {}), _SOURCE)
    yield from _reference("source.observer", event.get("source", {}).get("observer"))
    for entity in event.get("entity", ()):
        yield from _entity(entity)
    yield from _values("AuditEvent", event)


def _entity(entity: Mapping[str, Any]) -> Iterator[str]:
    yield from _shape("entity", entity, _ENTITY)
    yield from _reference("entity.what", entity.get("what"))
    if "name" in entity and "query" in entity:
        yield "sev-1: an entity has a name or a query"
    for detail in entity.get("detail", ()):
        if detail.keys() not in ({"type", "valueString"}, {"type", "valueBase64Binary"}):
            yield "entity.detail"
        try:
            base64.b64decode(detail.get("valueBase64Binary", ""), validate=True)
        except binascii.Error:
            yield "entity.detail.valueBase64Binary"


def _shape(where: str, found: Mapping[str, Any], table: Mapping[str, tuple[int, int | None]]) -> Iterator[str]:
    for name in found.keys() - table.keys():
        yield f"{where}.{name} is not of R4"
    for name, (fewest, most) in table.items():
        if name not in found and fewest:
            yield f"{where}.{name} is missing"
        elif name in found and (most != 1) != isinstance(found[name], list):
            yield f"{where}.{name} is one or a list"


def _reference(where: str, found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is not None and (not found or not found.keys() <= _REFERENCE):
        yield f"{where} is no reference"


def _values(where: str, value: object) -> Iterator[str]:
    """ele-1 and the primitive types: nothing is empty, nothing is null."""
    if value is None or value in ("", [], {}):
        yield f"{where} is empty"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _values(f"{where}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(where, inner)


def _profile(event: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    if "modifierExtension" in event or _code(event["type"]) != profile.kind or event.get("action") != "R":
        yield "type or action is not the profile's"
    if not {_code(subtype) for subtype in event.get("subtype", ())} & set(profile.subtypes):
        yield "no subtype of the profile"
    if event.get("outcome") not in profile.outcomes:
        yield "outcome is not the profile's"
    for part, slices in (("agent", profile.agents), ("entity", profile.entities)):
        for one in slices:
            yield from _slice(part, event.get(part, ()), one)
    if len(event["agent"]) < _ENDS or len(event.get("entity", ())) < profile.fewest_entities:
        yield "too few agents or entities"
    ends = [agent for agent in event["agent"] if _SERVER.kind in _codes(agent)]
    if profile.source_is_observer and any(agent.get("who") != event["source"]["observer"] for agent in ends):
        yield "val-audit-source: the source is the observer"


def _slice(part: str, members: Sequence[Mapping[str, Any]], one: Slice) -> Iterator[str]:
    of_kind = [member for member in members if one.kind in _codes(member)]
    where = f"{part} {one.kind[1]}"
    if not one.fewest <= len(of_kind) <= one.most:
        yield f"{where} stands {len(of_kind)} times"
    for member in of_kind:
        if not set(one.needs) <= member.keys() or set(one.lacks) & member.keys():
            yield f"{where} lacks or has an element against the profile"
        if one.role and _code(member.get("role", {})) not in one.role:
            yield f"{where} has another role"
        if one.requestor is not None and member["requestor"] is not one.requestor:
            yield f"{where} is the requestor"
        if one is _PATIENT and not _is_patient(member.get("what", {})):
            yield f"{where} is no Reference(Patient)"
        if one is _TRANSACTION and not member.get("what", {}).get("identifier", {}).get("value"):
            yield f"{where} has no value"


def _is_patient(what: Mapping[str, Any]) -> bool:
    return what.get("type") == "Patient" or str(what.get("reference", "")).startswith("Patient/")


def _codes(member: Mapping[str, Any]) -> set[Coded]:
    kind = member.get("type", {})
    return {_code(coding) for coding in kind.get("coding", [kind])}


def _code(coding: Mapping[str, Any]) -> Coded:
    return (str(coding.get("system")), str(coding.get("code")))
