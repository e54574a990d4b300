"""Grounds and remedies: every one in three languages, each with its statute."""

from dataclasses import FrozenInstanceError

import pytest

from vault.domain.grounds import COMPLAINT, COURT_REMEDY, GROUNDS, OMBUDSMAN_INSTEAD, Ground, Words
from vault.errors import RefusedError

LANGUAGES = ("fi", "sv", "en")
EVERY_WORDS = [
    *(words for ground in GROUNDS.values() for words in (ground.title, ground.text)),
    COMPLAINT,
    COURT_REMEDY,
    OMBUDSMAN_INSTEAD,
]


@pytest.mark.parametrize(
    ("code", "statute"),
    [
        ("rights_of_others", "GDPR Art. 15(4)"),
        ("danger_to_health", "1050/2018 s. 34"),
        ("danger_to_rights", "1050/2018 s. 34"),
        ("third_person_document", "703/2023 s. 28(4)"),
    ],
)
def test_a_ground_cites_its_statute(code: str, statute: str) -> None:
    assert statute in GROUNDS[code].statute
    assert GROUNDS[code].code == code


def test_there_are_no_other_grounds() -> None:
    assert len(GROUNDS) == 4


@pytest.mark.parametrize("ground", GROUNDS.values(), ids=lambda ground: ground.code)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_requester_is_told_the_statute_too(ground: Ground, language: str) -> None:
    number = "15" if "GDPR" in ground.statute else ground.statute.split(" s.")[0].split()[-1]

    assert number in ground.text.in_language(language)


@pytest.mark.parametrize("words", EVERY_WORDS)
def test_the_three_languages_differ_and_are_whole(words: Words) -> None:
    texts = [words.in_language(language) for language in LANGUAGES]

    assert len(set(texts)) == 3
    assert all(text.strip() == text != "" and "  " not in text for text in texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_remedy_names_article_and_authority(language: str) -> None:
    assert "77" in COMPLAINT.in_language(language)
    assert "00531" in COMPLAINT.in_language(language)
    assert "tietosuoja@om.fi" in COMPLAINT.in_language(language)
    assert "79" in COURT_REMEDY.in_language(language)
    assert "34" in OMBUDSMAN_INSTEAD.in_language(language)


def test_another_language_is_refused() -> None:
    with pytest.raises(RefusedError, match="language_unknown"):
        COMPLAINT.in_language("de")


def test_grounds_are_frozen() -> None:
    ground = GROUNDS["rights_of_others"]

    with pytest.raises(FrozenInstanceError):
        ground.code = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        GROUNDS["other"] = ground  # type: ignore[index]
