"""The glossary and the code's vocabulary are one: each word is a name in the code, each name of the domain a word."""

import ast
import importlib
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from vault.domain.case import Channel, Event, Stage
from vault.domain.periods import Dispute, Rule
from vault.domain.records import RecordKind
from vault.domain.request import AnswerBy, RequestKind
from vault.domain.roles import OfficeName, Purpose, Role

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ENTRIES: dict[str, tuple[str, ...]] = {
    word: tuple(re.findall(r"`([\w.]+)`", names))
    for row in re.findall(r"^\| (?!word \|)([^|`-][^|]*) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    for word, names in [(word.strip(), row[1]) for word in row[0].split(",")]
}
ENUMS: tuple[type[StrEnum], ...] = (
    *(Stage, Event, Channel, Role, OfficeName, Purpose, RecordKind),
    *(Rule, Dispute, RequestKind, AnswerBy),
)
WHOLE = ("domain", "steps")  # every value of these stands in the glossary
SHARED = ("accesslog", "crypto", "delivery", "domain", "package", "register", "steps", "storage")


def dataclasses_of(folder: str) -> list[tuple[str, str]]:
    """List module and class name of every public dataclass below a package of the vault."""
    found = []
    for path in sorted((ROOT / "vault" / folder).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            decorated = isinstance(node, ast.ClassDef) and any(
                "dataclass" in ast.unparse(decorator) for decorator in node.decorator_list
            )
            if isinstance(node, ast.ClassDef) and decorated and not node.name.startswith("_"):
                found.append((module, node.name))
    return found


def spelled(name: str) -> str:
    """Write a class's name as a word of the glossary: ``CaseEvent`` as ``case event``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def test_there_is_a_glossary() -> None:
    assert len(ENTRIES) > 60
    assert all(ENTRIES.values()), [word for word, names in ENTRIES.items() if not names]


@pytest.mark.parametrize(("word", "names"), ENTRIES.items(), ids=ENTRIES)
def test_a_word_is_a_name_in_the_code(word: str, names: tuple[str, ...]) -> None:
    wanted = re.split(r"[ -]", word)
    flat = "".join(names).replace("_", "").lower()
    assert any(part in flat for part in wanted), f"{word} and {names} have nothing in common"
    for dotted in names:
        assert _exists(dotted), dotted


def _exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, "model_fields", {}).get(name) or getattr(found, name, None)
        return found is not None
    return False


def test_a_name_that_is_none_is_noticed() -> None:
    assert not _exists("vault.domain.case.Coffee")
    assert not _exists("vault.coffee")


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_value_stands_in_the_glossary(kind: type[StrEnum]) -> None:
    missing = [item.value for item in kind if f"`{item.value}`" not in TEXT]
    assert not missing


@pytest.mark.parametrize("folder", WHOLE)
def test_every_value_of_the_domain_and_the_road_stands_in_the_glossary(folder: str) -> None:
    found = dataclasses_of(folder)
    assert found
    missing = [f"{module}.{name}" for module, name in found if f"`{module}.{name}`" not in TEXT]
    assert not missing


def test_what_is_named_like_a_word_is_what_the_word_means() -> None:
    for folder in SHARED:
        for module, name in dataclasses_of(folder):
            word = spelled(name)
            if word in ENTRIES:
                assert f"{module}.{name}" in ENTRIES[word], f"{word} means {ENTRIES[word]}, not {module}.{name}"
