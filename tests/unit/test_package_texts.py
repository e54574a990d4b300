"""The texts of the three languages: the same keys, places and conditions; a word for everything that can be shown."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vault.domain.records import RecordKind
from vault.domain.roles import Purpose, Role
from vault.package.documents import GROUPS
from vault.package.language import LANGUAGES, fill, part, places, texts
from vault.package.letters import FACTS
from vault.package.notices import KINDS

_REGISTER = Path(__file__).parents[2] / "docs" / "register.md"
_FIELD = re.compile(r"^\| ([a-z_]+) \| ", re.MULTILINE)
_CODE = re.compile(r"`([a-z_]+)`")
_LONE_BRACE = re.compile(r"[{}]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{at}")
    else:
        yield path, str(value)


def sections() -> dict[str, str]:
    pieces = re.split(r"^### ([a-z_]+)$", _REGISTER.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.parametrize("name", ["labels", "letters", "notices"])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_each_language_says_the_same(name: str, language: str) -> None:
    finnish, other = dict(leaves(texts(name, "fi"))), dict(leaves(texts(name, language)))
    assert finnish.keys() == other.keys()
    for path, text in finnish.items():
        assert places(text) == places(other[path]), path
        if path.endswith(("/slot", "/when")):
            assert text == other[path], path


@pytest.mark.parametrize("name", ["labels", "letters", "notices"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_every_brace_is_a_place(name: str, language: str) -> None:
    for path, text in leaves(texts(name, language)):
        assert text.strip(), path
        rest = re.sub(r"\{[a-z_]+\}", "", text)
        assert not _LONE_BRACE.search(rest), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_be_shown_has_a_word(language: str) -> None:
    labels, letters = texts("labels", language), texts("letters", language)
    assert labels["documents"].keys() == GROUPS.keys()
    assert labels["kinds"].keys() == {kind.value for kind in RecordKind}
    assert letters["purposes"].keys() == {purpose.value for purpose in Purpose}
    assert {role.value for role in Role} | {"machine"} == letters["roles"].keys()
    assert letters["facts"].keys() == set(FACTS)
    assert set(KINDS) <= texts("notices", language).keys()


@pytest.mark.parametrize("kind", list(RecordKind))
def test_every_field_of_the_register_has_a_label_and_every_code_a_word(kind: RecordKind) -> None:
    section = sections()[kind.value]
    fields = set(_FIELD.findall(section)) - {"field"}
    assert fields
    assert fields <= part("labels", "fi", "fields").keys()
    for line in section.splitlines():
        field = _FIELD.match(line)
        codes = _CODE.findall(line.split("|")[3]) if field and len(line.split("|")) > 3 else []
        if field and codes:
            assert set(codes) <= part("labels", "fi", "values_of", kind.value, field[1]).keys(), line


def test_every_kind_of_record_stands_in_exactly_one_group() -> None:
    kinds = [kind for group in GROUPS.values() for kind in group]
    assert sorted(kinds) == sorted(RecordKind)


def test_a_value_is_never_read_again() -> None:
    assert fill("{a} {b}", {"a": "{b}", "b": "x"}) == "{b} x"
