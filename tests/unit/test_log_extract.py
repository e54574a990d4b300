"""The log extract: dates, purposes, roles and recipients; names of staff on a log request only."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from vault.accesslog.auditevent import DATA_SUBJECT
from vault.accesslog.entries import Access
from vault.accesslog.log import LoggedAccess
from vault.domain.records import RecordKind
from vault.domain.roles import Purpose
from vault.package.documents import Document
from vault.package.logextract import LogUses, render_log_extract
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


def extract(*looks: Access, language: str = "fi", **told: Any) -> Document:
    entries = [LoggedAccess(number, b'{"v":1}', one) for number, one in enumerate(looks)]
    return render_log_extract(heading(language), LogUses(entries, MADE, **told))


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
        "name": None,
        "purpose": "review",
        "legal_ground": "Act 703/2023 s. 10",
        "kinds": ["visit", "session_entry"],
        "count": 1,
        "outcome": "granted",
        "emergency": False,
        "index": 0,
        "leaf": '{"v":1}',
        "proof": None,
    }
    assert (data["format"], data["case"], data["until"]) == ("dsr-log-extract/2", CASE, "2026-11-20T09:00:00Z")
    assert (data["complete_until"], data["completeness"], data["disclosures"]) == (None, None, [])


def test_an_unused_register_gives_a_sentence_and_no_table() -> None:
    made = extract()
    assert shows(made.pdf, "ei ollut merkintöjä")
    assert not shows(made.pdf, "Tarkoitus")


def test_what_is_unknown_is_shown_under_its_own_name() -> None:
    assert shows(extract(look("bishop", kinds=("dream",))).pdf, "bishop", "dream")


@pytest.mark.parametrize(
    ("language", "named"),
    [("fi", "Olet pyytänyt lokitiedot"), ("sv", "Du har begärt"), ("en", "You asked for the log data")],
)
def test_a_log_request_names_readers_of_the_last_two_years_only(language: str, named: str) -> None:
    old, new = look(at=AT - timedelta(days=2)), look(at=AT)
    made = extract(old, new, language=language, names_since=AT - timedelta(days=1))
    assert shows(made.pdf, "Salli Salainen", named)
    assert [use["name"] for use in json.loads(made.json())["uses"]] == [None, "Salli Salainen"]
    assert b"u-17" not in made.json()
    assert not shows(extract(old, language=language, names_since=AT).pdf, "Salli")
    assert not shows(extract(new, language=language).pdf, named)


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_up_to_which_day_it_is_complete_is_said(language: str) -> None:
    words = {
        "fi": ("päivän 19.11.2026 loppuun asti", "Vielä ei voida todistaa"),
        "sv": ("till och med 19.11.2026", "Det kan ännu inte bevisas"),
        "en": ("up to the end of 19 November 2026", "It can't be proved yet"),
    }[language]
    proved = extract(look(), language=language, complete=date(2026, 11, 19), proof={"day": "log-day.tlog-proof"})
    unproved = extract(look(), language=language)
    assert shows(proved.pdf, words[0])
    assert not shows(proved.pdf, words[1])
    assert shows(unproved.pdf, words[1])
    data = json.loads(proved.json())
    assert (data["complete_until"], data["completeness"]) == ("2026-11-19", {"day": "log-day.tlog-proof"})


def test_proof_files_are_named_with_the_uses_they_prove() -> None:
    made = extract(look(), look(at=AT + timedelta(days=1)), proofs={1: "log-entry-1.tlog-proof"})
    assert shows(made.pdf, ".tlog-proof")
    assert [use["proof"] for use in json.loads(made.json())["uses"]] == [None, "log-entry-1.tlog-proof"]
    assert not shows(extract(look()).pdf, ".tlog-proof")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("fi", ["Kenelle tietojasi on annettu", "sinä", "Käynti, lokitiedot", "GDPR 15", "Hovioikeus"]),
        ("sv", ["Till vem dina uppgifter har lämnats", "du", "Besök, logguppgifter", "Hovioikeus"]),
        ("en", ["To whom your data was given", "you", "Visit, log data", "Hovioikeus"]),
    ],
)
def test_disclosures_stand_apart_with_recipient_and_ground(language: str, expected: list[str]) -> None:
    given = look("machine", Purpose.DELIVER, kinds=("visit", "access_log"), recipient=DATA_SUBJECT)
    other = look("machine", Purpose.DELIVER, recipient="Hovioikeus", at=AT + timedelta(days=1))
    made = extract(look(), replace(given, legal_ground="GDPR 15"), other, language=language)
    assert shows(made.pdf, *expected)
    data = json.loads(made.json())
    assert [use["purpose"] for use in data["uses"]] == ["review"]
    assert [one["recipient"] for one in data["disclosures"]] == [DATA_SUBJECT, "Hovioikeus"]
    assert not shows(extract(look(), language=language).pdf, expected[0])
