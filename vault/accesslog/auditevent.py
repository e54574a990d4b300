"""A log entry as FHIR R4 AuditEvent in the shape of IHE BALP, so that others' audit repositories can read our log.

A granted look at a known patient is a PatientRead, one at a case without a known patient a Read, data that
left the house a PrivacyDisclosure as its source tells it (https://profiles.ihe.net/ITI/BALP, version 1.1).
BALP has no profile for a look that was refused: such an event claims none and has outcome 4.
``docs/formats/access-log.md`` says which element holds which field of Act 703/2023 s. 10.
"""

import base64
from dataclasses import dataclass
from datetime import UTC
from typing import Final, TypeAlias

from vault.accesslog.entries import GRANTED, Access
from vault.accesslog.leaves import parse_leaf
from vault.accesslog.log import LoggedAccess
from vault.accesslog.merkle import leaf_hash
from vault.domain.records import Json
from vault.domain.roles import Purpose

Fields: TypeAlias = dict[str, Json]

BALP: Final = "https://profiles.ihe.net/ITI/BALP"
PATIENT_READ: Final = f"{BALP}/StructureDefinition/IHE.BasicAudit.PatientRead"
READ: Final = f"{BALP}/StructureDefinition/IHE.BasicAudit.Read"
DISCLOSURE: Final = f"{BALP}/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"
DATA_SUBJECT: Final = "data_subject"  # a recipient: the person herself
_TERMS, _DICOM, _FHIR = (
    "http://terminology.hl7.org/CodeSystem",
    "http://dicom.nema.org/resources/ontology/DCM",
    "http://hl7.org/fhir",
)
_OURS: Final = "urn:dsr-vault"
_ABSENT: Final = f"{_FHIR}/StructureDefinition/data-absent-reason"
_RECORD_KEEPER: Final = "159541003"  # SNOMED CT; the profile's custodian
_MACHINE: Final = "office:"
_REASONS: Final = {  # of v3-PurposeOfUse; the exact purpose stands beside it
    Purpose.AUDIT: ("HCOMPL", "health compliance"),
    Purpose.REGISTER_KEEPING: ("RECORDMGT", "records management"),
}
_ASKED: Final = ("PATRQT", "patient requested")


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose log it is.

    :param name: the controller's.
    :param origin: the log's, as its checkpoints say it.
    """

    name: str
    origin: str


def audit_event(logged: LoggedAccess, provider: Provider, *, staff: bool) -> Fields:
    """Write one entry as an AuditEvent.

    :param staff: with the reader's name and unique id, and the words of an emergency; else they are masked.
    :raises TamperedError: the leaf is none.
    """
    access = logged.access
    event: Fields = {"resourceType": "AuditEvent", "id": f"entry-{logged.index}"}
    profile = _profile(access)
    if profile is not None:
        event["meta"] = {"profile": [profile]}
    event |= _kind(access)
    event |= {
        "action": "R",
        "recorded": _instant(access),
        "outcome": "0" if access.outcome == GRANTED else "4",
        **({} if access.outcome == GRANTED else {"outcomeDesc": access.outcome}),
        "purposeOfEvent": _purposes(access, staff=staff),
        "agent": _agents(access, provider, staff=staff),
        "source": {"site": provider.origin, "observer": _house(provider), "type": [_source_type()]},
        "entity": _entities(logged),
    }
    return event


def _profile(access: Access) -> str | None:
    if access.outcome != GRANTED:
        return None
    if access.recipient is not None:
        return DISCLOSURE if access.subject is not None else None
    return READ if access.subject is None else PATIENT_READ


def _kind(access: Access) -> Fields:
    read = _coding(f"{_FHIR}/restful-interaction", "read", "read")
    if access.recipient is None:
        rest = _coding(f"{_TERMS}/audit-event-type", "rest", "Restful Operation")
        return {"type": rest, "subtype": [read]}
    disclosed = _coding(f"{_TERMS}/iso-21089-lifecycle", "disclose", "Disclose Record Lifecycle Event")
    return {"type": _coding(_DICOM, "110106", "Export"), "subtype": [disclosed, read]}


def _purposes(access: Access, *, staff: bool) -> list[Json]:
    reason = _REASONS.get(access.purpose, _ASKED)
    exact = _coding(f"{_OURS}:purpose", access.purpose.value)
    purposes: list[Json] = [{"coding": [_coding(f"{_TERMS}/v3-ActReason", *reason), exact]}]
    if access.emergency is not None:
        words: Fields = {"text": access.emergency} if staff else {}
        purposes.append({"coding": [_coding(f"{_TERMS}/v3-ActReason", "BTG", "break the glass")], **words})
    return purposes


def _agents(access: Access, provider: Provider, *, staff: bool) -> list[Json]:
    house = _house(provider)
    server: Fields = {"who": house, "requestor": False, "network": {"address": provider.origin, "type": "5"}}
    # the log keeps no addresses of machines: who looked is named, not from where
    other: Fields = {"who": _recipient(access) or house, "requestor": False, "network": _absent("unknown")}
    return [
        {"type": _concept(_DICOM, "110153", "Source Role ID"), **server},
        {"type": _concept(_DICOM, "110152", "Destination Role ID"), **other},
        _user(access, staff=staff),
    ]


def _user(access: Access, *, staff: bool) -> Fields:
    """Name who looked; of a disclosure, who gave the data out. A machine is no person and never masked."""
    named = staff or access.actor.startswith(_MACHINE)
    who: Fields = {"identifier": {"system": f"{_OURS}:actor", "value": access.actor}, "display": access.actor_name}
    if access.recipient is None:
        kind = _concept(f"{_TERMS}/v3-ParticipationType", "IRCP", "information recipient")
    else:
        kind = _concept("http://snomed.info/sct", _RECORD_KEEPER, "Record keeping/library clerk")
    return {
        "type": kind,
        "role": [_concept(f"{_OURS}:role", role) for role in access.role.split(",")],
        "who": who if named else _absent("masked"),
        **({"name": access.actor_name} if named else {}),
        "requestor": True,
        "purposeOfUse": [_concept(f"{_OURS}:purpose", access.purpose.value)],
    }


def _recipient(access: Access) -> Fields | None:
    if access.recipient is None:
        return None
    if access.recipient == DATA_SUBJECT and access.subject is not None:
        return _patient(access.subject)
    return {"display": access.recipient}


def _entities(logged: LoggedAccess) -> list[Json]:
    access = logged.access
    entities: list[Json] = []
    if access.subject is not None:
        entities.append(_entity("1", "Person", ("1", "Patient"), _patient(access.subject)))
    data = _entity("2", "System Object", ("4", "Domain Resource"), {"display": ", ".join(access.kinds)})
    entities.append(data | {"detail": _details(logged)})
    if access.case is not None:
        case: Fields = {"identifier": _identifier("case", access.case)}
        entities.append(_entity("4", "Other", ("20", "Job"), case))
    request: Fields = {"identifier": {"value": parse_leaf(logged.leaf).use.hex()}}
    kind = _coding(f"{BALP}/CodeSystem/BasicAuditEntityType", "XrequestId")
    return [*entities, {"what": request, "type": kind}]


def _details(logged: LoggedAccess) -> list[Json]:
    access = logged.access
    texts = [("log-index", str(logged.index)), ("legal-ground", access.legal_ground), ("count", str(access.count))]
    texts += [("kind", kind) for kind in access.kinds]
    details: list[Json] = [{"type": name, "valueString": value} for name, value in texts]
    hashed = base64.b64encode(leaf_hash(logged.leaf)).decode("ascii")
    return [*details, {"type": "leaf-hash", "valueBase64Binary": hashed}]


def _entity(code: str, display: str, role: tuple[str, str], what: Fields) -> Fields:
    kind = _coding(f"{_TERMS}/audit-entity-type", code, display)
    return {"what": what, "type": kind, "role": _coding(f"{_TERMS}/object-role", *role)}


def _patient(subject: str) -> Fields:
    return {"type": "Patient", "identifier": _identifier("subject", subject)}


def _house(provider: Provider) -> Fields:
    return {"type": "Organization", "identifier": _identifier("log", provider.origin), "display": provider.name}


def _source_type() -> Fields:
    return _coding(f"{_TERMS}/security-source-type", "4", "Application Server")


def _identifier(kind: str, value: str) -> Fields:
    return {"system": f"{_OURS}:{kind}", "value": value}


def _absent(why: str) -> Fields:
    return {"extension": [{"url": _ABSENT, "valueCode": why}]}


def _concept(system: str, code: str, display: str | None = None) -> Fields:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str | None = None) -> Fields:
    return {"system": system, "code": code, **({} if display is None else {"display": display})}


def _instant(access: Access) -> str:
    return f"{access.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
