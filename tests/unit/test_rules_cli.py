"""``dsr clock``, ``dsr hetu`` and ``dsr mrz`` as the command line contract has them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vault.cli import main

TABLE = Path(__file__).parents[1] / "data" / "hetu.csv"
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10\n"
RECEIVED = "2026-10-01T09:00:00+03:00"

with TABLE.open(encoding="utf-8", newline="") as _file:
    CODES = list(csv.DictReader(_file))


def ask(*words: str, typed: str | bytes | None = None) -> tuple[int, Any]:
    result = CliRunner().invoke(main, [*words, "--json"], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("row", CODES, ids=[row["id"] for row in CODES])
def test_hetu_answers_the_table(row: dict[str, str]) -> None:
    code, answer = ask("hetu", row["value"], "--today", "2026-09-01")

    valid = row["valid"] == "yes"
    assert code == (0 if valid else 1)
    assert answer == {
        "valid": valid,
        "kind": row["class_or_fault"] if valid else None,
        "birth_date": row["birth_date"] or None,
        "fault": None if valid else row["class_or_fault"],
    }


def test_hetu_looks_from_a_given_day() -> None:
    assert ask("hetu", "010516B902W", "--today", "2016-04-30")[1]["fault"] == "future"
    assert ask("hetu", "010516B902W", "--today", "2016-05-01")[1]["fault"] is None


@pytest.mark.parametrize(("typed", "valid"), [("010594Y9021\n", True), (b"\xff\xfe", False), ("", False)])
def test_hetu_reads_standard_input(typed: str | bytes, *, valid: bool) -> None:
    assert ask("hetu", "-", typed=typed)[1]["valid"] is valid


@pytest.mark.parametrize("value", ["010594Y9021", "010594Y9022"])
def test_hetu_never_repeats_the_code(value: str) -> None:
    for words in (["hetu", value], ["hetu", value, "--json"]):
        result = CliRunner().invoke(main, words)
        assert "010594" not in result.output


def test_mrz_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "zone"
    file.write_text(TD3, encoding="ascii")

    code, answer = ask("mrz", str(file))

    assert code == 0
    assert (answer["valid"], answer["format"]) == (True, "TD3")
    assert answer["fields"]["document_number"] == answer["document_number"] == "L898902C3"
    assert answer["surname"] == "ERIKSSON"
    assert all(value is True for value in answer["checks"].values())


@pytest.mark.parametrize("words", [["mrz"], ["mrz", "-"]])
def test_mrz_reads_standard_input(words: list[str]) -> None:
    code, answer = ask(*words, typed=TD3.replace("L898902C3", "L898902C4"))

    assert code == 1
    assert (answer["valid"], answer["checks"]["document_number"]) == (False, False)


@pytest.mark.parametrize("typed", ["", "P<UTO", b"\xff\xfe\x00", "A" * 100_000, TD3 * 30])
def test_mrz_refuses_what_is_no_zone(typed: str | bytes) -> None:
    assert ask("mrz", typed=typed) == (1, {"valid": False, "format": None, "fields": {}, "checks": {}})


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["art12", "--received", RECEIVED], "unknown_rule"),
        (["log_request", "--received", "2026-10-01T09:00:00"], "time_without_offset"),
        (["log_request", "--received", "2026-10-01"], "time_without_offset"),
        (["log_request", "--received", "yesterday"], "time_malformed"),
        (["log_request", "--received", RECEIVED, "--today", "20261001"], "date_malformed"),
        (["log_request", "--received", RECEIVED, "--pause", "2026-10-05"], "pause_malformed"),
        (["log_request", "--received", RECEIVED, "--pause", "/2026-10-05"], "date_malformed"),
        (["log_request", "--received", RECEIVED, "--pause", "2026-13-05/"], "date_malformed"),
        (["log_request", "--received", RECEIVED, "--pause", "2026-10-05/2026-10-06/"], "date_malformed"),
        (["log_request", "--received", RECEIVED, "--pause", "2026-10-05/2026-10-04"], "pause_backwards"),
        (["log_request", "--received", RECEIVED, "--pause", "2026-09-30/2026-10-04"], "pause_before_receipt"),
        (["art33_72h", "--received", RECEIVED, "--pause", "2026-10-05/"], "breach_has_no_pause"),
    ],
)
def test_wrong_use_of_clock_ends_with_2(words: list[str], error: str) -> None:
    code, answer = ask("clock", *words)

    assert code == 2
    assert answer["error"] == error


@pytest.mark.parametrize("words", [["clock"], ["clock", "log_request"], ["hetu"], ["mrz", "/no/such/file"]])
def test_missing_words_end_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


def test_a_year_without_a_calendar_is_a_negative_answer() -> None:
    code, answer = ask("clock", "log_request", "--received", "1066-10-14T09:00:00+02:00")

    assert (code, answer["error"]) == (1, "calendar_out_of_range")


def test_clock_speaks_to_people() -> None:
    result = CliRunner().invoke(main, ["clock", "log_request", "--received", RECEIVED, "--today", "2026-10-02"])

    assert result.exit_code == 0
    assert "due:  2026-12-01T23:59:59+02:00" in result.stdout
    assert "safe: 2026-12-01" in result.stdout
    assert "Act 703/2023 s. 11" in result.stdout


def test_clock_without_a_due_date_says_so() -> None:
    words = ["clock", "art12_first_month", "--received", RECEIVED, "--pause", "2026-10-02/"]

    assert "due:  none while the pause is open" in CliRunner().invoke(main, words).stdout
    assert ask(*words)[1]["due"] is None


@pytest.mark.parametrize("received", ["2026-10-01T06:00:00Z", "2026-10-01T06:00:00+00:00", "2026-10-01T09:00+03:00"])
def test_any_offset_will_do(received: str) -> None:
    assert ask("clock", "art12_first_month", "--received", received)[1]["due"] == "2026-11-02"
