"""Writes synthetic patients as FHIR R4 resources in the shapes that real systems export: for imports and for servers.

What FHIR has a resource for stands in that resource; other kinds of records are documents with sections.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from vault.domain.records import Author, Json, Record, RecordKind
from vault.testing.patients import Patient

Resource = dict[str, Any]
CODE_SYSTEM: Final = "urn:oid:1.2.246.21"
NUMBER_SYSTEM: Final = "urn:oid:1.2.246.10.99999999.22"  # of an invented organisation
_TYPES: Final = {
    RecordKind.SESSION_ENTRY: ("11506-3", "Progress note"),
    RecordKind.STATEMENT: ("18842-5", "Loppulausunto"),
    RecordKind.CONSULTATION: ("11488-4", "Consult note"),
    RecordKind.REFERRAL: ("57133-1", "Referral note"),
    RecordKind.REFUSAL_OF_CARE: (None, "Kieltäytyminen hoidosta"),
    RecordKind.MINOR_DECISION_ABILITY: (None, "Alaikäisen päätöskyky"),
    RecordKind.INSPECTION: (None, "Tarkastusoikeuden käyttö"),
    RecordKind.CERTIFICATE: (None, "Lääkärintodistus"),
    RecordKind.KELA_DOCUMENT: (None, "Kelan kuntoutuspsykoterapia"),
    RecordKind.THIRD_PERSON_DOCUMENT: (None, "Kolmannen henkilön asiakirja"),
    RecordKind.INVOICE: (None, "Lasku"),
}
_AS_FILES: Final = frozenset({RecordKind.CERTIFICATE, RecordKind.KELA_DOCUMENT, RecordKind.THIRD_PERSON_DOCUMENT})
HEADINGS: Final = {
    "reason": "Tulosyy",
    "history": "Esitiedot",
    "state": "Nykytila",
    "observations": "Havainnot",
    "problems": "Ongelmat",
    "conclusions": "Johtopäätökset",
    "plan": "Suunnitelma",
    "execution": "Toteutus",
    "follow_up": "Seuranta",
    "course": "Hoidon kulku",
    "outcome": "Tulokset",
    "recommendation": "Suositus",
    "consulted": "Konsultoitu",
    "question": "Kysymys",
    "answer": "Vastaus",
}
_STATUS: Final = {"kept": "finished", "cancelled": "cancelled", "late_cancelled": "cancelled", "no_show": "noshow"}
_MODES: Final = {"in_person": "AMB", "video": "VR", "phone": "PHONE"}


def bundle(resources: Iterable[Resource], kind: str = "collection", base: str = "") -> Resource:
    """Put resources into a Bundle.

    :param base: the server's base URL, which makes full URLs.
    """
    entries = []
    for resource in resources:
        address = {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}"} if base else {}
        entries.append({**address, "resource": resource})
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def write_ndjson(folder: Path, people: Iterable[Patient]) -> int:
    """Write a bulk export, a file a resource type; return how many lines."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = 0
    for resource in export(people):
        with (folder / f"{resource['resourceType']}.ndjson").open("a", encoding="utf-8") as file:
            file.write(json.dumps(resource, ensure_ascii=False) + "\n")
            lines += 1
    return lines


def export(people: Iterable[Patient]) -> Iterator[Resource]:
    """Yield every professional once, every patient and every record."""
    known: set[str] = set()
    for patient in people:
        for record in (patient.identity, patient.contacts, *patient.records):
            if record.author.identifier not in known:
                known.add(record.author.identifier)
                yield _practitioner(record.author)
        yield patient_resource(patient)
        yield from (resource_of(record) for record in patient.records)


def patient_id(subject: str) -> str:
    """Return the id of a patient's resource."""
    return f"pat-{subject.removeprefix('P-').lower()}"


def patient_resource(patient: Patient) -> Resource:
    """Return a Patient with name, code, customer number, address and contacts."""
    who, where = patient.identity.body, patient.contacts.body
    telecom = [{"system": name, "value": where[name]} for name in ("phone", "email") if where.get(name)]
    address = {"use": "home", "line": [where["street"]], "postalCode": where["postal_code"], "city": where["city"]}
    return {
        "resourceType": "Patient",
        "id": patient_id(patient.subject),
        "meta": {"versionId": "1", "lastUpdated": patient.identity.at.isoformat()},
        "identifier": [
            {"use": "official", "system": CODE_SYSTEM, "value": who["personal_identity_code"]},
            {"system": NUMBER_SYSTEM, "value": who["customer_number"]},
        ],
        "active": True,
        "name": [{"use": "official", "family": who["family_name"], "given": str(who["given_names"]).split(" ")}],
        "telecom": telecom,
        "birthDate": who["birth_date"],
        "address": [{**address, "country": where["country"]}],
        "communication": [{"language": {"coding": [{"code": who["language"]}]}, "preferred": True}],
    }


def resource_of(record: Record) -> Resource:
    """Return one record as the resource that real systems have for it."""
    special = _SPECIAL.get(record.kind)
    inner = special(record) if special else _document(record)
    subject = "patient" if inner["resourceType"] in ("RelatedPerson", "Consent") else "subject"
    about = {subject: {"reference": f"Patient/{patient_id(record.subject)}"}}
    ident = {"id": record.ref.lower(), "meta": {"versionId": "1", "lastUpdated": record.at.isoformat()}}
    return {**ident, **about, **{name: value for name, value in inner.items() if value not in (None, [], {})}}


def _practitioner(author: Author) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": author.identifier.lower(),
        "identifier": [{"system": "urn:oid:1.2.246.537.26", "value": author.identifier}],
        "name": [{"text": author.name}],
        "qualification": [{"code": {"text": author.title}}],
    }


def _who(author: Author) -> Resource:
    return {"reference": f"Practitioner/{author.identifier.lower()}"}


def _representative(record: Record) -> Resource:
    body = record.body
    phone = [{"system": "phone", "value": body["phone"]}] if body.get("phone") else []
    return {
        "resourceType": "RelatedPerson",
        "name": [{"text": body["name"]}],
        "relationship": [{"text": body["relation"]}, {"coding": [{"code": str(body["role"])}]}],
        "telecom": phone,
        "period": _some(start=body["valid_from"], end=body["valid_until"]),
        "extension": [{"url": "urn:example:scope", "valueString": body["scope"]}],
    }


def _visit(record: Record) -> Resource:
    body = record.body
    return {
        "resourceType": "Encounter",
        "status": _STATUS[str(body["status"])],
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": _MODES[str(body["mode"])]},
        "participant": [{"individual": _who(record.author)}],
        "period": _some(start=body["starts_at"], end=body["ends_at"]),
        "location": [{"location": {"display": body["place"]}}],
        "episodeOfCare": [{"reference": f"EpisodeOfCare/{body['service_event']}"}],
        "reasonCode": [{"text": body["reason"]}] if body["reason"] else [],
    }


def _plan(record: Record) -> Resource:
    body = record.body
    targets = body["targets"] if isinstance(body["targets"], list) else []
    goals = [{"resourceType": "Goal", "id": f"g{n}", "description": {"text": t}} for n, t in enumerate(targets)]
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "created": record.at.isoformat(),
        "author": _who(record.author),
        "contained": goals,
        "goal": [{"reference": f"#{goal['id']}"} for goal in goals],
        "description": body["methods"],
        "activity": [{"detail": {"scheduledString": body["frequency"]}}],
        "period": _some(end=body["review_on"]),
        "extension": [
            {"url": "urn:example:service-event", "valueString": body["service_event"]},
            {"url": "urn:example:agreed", "valueBoolean": body["agreed_with_patient"]},
        ],
    }


def _consent(record: Record) -> Resource:
    body = record.body
    recipient = [{"reference": {"display": body["recipient"]}}] if body["recipient"] else []
    return {
        "resourceType": "Consent",
        "status": "inactive" if body["withdrawn_on"] else "active",
        "dateTime": record.at.isoformat(),
        "scope": {"text": body["scope"]},
        "performer": [_who(record.author)],
        "policyRule": {"text": body["legal_ground"]},
        "provision": {
            "type": "deny" if body["type"] == "prohibition" else "permit",
            "period": _some(start=body["given_on"], end=body["withdrawn_on"]),
            "actor": recipient,
        },
    }


def _message(record: Record) -> Resource:
    body = record.body
    patient = {"reference": f"Patient/{patient_id(record.subject)}"}
    return {
        "resourceType": "Communication",
        "status": "completed",
        "sent": record.at.isoformat(),
        "sender": patient if body["direction"] == "in" else _who(record.author),
        "medium": [{"text": body["channel"]}],
        "topic": {"text": body["topic"]},
        "payload": [{"contentString": body["text"]}],
    }


_SPECIAL: Final = {
    RecordKind.REPRESENTATIVE: _representative,
    RecordKind.VISIT: _visit,
    RecordKind.TREATMENT_PLAN: _plan,
    RecordKind.CONSENT: _consent,
    RecordKind.CORRESPONDENCE: _message,
}


def _document(record: Record) -> Resource:
    code, words = _TYPES[record.kind]
    coding = [{"system": "http://loinc.org", "code": code, "display": words}] if code else []
    common: Resource = {
        "status": "final",
        "type": {"coding": coding, "text": words},
        "date": record.at.isoformat(),
        "author": [_who(record.author)],
        "relatesTo": [_replaces(record)] if record.corrects else [],
    }
    if record.kind in _AS_FILES:
        data = base64.b64encode("\n".join(f"{n}: {_told(v)}" for n, v in record.body.items()).encode()).decode()
        content = [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}]
        return {"resourceType": "DocumentReference", **common, "status": "current", "content": content}
    sections = [_section(name, value) for name, value in record.body.items() if value not in (None, "")]
    title = str(record.body.get("title") or words)
    return {"resourceType": "Composition", **common, "title": title, "section": sections}


def _replaces(record: Record) -> Resource:
    kind = "DocumentReference" if record.kind in _AS_FILES else "Composition"
    target = {"reference": f"{kind}/{str(record.corrects).lower()}"}
    return {"code": "replaces", "target" if record.kind in _AS_FILES else "targetReference": target}


def _section(name: str, value: Json) -> Resource:
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in _told(value).split("\n"))
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'
    return {"title": HEADINGS.get(name, name), "text": {"status": "generated", "div": div}}


def _told(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _some(**values: Json) -> Mapping[str, Json]:
    return {name: value for name, value in values.items() if value is not None}
