"""Every worked deadline, asked of the function and of the command line."""

import csv
import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.domain.clock import Pause, compute

TABLE = Path(__file__).parents[1] / "data" / "deadlines.csv"
TODAY = date(2026, 9, 1)

with TABLE.open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file))

each_row = pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])


def _expected(row: dict[str, str]) -> dict[str, Any]:
    codes = row["disputed"].removeprefix("yes: ")
    return {
        "due": row["expected_due"] or None,
        "due_at": row["expected_due_at"] or None,
        "safe_due": row["safe_due"],
        "extension_notice_due": row["extension_notice_due"] or None,
        "disputed": [] if codes == "no" else codes.split("+"),
    }


def _pauses(row: dict[str, str]) -> list[str]:
    return [pause for pause in row["pauses"].split("|") if pause]


def _command(row: dict[str, str]) -> list[str]:
    pauses = [word for pause in _pauses(row) for word in ("--pause", pause)]
    return ["clock", row["rule"], "--received", row["received"], *pauses, "--json"]


def _iso(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 65
    assert {row["rule"] for row in ROWS} == {"art12_first_month", "art12_extended", "log_request", "art33_72h"}


@each_row
def test_the_function_gives_the_worked_deadline(row: dict[str, str]) -> None:
    ends = [pause.split("/") for pause in _pauses(row)]
    pauses = [Pause(date.fromisoformat(start), date.fromisoformat(end) if end else None) for start, end in ends]

    answer = compute(row["rule"], datetime.fromisoformat(row["received"]), pauses, TODAY)

    assert {
        "due": _iso(answer.due),
        "due_at": _iso(answer.due_at),
        "safe_due": _iso(answer.safe_due),
        "extension_notice_due": _iso(answer.extension_notice_due),
        "disputed": list(answer.disputed),
    } == _expected(row)


@each_row
def test_the_command_gives_the_worked_deadline(row: dict[str, str]) -> None:
    result = CliRunner().invoke(main, _command(row))

    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert {name: answer[name] for name in _expected(row)} == _expected(row)
    assert set(answer) == {"rule", *_expected(row), "extension_notice_safe_due", "why"}
    assert answer["rule"] == row["rule"]


@each_row
def test_every_date_is_explained(row: dict[str, str]) -> None:
    answer = json.loads(CliRunner().invoke(main, _command(row)).stdout)

    why = "\n".join(answer["why"])
    assert why.startswith(f"Rule {row['rule']}: ")
    names = ("due", "safe_due", "extension_notice_due", "extension_notice_safe_due")
    for day in filter(None, (answer[name] for name in names)):
        assert day in why
    for code in answer["disputed"]:
        assert f"Disputed, {code}:" in why


def test_the_installed_command_answers() -> None:
    row = next(row for row in ROWS if row["id"] == "C105")

    done = subprocess.run(
        [Path(sys.executable).with_name("dsr"), *_command(row)],
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert {name: answer[name] for name in _expected(row)} == _expected(row)
