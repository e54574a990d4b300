"""Typesetting: refusals name the template only, and texts outside the fonts are set all the same."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from vault.errors import RefusedError
from vault.package import typesetting
from vault.package.blocks import as_text, build
from vault.package.sheet import set_letter
from vault.package.typesetting import typeset
from vault.testing.answers import heading, shows

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def letter(text: str) -> bytes:
    return set_letter(heading(), "Kirje", "Kirje", None, [{"t": "p", "v": text}])


def test_a_broken_template_names_itself_and_nothing_of_the_data() -> None:
    with pytest.raises(RefusedError) as refused:
        typeset("letter", {"secret": "Eeva"}, AT)
    assert refused.value.code == "typesetting_failed"
    assert "Eeva" not in str(refused.value)
    assert refused.value.__context__ is None


def test_the_moment_decides_about_the_bytes_to_the_second() -> None:
    assert letter("a") == letter("a")
    assert letter("a") != letter("b")


@pytest.mark.parametrize("sign", ["\u0300", "ﷺ", "👩‍👩‍👧", "ཨོཾ", "\u200b", "𝔘", "\U000e0041", '漢"\\漢'])
def test_any_sign_can_be_set(sign: str) -> None:
    assert shows(letter(f"alku {sign} loppu"), "alku", "loppu")


def test_an_error_that_names_no_signs_leaves_the_common_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetting, "_LACKING", re.compile("(nothing like this)"))
    assert shows(letter("Åäö 漢 loppu"), "Åäö", "⟨U+6F22⟩", "loppu")


def test_blocks_make_the_text_of_a_mail() -> None:
    templates: list[dict[str, Any]] = [
        {"p": "Hei {name}"},
        {"l": ["yksi", "kaksi"]},
        {"n": ["eka", "toka"]},
        {"slot": "here"},
        {"p": "vain jos", "when": "so"},
        {"p": "ei", "when": "not"},
    ]
    blocks = build(templates, {"name": "{b}"}, {"here": [{"t": "q", "v": "lainaus"}]}, ["so"])
    assert as_text(blocks) == "Hei {b}\n\n- yksi\n- kaksi\n\n1. eka\n2. toka\n\n    lainaus\n\nvain jos"
