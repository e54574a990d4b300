"""The table of what is opened, refused and why names every code that opening can give, and no other."""

import ast
import re
from pathlib import Path

import pytest

import vault
from vault.desk.render import LANGUAGES, texts
from vault.intake import held, sandbox
from vault.intake.opened import Outcome

ROOT = Path(vault.__file__).parent
MODULES = (
    *("mail", "agent", "apart", "layers", "armour", "openpgp", "gpg", "gpgstatus", "smime", "smimekey", "smimesigner"),
    *("cms", "ber", "mime", "tool", "sandbox"),
)
ERRORS = {"UnreadableError", "WrongUseError", "OutOfReachError"}
NOT_OF_MAIL = {"child_function"}  # a slip of a programmer
ROW = re.compile(r"^\| ([^|]+) \|(?: ([^|]+) \|)? ([^|]*)\|$", re.MULTILINE)


def raised() -> set[str]:
    """Find every code that opening raises, or writes as a remark or as what spoils a signature."""
    found = {*sandbox._ADVICE, held.NO_ROOM}  # raised through this table and this name
    for name in MODULES:
        tree = ast.parse((ROOT / "intake" / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} & SPELLED
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
                first = node.args[0]
                found |= {first.value} if isinstance(first, ast.Constant) and isinstance(first.value, str) else set()
    return found - NOT_OF_MAIL


PAGE = (ROOT.parent / "docs/intake-mail.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## What each mail becomes\n")[1].split("\n## ")[0]
OPENED = (ROOT / "intake/opened.py").read_text(encoding="utf-8")
# remarks and what spoils a signature are listed where the types describe them
SPELLED = {
    "mail_reader_failed",
    *re.findall(r"``((?:own|signature|signer|certificate|several|outside|html|from|text)_\w+)``", OPENED),
}
ROWS = [(what, outcome, re.findall(r"`(\w+)`", codes)) for what, outcome, codes in ROW.findall(SECTION)]
TOLD = [code for _, _, codes in ROWS for code in codes]


def test_the_types_list_their_codes() -> None:
    assert len(SPELLED) > 14
    assert raised() >= SPELLED


def test_every_code_stands_in_the_table_once() -> None:
    assert sorted(TOLD) == sorted(raised())


def test_outcomes_in_the_table_are_outcomes() -> None:
    named = {word for _, outcome, _ in ROWS for word in re.findall(r"`(\w+)`", outcome or "")}

    assert named == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_desk_has_words_for_every_code_that_a_case_can_have(language: str) -> None:
    spoils = {code for _, outcome, codes in ROWS if not outcome for code in codes}
    faults = {code for _, outcome, codes in ROWS if outcome == "error" for code in codes}  # ours; they make no case
    noted = set(TOLD) - spoils - faults

    assert noted <= set(texts(language)["reading_notes"])
    assert spoils == set(texts(language)["signature_notes"])
