"""How well plain rules read 277 short letters in three languages; what they miss goes to a person, never astray.

``tuned`` letters made the rules; ``held`` were written before the rules and left alone while they grew; ``unseen``
were written when the rules stood, and no rule was changed for them. docs/intake-mail.md tells these figures.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from vault.domain.request import LANGUAGES, Request, RequestKind
from vault.intake.understand import SURE, understand

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 22)
DOCS = (ROOT / "docs/intake-mail.md").read_text(encoding="utf-8")
with (ROOT / "tests/data/letters.csv").open(encoding="utf-8", newline="") as file:
    LETTERS = list(csv.DictReader(file))
PARTS = ("tuned", "held", "unseen")
LEAST = {"tuned": (0.98, 0.98), "held": (0.95, 0.95), "unseen": (0.9, 0.45)}  # precision, recall


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one part: how many letters, and how their rights were read."""

    letters: int
    precision: float
    recall: float


def read(letter: dict[str, str]) -> Request:
    return understand(letter["text"], today=TODAY)


def machines_word(request: Request) -> set[str]:
    """Return what a machine would act on."""
    return {kind.value for kind in request.kinds} if request.confidence >= SURE else set()


def measured(part: str) -> Measured:
    letters = [letter for letter in LETTERS if letter["part"] == part]
    pairs = [(machines_word(read(letter)), set(letter["kinds"].split())) for letter in letters]
    right = sum(len(got & wanted) for got, wanted in pairs)
    said, asked = sum(len(got) for got, _ in pairs), sum(len(wanted) for _, wanted in pairs)
    return Measured(len(letters), right / said, right / asked)


def test_the_corpus_is_large_mixed_and_without_doubles() -> None:
    assert len(LETTERS) >= 150
    assert len({letter["text"] for letter in LETTERS}) == len(LETTERS)
    by_language = Counter(letter["language"] for letter in LETTERS)
    assert set(by_language) == set(LANGUAGES)
    assert min(by_language.values()) >= 50
    asked = Counter(kind for letter in LETTERS for kind in letter["kinds"].split())
    assert set(asked) == {kind.value for kind in RequestKind if kind is not RequestKind.OTHER}
    assert sum(not letter["kinds"] for letter in LETTERS) >= 40


@pytest.mark.parametrize("part", PARTS)
def test_precision_and_recall(part: str) -> None:
    found = measured(part)

    assert found.precision >= LEAST[part][0]
    assert found.recall >= LEAST[part][1]


@pytest.mark.parametrize("part", PARTS)
def test_the_docs_tell_the_figures(part: str) -> None:
    found = measured(part)

    row = rf"\| `{part}` \| {found.letters} \| {found.precision:.2f} \| {found.recall:.2f} \|"
    assert re.search(row, DOCS), row


def test_nobody_is_answered_who_asked_for_nothing() -> None:
    assert [letter["text"] for letter in LETTERS if not letter["kinds"] and machines_word(read(letter))] == []


def test_no_other_right_is_taken_for_inspection() -> None:
    beyond = [
        letter for letter in LETTERS if letter["kinds"] and not {"inspection", "log"} & {*letter["kinds"].split()}
    ]

    assert len(beyond) > 50
    assert [letter["text"] for letter in beyond if "inspection" in machines_word(read(letter))] == []


def test_language_and_person_are_told() -> None:
    for letter in LETTERS:
        request = read(letter)
        whose = "child" if request.for_child else "other" if request.on_behalf else "self"
        assert (request.language, whose) == (letter["language"], letter["whose"]), letter["text"]
