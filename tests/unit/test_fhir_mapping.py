"""What each FHIR R4 resource becomes: kind, fields, author, time, and what is kept beside them."""

import base64
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from vault.domain.records import Record, RecordKind
from vault.errors import RefusedError
from vault.package.labels import shown_fields
from vault.register.fhir.authors import Authors
from vault.register.fhir.chart import Chart
from vault.register.fhir.entry import UNKNOWN_TIME
from vault.register.fhir.references import identifier_in, normal, persons
from vault.register.fhir.source import FhirReader, Source
from vault.register.tally import Tally
from vault.testing.fhir_export import patient_resource
from vault.testing.patients import patients

WHO = next(patients(3, 1))
ME = {"reference": "Patient/me"}
DOCTOR = {"reference": "Practitioner/d"}
ROLE = {"reference": "PractitionerRole/r"}
LOINC = "http://loinc.org"
NUMBER = {"system": "urn:oid:1.2.246.537.26", "value": "A-1"}
OWN_CODE = {"system": "urn:oid:1.2.246.21", "value": "131052-308T"}


class Refs:
    """References that are only hashes."""

    def base(self, name: str) -> str:
        return f"F-{sha256(name.encode()).hexdigest()[:12]}"

    def tag(self, content: bytes) -> str:
        return sha256(content).hexdigest()[:8]


def authors() -> Authors:
    known = Authors()
    person = {"resourceType": "Practitioner", "id": "d", "identifier": [OWN_CODE, NUMBER], "name": [{"text": "Anna A"}]}
    known.learn(person, None, None)
    known.learn({"resourceType": "Practitioner", "id": "e", "identifier": [OWN_CODE]}, None, None)
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": DOCTOR, "code": [{"text": "psykologi"}]}
    known.learn(role, None, None)
    return known


def chart(*resources: dict[str, Any], present: tuple[str, ...] = ()) -> tuple[list[Record], Tally]:
    tally = Tally()
    made = Chart("P-1", FhirReader(Refs(), authors()), tally, own=["Patient/me"], present=present)
    return made.records([Source(json.loads(json.dumps(resource))) for resource in resources]), tally


def one(kind: str, **body: Any) -> Record:
    about = "patient" if kind in ("RelatedPerson", "Consent") else "subject"
    (record,), _ = chart({"resourceType": kind, "id": "x", about: ME, **body})
    return record


def section(title: str, text: str, code: str | None = None) -> dict[str, Any]:
    coding = {"code": {"coding": [{"system": LOINC, "code": code}]}} if code else {}
    return {"title": title, **coding, "text": {"status": "generated", "div": f"<div><p>{text}</p></div>"}}


def test_a_patient_is_identity_and_contacts() -> None:
    records, _ = chart({**patient_resource(WHO), "id": "me"})
    identity, contacts = records
    assert {name: identity.body[name] for name in WHO.identity.body} == dict(WHO.identity.body)
    assert {name: contacts.body[name] for name in WHO.contacts.body} == dict(WHO.contacts.body)
    assert identity.at == WHO.identity.at


def test_a_patient_keeps_what_has_no_field() -> None:
    more = {"deceasedBoolean": False, "multipleBirthInteger": 2, "photo": [{"data": "QUJD"}]}
    contact = [{"relationship": [{"text": "huoltaja"}], "name": {"family": "Äiti"}, "telecom": []}]
    records, tally = chart({**patient_resource(WHO), **more, "id": "me", "contact": contact})
    identity, _, guardian = records
    assert identity.body["other"] == {
        **more,
        "identifier": [{"system": "urn:oid:1.2.246.10.99999999.22"}],
        "communication": [{"language": {"coding": [{"code": WHO.language}]}, "preferred": True}],
    }
    assert (guardian.kind, guardian.body["role"], guardian.body["name"]) == ("representative", "guardian", "Äiti")
    assert tally.kept["Patient.photo.data"] == 1


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [
        ([], "code_missing"),
        ([{"system": "urn:oid:1.2.246.21", "value": "010101-0102"}], "hetu_check"),
        ([{"system": "urn:oid:1.2.246.21", "value": WHO.code}, OWN_CODE], "identity_conflict"),
        ([OWN_CODE], "identity_conflict"),  # not this birth date
    ],
)
def test_a_patient_of_doubtful_identity_is_refused(identifiers: list[dict[str, str]], code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        chart({**patient_resource(WHO), "id": "me", "identifier": identifiers})
    assert caught.value.code == code
    assert WHO.code not in str(caught.value)


def test_an_old_code_is_kept_and_does_not_stand() -> None:
    patient = patient_resource(WHO)
    patient["identifier"].append({**OWN_CODE, "use": "old"})
    (identity, _), _ = chart({**patient, "id": "me"})
    assert identity.body["personal_identity_code"] == WHO.code
    assert OWN_CODE["value"] in json.dumps(identity.body["other"])


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("finished", "kept"),
        ("fulfilled", "kept"),
        ("cancelled", "cancelled"),
        ("noshow", "no_show"),
        ("planned", "planned"),
    ],
)
def test_a_visit(status: str, shown: str) -> None:
    visit = one(
        "Encounter",
        status=status,
        **{"class": {"code": "VR"}},
        period={"start": "2024-05-02T10:00:00+03:00", "end": "2024-05-02T10:45:00+03:00"},
        participant=[{"individual": ROLE}],
        reasonCode=[{"text": "sairaus"}],
        episodeOfCare=[{"reference": "EpisodeOfCare/7"}],
        meta={"lastUpdated": "2024-05-02T08:00:00Z"},
    )
    assert visit.kind is RecordKind.VISIT
    told = {name: visit.body[name] for name in ("status", "mode", "starts_at", "reason", "service_event")}
    assert told == {
        "status": shown,
        "mode": "video",
        "starts_at": "2024-05-02T10:00:00+03:00",
        "reason": "sairaus",
        "service_event": "EpisodeOfCare/7",
    }
    assert (visit.author.name, visit.author.identifier, visit.author.title) == ("Anna A", "A-1", "psykologi")
    assert visit.at == datetime(2024, 5, 2, 8, tzinfo=UTC)


def test_another_patient_at_the_same_visit_stays_out() -> None:
    other = {"actor": {"reference": "Patient/other", "display": "Toinen Henkilö"}}
    (visit,), tally = chart(
        {"resourceType": "Appointment", "id": "x", "status": "noshow", "participant": [{"actor": ME}, other]}
    )
    assert "Toinen" not in json.dumps(visit.body)
    assert tally.others == {"Appointment.participant": 1}


@pytest.mark.parametrize(
    ("coding", "words", "kind"),
    [
        ("11506-3", "", RecordKind.SESSION_ENTRY),
        ("57133-1", "", RecordKind.REFERRAL),
        (None, "Loppulausunto", RecordKind.STATEMENT),
        (None, "Läkarintyg", RecordKind.CERTIFICATE),
        (None, "Lähete erikoissairaanhoitoon", RecordKind.REFERRAL),
        (None, "Konsultaatiovastaus", RecordKind.CONSULTATION),
        (None, "B-lausunto (Kela)", RecordKind.KELA_DOCUMENT),
        (None, "Brev till patienten", RecordKind.CORRESPONDENCE),
        (None, "Kolmannen henkilön asiakirja", RecordKind.THIRD_PERSON_DOCUMENT),
        (None, "Treatment plan", RecordKind.TREATMENT_PLAN),
    ],
)
def test_a_documents_type_tells_its_kind(coding: str | None, words: str, kind: RecordKind) -> None:
    codes = [{"system": LOINC, "code": coding}] if coding else []
    assert one("Composition", type={"coding": codes, "text": words}, section=[section("", "teksti")]).kind is kind


def test_a_document_of_no_known_type_is_a_session_entry_and_is_counted() -> None:
    (record,), tally = chart({"resourceType": "Composition", "id": "x", "subject": ME, "type": {"text": "Muu"}})
    assert record.kind is RecordKind.SESSION_ENTRY
    assert tally.missing["Composition.type"] == 1


def test_sections_fill_the_fields_that_their_headings_name() -> None:
    entry = one(
        "Composition",
        type={"text": "Käyntikertomus"},
        date="2024-05-02",
        author=[DOCTOR, ROLE],
        section=[
            section("Tulosyy", "uni &amp; huoli"),
            section("Nuvarande status", "lugn"),
            {**section("Diagnoosi", "F41.1"), "section": [section("Outo otsikko", "sisältö")]},
            section("", "suunnitelma", "18776-5"),
        ],
    )
    assert entry.body["reason"] == "uni & huoli"
    assert entry.body["state"] == "lugn"
    assert entry.body["plan"] == "suunnitelma"
    assert entry.body["diagnosis_text"] == "F41.1"
    assert entry.body["observations"] == "Outo otsikko\nsisältö"
    assert entry.body["written"] == "2024-05-02"
    assert entry.at == datetime(2024, 5, 1, 21, tzinfo=UTC)
    assert entry.body["further_authors"] == ["Anna A, psykologi (A-1)"]


def test_attachments_are_text_or_files_as_they_are() -> None:
    text = base64.b64encode("Tämä on todistus".encode()).decode()
    content = [
        {"attachment": {"contentType": "text/plain", "data": text, "title": "Todistus"}},
        {"attachment": {"contentType": "application/pdf", "data": "JVBERi0="}},
        {"attachment": {"contentType": "application/pdf", "url": "Binary/1"}},
    ]
    record = one("DocumentReference", type={"text": "Todistus"}, content=content, date="2024-05-02T10:00:00Z")
    assert record.body["text"] == "Tämä on todistus"
    assert record.body["attachments"] == [{"content_type": "application/pdf", "data": "JVBERi0="}]
    assert "Binary/1" in json.dumps(record.body["other"])


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (
            "Condition",
            {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "F41.1"}], "text": "ahdistus"}},
            ("session_entry", {"diagnosis": [{"code": "F41.1", "text": "ahdistus"}]}),
        ),
        (
            "Observation",
            {"code": {"text": "BDI"}, "valueQuantity": {"value": 19, "unit": "p"}, "note": [{"text": "huom"}]},
            ("session_entry", {"observations": "BDI: 19 p", "notes": "huom"}),
        ),
        (
            "QuestionnaireResponse",
            {"item": [{"text": "Uni?", "answer": [{"valueString": "huono"}, {"valueBoolean": True}]}]},
            ("session_entry", {"observations": "Uni?: huono; true"}),
        ),
        (
            "CarePlan",
            {"contained": [{"id": "g", "description": {"text": "nukkuu"}}], "goal": [{"reference": "#g"}]},
            ("treatment_plan", {"targets": ["nukkuu"]}),
        ),
        ("Goal", {"description": {"text": "nukkuu"}}, ("treatment_plan", {"targets": ["nukkuu"]})),
        (
            "Consent",
            {"scope": {"text": "Kanta"}, "provision": {"type": "deny", "period": {"start": "2024-01-01"}}},
            ("consent", {"type": "prohibition", "scope": "Kanta", "given_on": "2024-01-01"}),
        ),
        (
            "Communication",
            {"sender": ME, "payload": [{"contentString": "hei"}]},
            ("correspondence", {"direction": "in", "text": "hei"}),
        ),
        (
            "ServiceRequest",
            {"priority": "urgent", "reasonCode": [{"text": "arvio"}], "requester": DOCTOR},
            ("referral", {"urgency": "urgent", "question": "arvio"}),
        ),
        (
            "RelatedPerson",
            {"relationship": [{"text": "puoliso"}], "name": [{"text": "Pekka"}]},
            ("representative", {"role": "next_of_kin", "relation": "puoliso", "name": "Pekka"}),
        ),
        ("Immunization", {"vaccineCode": {"text": "x"}}, ("session_entry", {"resource": "Immunization"})),
        ("Invoice", {"totalNet": {"value": 1}}, ("invoice", {"other": {"totalNet": {"value": 1}}})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_resources_and_their_fields(kind: str, body: dict[str, Any], wanted: tuple[str, dict[str, Any]]) -> None:
    record = one(kind, **body)
    assert record.kind.value == wanted[0]
    assert {name: record.body.get(name) for name in wanted[1]} == wanted[1]


def test_history_of_use_is_kept_with_who_looked() -> None:
    (record,), _ = chart(
        {
            "resourceType": "AuditEvent",
            "id": "x",
            "recorded": "2024-05-02T10:00:00Z",
            "purposeOfEvent": [{"text": "hoito"}],
            "agent": [{"requestor": True, "who": DOCTOR}],
            "entity": [{"what": ME}, {"what": {"reference": "Patient/other", "display": "Toinen"}}],
        }
    )
    assert (record.kind, record.body["type"], record.body["legal_ground"]) == ("consent", "use", "hoito")
    assert record.author.name == "Anna A"
    assert "Toinen" not in json.dumps(record.body)


def test_what_is_missing_is_said_and_not_invented() -> None:
    (record,), tally = chart({"resourceType": "Condition", "id": "x", "subject": ME})
    assert record.at == UNKNOWN_TIME
    assert record.body["written"] == "unknown"
    assert (record.author.name, record.author.identifier, record.author.title) == ("unknown",) * 3
    assert tally.missing == {"Condition.time": 1, "Condition.author": 1}


def test_a_professionals_own_identity_code_is_never_an_identifier() -> None:
    record = one("Condition", recorder={"reference": "Practitioner/e"})
    assert record.author.identifier == "unknown"


def test_a_contained_professional_may_write_twice() -> None:
    inside = {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Berg", "given": ["Bo"]}]}
    record = one("Condition", contained=[inside], recorder={"reference": "#p"}, asserter={"reference": "#p"})
    assert record.author.name == "Bo Berg"
    assert record.body["other"] == {"contained": [inside]}


def test_entered_in_error_stays_readable_and_says_so() -> None:
    record = one("Observation", status="entered-in-error", code={"text": "BDI"})
    assert record.body["entered_in_error"] is True
    assert record.body["observations"] == "BDI"


def document(ident: str, date: str, replaces: str | None = None, **more: Any) -> dict[str, Any]:
    related = {"relatesTo": [{"code": "replaces", "targetReference": {"reference": replaces}}]} if replaces else {}
    return {"resourceType": "Composition", "id": ident, "subject": ME, "date": date, **related, **more}


def test_a_replacement_corrects_what_it_replaces_in_whatever_order() -> None:
    a, b = document("a", "2024-01-01"), document("b", "2024-01-02", "Composition/a")
    c = document("c", "2024-01-03", "Composition/b")
    for order in ([a, b, c], [c, b, a], [b, c, a]):
        records, tally = chart(*order)
        by_time = sorted(records, key=lambda record: record.at)
        assert [record.corrects for record in by_time] == [None, by_time[0].ref, by_time[1].ref]
        assert not tally.missing.get("Composition.relatesTo.target")


def test_a_ring_of_replacements_and_a_lost_target_end() -> None:
    a, b = document("a", "2024-01-01", "Composition/b"), document("b", "2024-01-02", "Composition/a")
    records, tally = chart(a, b, document("c", "2024-01-03", "Composition/gone"))
    assert len(records) == 3
    assert tally.missing["Composition.relatesTo.target"] == 2
    assert any(record.body.get("replaces") == ["Composition/gone"] for record in records)


def test_versions_of_one_resource_are_a_chain() -> None:
    versions = [
        document("a", f"2024-01-0{n}", meta={"versionId": str(n), "lastUpdated": f"2024-01-0{n}T00:00:00Z"})
        for n in (2, 1, 3)
    ]
    records, _ = chart(*versions)
    assert [record.corrects for record in records] == [None, records[0].ref, records[1].ref]
    again, _ = chart(*versions, present=tuple(record.ref for record in records))
    assert again == []


@pytest.mark.parametrize(
    ("reference", "full_url", "base", "wanted"),
    [
        ("Patient/1", None, None, "Patient/1"),
        ("Patient/1/_history/3", None, None, "Patient/1"),
        ("Patient/1", "https://a/fhir/Observation/2", None, "https://a/fhir/Patient/1"),
        ("https://b/fhir/Patient/1", "https://a/fhir/Observation/2", None, "https://b/fhir/Patient/1"),
        ("https://a/fhir/Patient/1", None, "https://a/fhir", "Patient/1"),
        ("https://a/fhir/Patient/1", None, "https://a/fhir/", "Patient/1"),
        ("https://a/fhirX/Patient/1", None, "https://a/fhir", "https://a/fhirX/Patient/1"),
        ("urn:uuid:1", "urn:uuid:2", None, "urn:uuid:1"),
        ("Patient/1", "urn:uuid:2", None, "Patient/1"),
    ],
)
def test_references_are_spelled_in_one_way(reference: str, full_url: str | None, base: str | None, wanted: str) -> None:
    assert normal(reference, full_url, base) == wanted


def test_a_practitioner_is_no_patient() -> None:
    observed = {"resourceType": "Observation", "subject": {"reference": "Device/1"}, "performer": [DOCTOR]}
    assert persons(observed, None) == []


@pytest.mark.parametrize(
    ("ident", "personal"),
    [
        ("131052-308T", True),
        ("pat.131052-308T", True),
        ("131052-308t", True),
        ("550e8400-e29b-41d4-a716-446655440000", False),
        ("131052-3089", False),
        ("a/b", True),
        ("", True),
    ],
)
def test_an_id_that_holds_a_code_is_noticed(ident: str, personal: bool) -> None:
    assert identifier_in(ident) is personal


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_a_file_is_named_in_a_document_and_whole_in_its_data(language: str) -> None:
    content = [{"attachment": {"contentType": "application/pdf", "data": "QUJD" * 1000}}]
    record = one("DocumentReference", type={"text": "Todistus"}, content=content)
    shown = json.dumps(shown_fields(record.kind, record.body, language))
    assert "3000" in shown
    assert "QUJDQUJD" not in shown
    assert record.body["attachments"] == [{"content_type": "application/pdf", "data": "QUJD" * 1000}]
