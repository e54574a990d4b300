"""A program that reads without a receipt does not pass the type checker."""

import re
from pathlib import Path

from mypy import api

SNIPPET = """
from vault.accesslog.receipts import LogReceipt
from vault.domain.records import RecordKind
from vault.register.own import OwnRegister
from vault.register.port import Register


class LookAlike:
    id = actor = purpose = case = subject = kinds = expires = index = None


def fine(register: Register, own: OwnRegister, receipt: LogReceipt) -> None:
    also: Register = own
    also.read(receipt, "P-1", [RecordKind.VISIT], case=None)
    register.find("010594-9032", receipt)


def wrong(register: Register, own: OwnRegister, maybe: LogReceipt | None) -> None:
    register.read("P-1", [RecordKind.VISIT], case=None)  # wrong: none given
    register.read(None, "P-1", [RecordKind.VISIT], case=None)  # wrong: nothing
    register.read(maybe, "P-1", [RecordKind.VISIT], case=None)  # wrong: perhaps nothing
    register.read(LookAlike(), "P-1", [RecordKind.VISIT], case=None)  # wrong: looks like one
    register.find("010594-9032")  # wrong: none given
    register.find("010594-9032", None)  # wrong: nothing
    own.read(None, "P-1", [RecordKind.VISIT], case=None)  # wrong: the register itself, nothing
    own.find("010594-9032", LookAlike())  # wrong: the register itself, looks like one
"""


def test_reading_without_a_receipt_does_not_pass_the_type_checker(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    root = Path(__file__).parents[2]

    output, problems, _ = api.run(["--strict", "--config-file", str(root / "pyproject.toml"), str(snippet)])

    faulty = {int(line) for line in re.findall(r"snippet\.py:(\d+): error", output)}
    wrong = {number for number, line in enumerate(SNIPPET.splitlines(), 1) if "# wrong" in line}
    assert problems == ""
    assert faulty == wrong, output
