import re
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vault.domain.hetu import parse
from vault.domain.records import CARE_KINDS, Json, Record, RecordKind
from vault.register.form import render
from vault.testing.patients import UNTIL, Patient, _person, patients
from vault.testing.synthetic.dice import Dice
from vault.testing.synthetic.people import CLINICIANS, Person
from vault.testing.synthetic.prose import LANGUAGES, stock

DOCUMENTED = Path(__file__).parents[2] / "docs" / "register.md"


@cache
def everybody() -> list[Patient]:
    return list(patients(1))


def every_record() -> list[Record]:
    return [record for one in everybody() for record in (one.identity, one.contacts, *one.records)]


def texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in texts(item)]
        case Mapping():
            return [text for item in value.values() for text in texts(item)]
    return []


def test_two_hundred_are_made_in_three_seconds() -> None:
    began = time.process_time()

    made = list(patients(2))

    assert len(made) == 200
    assert time.process_time() - began < 3


def test_the_same_seed_gives_the_same_register() -> None:
    assert list(patients(7, 30)) == list(patients(7, 30))


def test_a_shorter_register_is_the_beginning_of_a_longer_one() -> None:
    assert list(patients(1, 12)) == everybody()[:12]


def test_another_seed_gives_other_people() -> None:
    codes = {one.code for one in everybody()}

    assert not {one.code for one in patients(2, 20)} & codes


def test_every_code_is_valid_artificial_and_somebodys_own() -> None:
    codes = [parse(one.code, UNTIL) for one in everybody()]

    assert {code.kind for code in codes} == {"temporary"}
    assert len({code.value for code in codes}) == 200
    assert [code.value for code in codes] == [one.code for one in everybody()]
    assert [str(code.birth_date) for code in codes] == [one.identity.body["birth_date"] for one in everybody()]


def test_a_code_that_is_in_use_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(seed: int, index: int, attempt: int) -> Person:
        return _person(seed, index if attempt else 0, attempt)

    monkeypatch.setattr("vault.testing.patients._person", crowded)

    assert len({one.code for one in patients(1, 4)}) == 4


def test_every_century_sign_of_the_living_occurs() -> None:
    assert {one.code[6] for one in everybody()} == set("-YXWVUABCDEF")


def test_two_persons_differ_in_the_sign_alone() -> None:
    one, other = everybody()[20], everybody()[21]

    assert one.code[:6] + one.code[7:] == other.code[:6] + other.code[7:]
    assert (one.code[6], other.code[6]) == ("-", "Y")
    assert one.subject != other.subject


def test_every_kind_occurs_among_the_first_ten() -> None:
    assert {record.kind for one in everybody()[:10] for record in one.records} == CARE_KINDS


def test_every_choice_that_a_field_has_occurs() -> None:
    seen: dict[str, set[Json]] = {}
    for record in every_record():
        for name in ("status", "mode", "type", "role", "direction", "channel", "urgency", "form"):
            value = record.body.get(name)
            if isinstance(value, str):
                seen.setdefault(f"{record.kind.value}.{name}", set()).add(value)
    assert seen == {
        "visit.status": {"kept", "cancelled", "late_cancelled", "no_show"},
        "visit.mode": {"in_person", "video", "phone"},
        "statement.type": {"interim", "closing"},
        "kela_document.type": {"b_statement", "therapy_feedback"},
        "consent.type": {"consent", "prohibition", "disclosure"},
        "representative.role": {"next_of_kin", "guardian", "payer"},
        "certificate.direction": {"given", "received"},
        "correspondence.direction": {"in", "out"},
        "correspondence.channel": {"mail", "letter", "text_message"},
        "referral.urgency": {"routine", "urgent"},
        "third_person_document.form": {"letter", "mail"},
    }


def fields_in_the_documentation() -> dict[str, set[str]]:
    sections = re.split(r"(?m)^### (\w+)$", DOCUMENTED.read_text(encoding="utf-8"))[1:]
    rows = re.compile(r"(?m)^\| (\w+) \|")
    return {kind: set(rows.findall(text)) - {"field"} for kind, text in zip(sections[::2], sections[1::2], strict=True)}


@pytest.mark.parametrize("kind", RecordKind)
def test_the_fields_are_those_of_the_documentation(kind: RecordKind) -> None:
    shapes = {frozenset(record.body) for record in every_record() if record.kind is kind}

    assert shapes == {frozenset(fields_in_the_documentation()[kind.value])}


def test_some_are_several_hundred_kilobytes() -> None:
    sizes = {one.index: sum(len(render(record)) for record in one.records) for one in everybody()}
    entries = {one.index: Counter(r.kind for r in one.records)[RecordKind.SESSION_ENTRY] for one in everybody()}

    assert [index for index in sizes if sizes[index] > 400_000] == [4, 54, 104, 154]
    assert all(entries[index] > 300 for index in (4, 54, 104, 154))
    assert min(sizes.values()) > 5_000


def test_languages_are_mixed() -> None:
    assert Counter(one.language for one in everybody()) == {"fi": 150, "sv": 40, "en": 10}


@pytest.mark.parametrize("language", LANGUAGES)
def test_diagnoses_stand_in_the_patients_language(language: str) -> None:
    known = {(theme["code"], theme["diagnosis"]) for theme in stock(language)["themes"].values()}
    entries = [r for one in everybody() if one.language == language for r in one.records if "diagnosis" in r.body]

    told: list[Any] = [diagnosis for record in entries for diagnosis in texts(record.body["diagnosis"])]

    assert set(zip(told[::2], told[1::2], strict=True)) <= known
    assert len(entries) > 50


def test_no_slot_is_left_open() -> None:
    assert not [text for record in every_record() for text in texts(record.body) if "{" in text or "}" in text]


def test_nothing_is_later_than_today_or_without_a_zone() -> None:
    assert {record.at.utcoffset() for record in every_record()} == {timedelta(hours=2), timedelta(hours=3)}
    assert max(record.at.date() for record in every_record()) <= UNTIL


def test_records_stand_oldest_first_under_references_of_their_own() -> None:
    for one in everybody():
        refs = [record.ref for record in (one.identity, one.contacts, *one.records)]
        assert len(set(refs)) == len(refs)
        assert [record.at for record in one.records] == sorted(record.at for record in one.records)
        assert {record.subject for record in one.records} == {one.subject}


def test_a_correction_follows_what_it_corrects() -> None:
    corrections = [(one, record) for one in everybody() for record in one.records if record.corrects]

    for one, correction in corrections:
        original = next(record for record in one.records if record.ref == correction.corrects)
        assert original.kind is correction.kind
        assert original.at < correction.at
    assert len(corrections) > 10


def test_only_a_minors_ability_to_decide_is_recorded() -> None:
    for one in everybody():
        adult = str(one.identity.body["birth_date"]) < "2008-10-30"
        assert adult != any(record.kind is RecordKind.MINOR_DECISION_ABILITY for record in one.records)


def test_a_dozen_clinicians_write() -> None:
    authors = {record.author for record in every_record()}

    assert len(CLINICIANS) == 12
    assert set(CLINICIANS) <= authors
    assert all(author.name and author.identifier and author.title for author in authors)
    assert len({author.identifier for author in authors}) == len(authors)


def test_bound_keys_stand_in_the_contact_details() -> None:
    made = list(patients(1, 3, bound_keys={1: ["armoured"]}))

    assert [one.contacts.body["openpgp_keys"] for one in made] == [[], ["armoured"], []]


def test_nothing_personal_is_shown() -> None:
    one = everybody()[0]
    shown = repr(one) + repr(one.records) + str(one.identity) + str([one])

    assert one.subject in shown
    for text in (*texts(one.identity.body), *texts(one.contacts.body)):
        assert text in ("fi", "FI") or text not in shown


def headings(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: headings(inner) for name, inner in part.items() if name != "grown_up"}
    return len(part) if isinstance(part, list) else 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_stock_of_sentences(language: str) -> None:
    assert headings(stock(language)) == headings(stock("fi"))


def test_dice_stay_within_their_bounds() -> None:
    dice = Dice("bounds")

    assert {dice.between(2, 5) for _ in range(200)} == {2, 3, 4, 5}
    assert sorted(dice.some("abcd", 9)) == list("abcd")
    assert not dice.chance(0)
    assert dice.chance(100)
