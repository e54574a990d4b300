"""Personal identity codes: the table of cases, and what strictness means."""

import csv
from datetime import date
from pathlib import Path

import pytest

from vault.domain.hetu import HetuError, check_character, parse, spell

TABLE = Path(__file__).parents[1] / "data" / "hetu.csv"
TODAY = date(2026, 9, 1)
CODE = "010594Y9021"

with TABLE.open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file))


def fault_of(value: str, today: date = TODAY) -> str | None:
    try:
        parse(value, today)
    except HetuError as error:
        return error.fault
    return None


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 20
    assert {row["valid"] for row in ROWS} == {"yes", "no"}


@pytest.mark.parametrize("row", [row for row in ROWS if row["valid"] == "yes"], ids=lambda row: row["id"])
def test_a_valid_code_is_read(row: dict[str, str]) -> None:
    code = parse(row["value"], TODAY)

    assert (code.value, code.kind, code.birth_date.isoformat()) == (
        row["value"],
        row["class_or_fault"],
        row["birth_date"],
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row["valid"] == "no"], ids=lambda row: row["id"])
def test_an_invalid_code_names_its_fault(row: dict[str, str]) -> None:
    assert fault_of(row["value"]) == row["class_or_fault"]


@pytest.mark.parametrize("value", [f" {CODE}\n", CODE.lower(), f"\t{CODE}", f"{CODE}\u00a0"])
def test_blanks_and_lower_case_are_forgiven(value: str) -> None:
    assert parse(value, TODAY).value == CODE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "010594 Y9021",
        "010594Y9021\n010594Y9021",
        "010594Y902",
        "010594\u22129032",  # minus sign
        "010594\u20109032",  # hyphen
        "٠10594Y9021",  # an Arabic digit that int() would read
        "010594-925\u017f",  # a long s that upper() would turn into the right check character
        "\udcff10594Y9021",
        "0" * 100_000,
    ],
)
def test_anything_else_has_the_wrong_shape(value: str) -> None:
    assert fault_of(value) == "shape"


@pytest.mark.parametrize("letter", "GIOQZ")
def test_letters_that_look_like_digits_are_never_check_characters(letter: str) -> None:
    assert fault_of(f"010594Y902{letter}") == "shape"


@pytest.mark.parametrize(
    ("born", "today", "fault"),
    [
        (date(2026, 9, 1), date(2026, 9, 1), None),
        (date(2026, 9, 2), date(2026, 9, 1), "future"),
        (date(2099, 12, 31), date(2026, 9, 1), "future"),
    ],
)
def test_nobody_is_born_after_today(born: date, today: date, fault: str | None) -> None:
    assert fault_of(spell(born, 900), today) == fault


@pytest.mark.parametrize(
    ("individual", "kind"), [(2, "register"), (899, "register"), (900, "temporary"), (999, "temporary")]
)
def test_the_individual_number_tells_temporary_codes(individual: int, kind: str) -> None:
    assert parse(spell(date(1994, 5, 1), individual), TODAY).kind == kind


@pytest.mark.parametrize("individual", ["000", "001"])
def test_two_individual_numbers_are_never_issued(individual: str) -> None:
    digits = f"010594{individual}"

    assert fault_of(f"010594-{individual}{check_character(digits)}") == "individual"


def test_the_first_fault_in_the_fixed_order_is_named() -> None:
    assert fault_of("320194-000A") == "check"
    assert fault_of(f"320194-000{check_character('320194000')}") == "date"
    assert fault_of(f"010190A000{check_character('010190000')}") == "future"


def test_the_sign_is_part_of_the_identity() -> None:
    first, second = parse("010594-9032", TODAY), parse("010594Y9032", TODAY)

    assert first.birth_date == second.birth_date
    assert first != second
    assert first.value != second.value


@pytest.mark.parametrize(
    ("born", "individual", "sign", "fault"),
    [
        (date(1799, 1, 1), 900, None, "date"),
        (date(2100, 1, 1), 900, None, "date"),
        (date(1994, 5, 1), 1, None, "individual"),
        (date(1994, 5, 1), 1000, None, "individual"),
        (date(1994, 5, 1), 900, "A", "shape"),
        (date(1994, 5, 1), 900, "-Y", "shape"),
    ],
)
def test_a_code_that_cannot_be_issued_is_not_spelled(born: date, individual: int, sign: str | None, fault: str) -> None:
    with pytest.raises(HetuError) as caught:
        spell(born, individual, sign)

    assert caught.value.fault == fault


def test_nothing_personal_is_shown() -> None:
    code = parse(CODE, TODAY)
    with pytest.raises(HetuError) as caught:
        parse("010594Y9022", TODAY)

    for shown in (repr(code), str(code), str(caught.value), repr(caught.value)):
        assert "010594" not in shown
        assert "1994" not in shown
