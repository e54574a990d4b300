"""What a patient register holds: record kinds (Act 703/2023 ss. 26-36) and one record's value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from vault.domain.private import Private

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class RecordKind(StrEnum):
    """Kinds of records; identity and contact details are sealed apart from the rest."""

    IDENTITY = "identity"
    CONTACT_DETAILS = "contact_details"
    REPRESENTATIVE = "representative"
    VISIT = "visit"
    SESSION_ENTRY = "session_entry"
    TREATMENT_PLAN = "treatment_plan"
    STATEMENT = "statement"
    CONSULTATION = "consultation"
    REFUSAL_OF_CARE = "refusal_of_care"
    MINOR_DECISION_ABILITY = "minor_decision_ability"
    THIRD_PERSON_DOCUMENT = "third_person_document"
    CERTIFICATE = "certificate"
    REFERRAL = "referral"
    KELA_DOCUMENT = "kela_document"
    CONSENT = "consent"
    CORRESPONDENCE = "correspondence"
    INVOICE = "invoice"
    INSPECTION = "inspection"  # the right of access was used


IDENTITY_KINDS = frozenset({RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS})
CARE_KINDS = frozenset(RecordKind) - IDENTITY_KINDS


@dataclass(frozen=True, slots=True)
class Author(Private):
    """Who wrote an entry (every entry has author, identifier, title and time)."""

    name: str
    identifier: str
    title: str


@dataclass(frozen=True, slots=True)
class Record(Private, shows=("ref", "kind")):
    """One item of the register.

    ``body`` holds plain JSON by field name; ``corrects`` names the record that this one
    corrects, which stays readable.
    """

    ref: str
    subject: str
    kind: RecordKind
    at: datetime
    author: Author
    body: Mapping[str, Json]
    corrects: str | None = None
