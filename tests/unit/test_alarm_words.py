"""Alarm codes, the desk's words, the operations page and the glossary are one."""

import ast
import re
from enum import StrEnum
from pathlib import Path

import pytest

import vault
from vault.desk.render import LANGUAGES, texts
from vault.domain.alarms import CHOSEN, AlarmCode, Why
from vault.domain.caps import Verdict
from vault.domain.emergencies import ReviewVerdict
from vault.domain.watching import WATCHED

ROOT = Path(vault.__file__).parent
OPERATIONS = (ROOT.parent / "docs/operations.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT.parent / "docs/glossary.md").read_text(encoding="utf-8")


def test_the_operations_page_tells_each_alarm_and_no_other() -> None:
    section = OPERATIONS.split("\n## Alarms\n")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [code.value for code in AlarmCode]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_alarm_has_plain_words(language: str) -> None:
    words = texts(language)

    assert set(words["alarm_codes"]) == {*AlarmCode, "other"}
    assert all(set(each) == {"title", "means", "do"} for each in words["alarm_codes"].values())
    assert set(words["alarm_whys"]) == set(Why)
    assert set(words["review_verdicts"]) == set(ReviewVerdict)


@pytest.mark.parametrize("kind", [AlarmCode, Why, Verdict, ReviewVerdict], ids=lambda kind: kind.__name__)
def test_every_value_stands_in_the_glossary(kind: type[StrEnum]) -> None:
    assert [item.value for item in kind if f"`{item.value}`" not in GLOSSARY] == []


def test_a_review_s_own_word_is_chosen_by_nobody() -> None:
    assert set(Why) - set(CHOSEN) == {Why.REVIEWED}


def test_whoever_raises_an_alarm_names_a_code_of_the_table() -> None:
    named = {code for file in ROOT.rglob("*.py") for code in codes_in(file.read_text("utf-8"))}

    assert named - {"finding.code"} | {code.name for code in WATCHED} == set(AlarmCode.__members__)


def codes_in(source: str) -> list[str]:
    """List the codes with which alarms are raised here: members of the table, or what stands in their place."""
    called = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("raise_alarm")
    ]
    return [ast.unparse(node.args[1]).removeprefix("AlarmCode.") for node in called]
