"""Entries as AuditEvents: they conform to R4 and BALP, say everything that s. 10 asks, and mask staff unless asked."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from vault.accesslog.auditevent import DATA_SUBJECT, DISCLOSURE, PATIENT_READ, READ, Provider, audit_event
from vault.accesslog.entries import Access, Marks, key_ref, seal_access
from vault.accesslog.log import LoggedAccess
from vault.domain.roles import Purpose
from vault.testing.accesslog import CASE, ORIGIN, SUBJECT, look, stored
from vault.testing.balp import faults

PROVIDER = Provider("Esimerkkiklinikka Oy", ORIGIN)
USE = bytes(range(16))


def logged(access: Access, index: int = 17) -> LoggedAccess:
    assert key_ref(access.subject, access.case, access.at)
    tag = None if access.subject is None else bytes(16)
    sealed = stored(seal_access(access, bytes(32), Marks(tag, bytes(16), USE), bytes(16)))
    return LoggedAccess(index, sealed.leaf, access)


def event(access: Access, *, staff: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(audit_event(logged(access), PROVIDER, staff=staff)))
    return made


def disclosure(**changes: Any) -> Access:
    values = {
        "actor": "office:sealer",
        "actor_name": "DSR Vault, sealer",
        "role": "machine",
        "purpose": Purpose.DELIVER,
    }
    return look(**{**values, "recipient": DATA_SUBJECT, **changes})


SHAPES: dict[str, tuple[Access, str | None]] = {
    "a look at a patient": (look(), PATIENT_READ),
    "an audit": (look(purpose=Purpose.AUDIT, role="auditor,dpo"), PATIENT_READ),
    "an emergency": (look(emergency="Puhelu sairaalasta"), PATIENT_READ),
    "nobody known": (look(subject=None), READ),
    "no case": (look(case=None), PATIENT_READ),
    "neither": (look(subject=None, case=None), READ),
    "a refused look": (look(outcome="cap_reached"), None),
    "a disclosure": (disclosure(), DISCLOSURE),
    "a disclosure to another": (disclosure(recipient="Hovioikeus"), DISCLOSURE),
    "a disclosure by a person": (disclosure(actor="staff:7", actor_name="Aino", role="registrar"), DISCLOSURE),
    "a disclosure about nobody known": (disclosure(subject=None), None),
}


@pytest.mark.parametrize("staff", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_every_entry_conforms(name: str, staff: bool) -> None:
    access, profile = SHAPES[name]
    made = event(access, staff=staff)
    assert faults(made) == []
    assert made.get("meta", {}).get("profile") == (None if profile is None else [profile])


@pytest.mark.parametrize("name", SHAPES)
def test_exactly_one_patient_entity_where_the_subject_is_known(name: str) -> None:
    access, _ = SHAPES[name]
    patients = [entity for entity in event(access)["entity"] if entity["type"]["code"] == "1"]
    assert [patient["what"]["identifier"]["value"] for patient in patients] == [SUBJECT] * (access.subject is not None)


def user_of(made: dict[str, Any]) -> dict[str, Any]:
    (user,) = (agent for agent in made["agent"] if agent["requestor"])
    assert isinstance(user, dict)
    return user


def test_all_that_the_law_asks_stands_in_a_look() -> None:
    made = event(look(emergency="Puhelu sairaalasta", count=3, role="clinician,dpo"))
    user = user_of(made)
    assert made["recorded"] == "2026-11-20T08:30:15.250000Z"
    assert (made["outcome"], made["source"]["observer"]["display"]) == ("0", "Esimerkkiklinikka Oy")
    assert (user["name"], user["who"]["identifier"]["value"]) == ("Aino Lääkäri", "staff:7")
    assert [role["coding"][0]["code"] for role in user["role"]] == ["clinician", "dpo"]
    codes = [[coding["code"] for coding in purpose["coding"]] for purpose in made["purposeOfEvent"]]
    assert codes == [["PATRQT", "review"], ["BTG"]]
    assert made["purposeOfEvent"][1]["text"] == "Puhelu sairaalasta"
    entities = {entity["type"]["code"]: entity for entity in made["entity"]}
    assert entities["4"]["what"]["identifier"]["value"] == CASE
    assert entities["XrequestId"]["what"]["identifier"]["value"] == USE.hex()
    details = [(detail["type"], detail.get("valueString")) for detail in entities["2"]["detail"]]
    assert details == [
        ("log-index", "17"),
        ("legal-ground", "GDPR Article 15"),
        ("count", "3"),
        ("kind", "identity"),
        ("kind", "visit"),
        ("leaf-hash", None),
    ]


def test_a_disclosure_names_recipient_and_discloser() -> None:
    made = event(disclosure())
    to = next(agent for agent in made["agent"] if agent["type"]["coding"][0]["code"] == "110152")
    assert to["who"] == {"type": "Patient", "identifier": {"system": "urn:dsr-vault:subject", "value": SUBJECT}}
    assert user_of(made)["name"] == "DSR Vault, sealer"
    assert made["subtype"][0]["code"] == "disclose"
    other = event(disclosure(recipient="Hovioikeus"))
    assert {"display": "Hovioikeus"} in [agent["who"] for agent in other["agent"]]


def test_a_refused_look_says_why_and_claims_no_profile() -> None:
    made = event(look(outcome="cap_reached"))
    assert (made["outcome"], made["outcomeDesc"]) == ("4", "cap_reached")
    assert "meta" not in made


@pytest.mark.parametrize("name", SHAPES)
def test_without_staff_no_person_is_named(name: str) -> None:
    made = event(SHAPES[name][0], staff=False)
    text = json.dumps(made, ensure_ascii=False)
    assert "Aino" not in text
    assert "staff:7" not in text
    assert "Puhelu" not in text
    assert user_of(made)["role"]


def test_a_machine_is_named_without_staff() -> None:
    assert user_of(event(disclosure(), staff=False))["name"] == "DSR Vault, sealer"


def _agent(made: dict[str, Any], code: str) -> dict[str, Any]:
    found = next(agent for agent in made["agent"] if agent["type"]["coding"][0]["code"] == code)
    assert isinstance(found, dict)
    return found


def _twice(made: dict[str, Any], number: int) -> None:
    made["entity"].append(made["entity"][number])


READ_BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no time": lambda made: made.pop("recorded"),
    "a day only": lambda made: made.update(recorded="2026-11-20"),
    "failed": lambda made: made.update(outcome="8"),
    "an update": lambda made: made.update(action="U"),
    "another type": lambda made: made["type"].update(code="110106"),
    "no subtype": lambda made: made.pop("subtype"),
    "no client": lambda made: made["agent"].remove(_agent(made, "110152")),
    "two servers": lambda made: made["agent"].append(_agent(made, "110153")),
    "a server nowhere": lambda made: _agent(made, "110153").pop("network"),
    "a user on a network": lambda made: _agent(made, "IRCP").update(network={"address": "x"}),
    "a user who did not ask": lambda made: _agent(made, "IRCP").update(requestor=False),
    "a user nameless": lambda made: _agent(made, "IRCP").pop("who"),
    "two patients": lambda made: _twice(made, 0),
    "no patient": lambda made: made["entity"].pop(0),
    "a patient by another role": lambda made: made["entity"][0]["role"].update(code="2"),
    "no reference to a patient": lambda made: made["entity"][0]["what"].update(type="Device"),
    "no data": lambda made: made["entity"].pop(1),
    "data twice": lambda made: _twice(made, 1),
    "an element of R5": lambda made: made.update(occurredDateTime="2026-11-20"),
    "an empty list": lambda made: made.update(purposeOfEvent=[]),
    "null": lambda made: made["source"].update(site=None),
    "no observer": lambda made: made["source"].pop("observer"),
    "requestor as text": lambda made: made["agent"][0].update(requestor="false"),
    "a name and a query": lambda made: made["entity"][1].update(name="a", query="Yg=="),
    "another profile": lambda made: made["meta"].update(profile=["https://example.org/other"]),
    "an id with a slash": lambda made: made.update(id="a/b"),
}


@pytest.mark.parametrize("name", READ_BREAKS)
def test_the_checker_notices(name: str) -> None:
    made = event(look())
    broken = copy.deepcopy(made)
    READ_BREAKS[name](broken)
    assert faults(made) == []
    assert faults(broken)


DISCLOSURE_BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "the source is another": lambda made: _agent(made, "110153").update(who={"display": "elsewhere"}),
    "no recipient": lambda made: made["agent"].remove(_agent(made, "110152")),
    "no disclosure": lambda made: made["subtype"].pop(0),
    "no outcome": lambda made: made.pop("outcome"),
    "no patient": lambda made: made["entity"].pop(0),
}


@pytest.mark.parametrize("name", DISCLOSURE_BREAKS)
def test_the_checker_notices_in_a_disclosure(name: str) -> None:
    broken = event(disclosure())
    DISCLOSURE_BREAKS[name](broken)
    assert faults(broken)


def _published(profile: str, **changes: Any) -> dict[str, Any]:
    """Give the guide's own example of a server that recorded a read of a list (ex-auditBasicReadServer)."""
    terms, dicom = "http://terminology.hl7.org/CodeSystem/", "http://dicom.nema.org/resources/ontology/DCM"
    device = {"reference": "Device/ex-device"}
    return {
        "resourceType": "AuditEvent",
        "meta": {"profile": [profile]},
        "type": {"system": f"{terms}audit-event-type", "code": "rest"},
        "action": "R",
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "recorded": "2020-04-29T09:49:00.000Z",
        "outcome": "0",
        "source": {"site": "server.example.com", "observer": device},
        "agent": [
            {
                "type": {"coding": [{"system": dicom, "code": "110153"}]},
                "requestor": False,
                "who": device,
                "network": {"address": "http://server.example.com/fhir", "type": "5"},
            },
            {
                "type": {"coding": [{"system": dicom, "code": "110152"}]},
                "requestor": False,
                "who": {"display": "myMachine.example.org"},
                "network": {"address": "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "type": "2"},
            },
        ],
        "entity": [
            {
                "type": {"system": f"{terms}audit-entity-type", "code": "1"},
                "role": {"system": f"{terms}object-role", "code": "1"},
                "what": {"reference": "Patient/ex-patient"},
            },
            {
                "type": {"system": f"{terms}audit-entity-type", "code": "2"},
                "role": {"system": f"{terms}object-role", "code": "4"},
                "what": {"reference": "List/ex-list"},
            },
        ],
        **changes,
    }


def test_the_guides_own_examples_conform() -> None:
    assert faults(_published(PATIENT_READ)) == []
    terms, dicom = "http://terminology.hl7.org/CodeSystem/", "http://dicom.nema.org/resources/ontology/DCM"
    disclosed = [{"system": f"{terms}iso-21089-lifecycle", "code": "disclose"}]
    assert faults(_published(DISCLOSURE, type={"system": dicom, "code": "110106"}, subtype=disclosed)) == []
    assert faults(_published(DISCLOSURE))
