"""Patient and RelatedPerson (R4 s. 8.1, 8.3): identity, contact details, and who may stand for the patient.

The personal identity code is the identifier of the system ``urn:oid:1.2.246.21`` (HL7 Finland's base
profile of Patient, as recalled); the customer number is another identifier. Mail keys are never taken
from an import: a key is bound here only after a proof of identity.
"""

import re
from datetime import date
from typing import Final

from vault.domain.hetu import PersonalIdentityCode, parse
from vault.domain.records import Author, RecordKind
from vault.errors import RefusedError
from vault.register.fhir.authors import CODE_SYSTEMS
from vault.register.fhir.elements import Elements
from vault.register.fhir.entry import UNKNOWN, Around, Entry
from vault.register.fhir.names import best, full_name, take_address, take_contact, take_name

_LANGUAGES: Final = ("fi", "sv", "en")
_ROLES: Final = (
    ("guardian", re.compile(r"guard|huoltaj|edunvalvo|vårdnadshav|förmyndar|intressebevak", re.IGNORECASE)),
    ("payer", re.compile(r"payer|maksaj|betalar|\bGUAR\b|guarantor", re.IGNORECASE)),
)


def code_of(patient: Elements, *, take: bool = False) -> PersonalIdentityCode:
    """Return the patient's personal identity code.

    :raises RefusedError: there is none, there are several, or it does not fit the birth date.
    :raises HetuError: it is no personal identity code.
    """
    fitting = [item for item in patient.children("identifier") if item.rest.get("system") in CODE_SYSTEMS]
    values = {str(item.rest.get("value") or "").strip().upper() for item in fitting if item.rest.get("use") != "old"}
    values.discard("")
    if not values:
        raise RefusedError("code_missing", "a patient needs a Finnish personal identity code (urn:oid:1.2.246.21)")
    if len(values) > 1:
        raise RefusedError("identity_conflict", "a patient has several personal identity codes; say which one stands")
    code = parse(values.pop(), date.max)
    born = patient.rest.get("birthDate")
    if isinstance(born, str) and born != code.birth_date.isoformat()[: len(born)]:
        raise RefusedError("identity_conflict", "a patient's birth date is not the one that the code spells")
    if take:
        for item in fitting:
            item.drop(*(("system", "use", "value", "type") if item.rest.get("use") != "old" else ()))
    return code


def identity(patient: Elements, around: Around) -> list[Entry]:
    """Return a patient's identity, contact details, and the persons that her resource names beside her.

    :raises RefusedError: as :func:`code_of`.
    """
    code = code_of(patient, take=True)
    patient.drop("birthDate", "active") if patient.rest.get("active") is not False else patient.drop("birthDate")
    name = best(patient.children("name"))
    given, family = take_name(name) if name is not None else ("", "")
    number, language = _customer_number(patient), _language(patient)
    known = {"name.given": given, "name.family": family, "identifier": number, "communication": language}
    around.tally.miss("Patient", [name for name, value in known.items() if not value])
    who = Entry(RecordKind.IDENTITY, {"given_names": given or UNKNOWN, "family_name": family})
    who.put(personal_identity_code=code.value, customer_number=number, birth_date=code.birth_date.isoformat())
    who.put(language=language)
    return [who, _contacts(patient), *_persons_named(patient)]


def _customer_number(patient: Elements) -> str | None:
    others = [item for item in patient.children("identifier") if item.rest.get("system") not in CODE_SYSTEMS]
    marked = [item for item in others if "MR" in item.coded("type")]
    for item in marked or [item for item in others if item.rest.get("use") != "old"]:
        value = item.text("value")
        if value:
            return value
    return None


def _language(patient: Elements) -> str | None:
    """Return the language of contact that we speak; another one stays where it is."""
    spoken = sorted(patient.children("communication"), key=lambda item: item.rest.get("preferred") is not True)
    for item in spoken:
        told = next((code.lower()[:2] for code in sorted(item.coded("language"))), "")
        if told in _LANGUAGES:
            return told
    return None


def _contacts(patient: Elements) -> Entry:
    entry = Entry(RecordKind.CONTACT_DETAILS, part="contacts")
    entry.body |= {"street": "", "postal_code": "", "city": "", "country": ""}
    entry.put(**take_address(patient))
    entry.body |= {"email": take_contact(patient, "email"), "phone": take_contact(patient, "phone"), "openpgp_keys": []}
    return entry


def _persons_named(patient: Elements) -> list[Entry]:
    entries = []
    for number, person in enumerate(patient.children("contact")):
        entry = representative(person, "relationship")
        entry.part = f"contact{number}"
        entry.put(name=full_name(person) or person.child("organization").text("display"))
        entries.append(entry)
    return entries


def related_person(person: Elements, around: Around) -> Entry:
    """Return a RelatedPerson as a representative, next of kin or payer."""
    entry = representative(person, "relationship")
    name = full_name(person)
    around.tally.miss("RelatedPerson", [] if name else ["name"])
    return entry.put(name=name or UNKNOWN, birth_date=person.text("birthDate"))


def representative(person: Elements, relation: str) -> Entry:
    """Take what tells who somebody is to the patient, and for how long."""
    codes = " ".join(sorted(person.coded(relation)))
    words = person.concept(relation)
    role = next((role for role, pattern in _ROLES if pattern.search(f"{codes} {words or ''}")), "next_of_kin")
    entry = Entry(RecordKind.REPRESENTATIVE, {"role": role})
    period = person.child("period")
    entry.put(relation=words, phone=take_contact(person, "phone"), email=take_contact(person, "email"))
    address = take_address(person)
    entry.put(address=", ".join(part for part in address.values() if part))
    return entry.put(valid_from=period.text("start"), valid_until=period.text("end"))


def as_author(patient: Elements, subject: str) -> Author:
    """Return the patient as the author of what she wrote herself, without taking anything."""
    name = best(patient.children("name"))
    given = " ".join(str(part) for part in (name.rest.get("given") or [])) if name is not None else ""
    family = str(name.rest.get("family") or "") if name is not None else ""
    return Author(f"{given} {family}".strip() or UNKNOWN, subject, "patient")


def parse_code(value: str) -> str:
    """Return a personal identity code as it is spelled.

    :raises HetuError: it is none.
    """
    return parse(value, date.max).value
