"""The log extract: dates, purposes and roles; never a name of staff."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vault.accesslog.entries import Access
from vault.domain.records import RecordKind
from vault.domain.roles import Purpose
from vault.package.documents import Document
from vault.package.logextract import render_log_extract
from vault.testing.answers import CASE, MADE, heading, shows

AT = datetime(2026, 11, 3, 7, 5, tzinfo=UTC)


def look(role: str = "clinician", purpose: Purpose = Purpose.REVIEW, **changes: Any) -> Access:
    values: dict[str, Any] = {"kinds": ("visit", "session_entry"), "at": AT, "case": CASE, **changes}
    return Access(
        actor="u-17",
        actor_name="Salli Salainen",
        role=role,
        purpose=purpose,
        legal_ground="Act 703/2023 s. 10",
        subject="P-1",
        **values,
    )


def extract(*looks: Access, language: str = "fi") -> Document:
    return render_log_extract(heading(language), looks, MADE)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "fi",
            [
                "3.11.2026 klo 9.05",
                "terveydenhuollon ammattihenkilö",
                "tietojen antamisesta päättäminen",
                "Käynti, Istunto",
            ],
        ),
        ("sv", ["3.11.2026 kl. 9.05", "beslut om utlämnande", "Besök, Session"]),
        (
            "en",
            ["3 November 2026 at 09:05", "health-care professional", "deciding what may be given", "Visit, Session"],
        ),
    ],
)
def test_time_role_purpose_and_data_are_told(language: str, expected: list[str]) -> None:
    assert shows(extract(look(), language=language).pdf, *expected)


def test_names_and_identifiers_of_staff_stay_out() -> None:
    made = extract(look())
    assert not shows(made.pdf, "Salli")
    assert not shows(made.pdf, "u-17")
    assert b"Salli" not in made.json()
    assert b"u-17" not in made.json()


def test_a_machine_an_emergency_a_denied_and_a_repeated_look_are_told_as_such() -> None:
    made = extract(
        look("machine", Purpose.COLLECT, kinds=tuple(kind.value for kind in RecordKind)),
        look("clinician,dpo", emergency="Salli soitti"),
        look(outcome="no_receipt"),
        look(count=4),
    )
    assert shows(made.pdf, "automaattinen käsittely", "kaikki rekisterin tiedot", "hätätilanne", "estetty", "4 kertaa")
    assert shows(made.pdf, "terveydenhuollon ammattihenkilö, tietosuojavastaava")
    assert not shows(made.pdf, "soitti")
    assert b"soitti" not in made.json()


def test_the_data_hold_every_use_in_order() -> None:
    first, second = look(at=AT), look("machine", Purpose.COLLECT, at=AT - timedelta(days=1))
    data = json.loads(extract(first, second).json())
    assert [use["purpose"] for use in data["uses"]] == ["collect", "review"]
    assert data["uses"][1] == {
        "at": "2026-11-03T07:05:00Z",
        "role": "clinician",
        "purpose": "review",
        "legal_ground": "Act 703/2023 s. 10",
        "kinds": ["visit", "session_entry"],
        "count": 1,
        "outcome": "granted",
        "emergency": False,
    }
    assert (data["case"], data["until"]) == (CASE, "2026-11-20T09:00:00Z")


def test_an_unused_register_gives_a_sentence_and_no_table() -> None:
    made = extract()
    assert shows(made.pdf, "ei ollut merkintöjä")
    assert not shows(made.pdf, "Tarkoitus")


def test_what_is_unknown_is_shown_under_its_own_name() -> None:
    assert shows(extract(look("bishop", kinds=("dream",))).pdf, "bishop", "dream")
