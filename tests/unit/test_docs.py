"""The documentation names only what exists: paths, names of the code, links, settings, commands and codes."""

import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from vault.cli import main
from vault.cli.cases import STEPS
from vault.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
PLACES = ("vault", "dags", "plugins", "tests", "infra", "docs", "bench")
PATH = re.compile(rf"(?:{'|'.join(PLACES)})(?:/[\w.{{}}-]+)+/?")
DOTTED = re.compile(r"vault(?:\.\w+)+")


def words(page: Path) -> list[str]:
    """Return what stands in code style in a page's text, fenced blocks left out."""
    return CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


def all_words(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    return sorted({(page.name, word) for page in PAGES for word in words(page) if pattern.fullmatch(word)})


def resolve(dotted: str) -> object:
    """Find a module, or a name in one, or a field of a class.

    :raises AttributeError: there is none.
    """
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            fields = getattr(found, "model_fields", {})
            found = fields[name] if name in fields else getattr(found, name)
        return found
    raise AttributeError(dotted)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages_names_and_paths_to_check() -> None:
    assert {"README.md", "tour.md", "glossary.md", "threat-model.md", "promises.md", "operations.md"} <= {
        page.name for page in PAGES
    }
    assert len(all_words(PATH)) > 50
    assert len(all_words(DOTTED)) > 100


@pytest.mark.parametrize(("page", "path"), all_words(PATH))
def test_a_path_exists(page: str, path: str) -> None:
    assert (ROOT / path).exists(), f"{page} names {path}"


@pytest.mark.parametrize(("page", "dotted"), all_words(DOTTED))
def test_a_name_exists(page: str, dotted: str) -> None:
    if dotted.endswith((".py", ".toml", ".md")):
        pytest.fail(f"{page}: write {dotted} as a path")
    assert resolve(dotted) is not None


def test_a_name_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AttributeError):
        resolve("vault.steps.seal.no_such_name")
    with pytest.raises(AttributeError):
        resolve("vault.no_such_module")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for picture, link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if picture or "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_the_pictures_of_the_readme_are_there() -> None:
    pictures = [link for picture, link in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")) if picture]
    assert len(pictures) == 7
    for picture in pictures:
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG"), f"make docs writes {picture}"


def test_the_readme_shows_the_help_of_today() -> None:
    told = CliRunner().invoke(main, ["--help"], prog_name="dsr", terminal_width=120, max_content_width=120).output
    assert f"```\n$ dsr --help\n{told}```\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_operations_name_every_step_in_order() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    told = re.search(r"`dsr step ([\w-]+)`((?:, `[\w-]+`)+)\.", text)
    assert told is not None
    assert [told[1], *CODE.findall(told[2])] == list(STEPS)


def settings_of(part: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """List settings by name with their defaults as TOML writes them."""
    found: dict[str, str] = {}
    for name, field in part.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= settings_of(inner, f"{prefix}{name}.")
        elif field.default is PydanticUndefined:
            found[prefix + name] = "required"
        else:
            found[prefix + name] = "none" if field.default is None else f"`{json.dumps(field.default)}`"
    return found


def test_the_settings_reference_is_whole() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.split("\n## Settings\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \| [^|]{3,} \|$", section, re.MULTILINE)
    assert {name: default.strip() for name, default in rows} == settings_of(Settings)


def test_every_exception_code_of_the_board_has_its_advice() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.split("\n## Exceptions on the board\n")[1].split("\n## ")[0]
    told = {code for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for code in CODE.findall(row)}
    desk = tomllib.loads((ROOT / "vault/desk/texts/en.toml").read_text(encoding="utf-8"))["exceptions"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "vault").rglob("*.py"))
    assert set(desk) - {"other"} <= told
    for code in told - set(desk):
        assert f'"{code.removeprefix("scan_")}"' in source, f"nothing raises {code}"
