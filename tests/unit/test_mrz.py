"""Machine-readable zones: ICAO's own specimens, long numbers, and what fails at which check."""

import pytest

from vault.domain.mrz import MrzError, check_digit, parse

TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD1_LONG = "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<JOHN<<<<<<<<<"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (TD3, ("TD3", "P", "UTO", "ERIKSSON", "ANNA MARIA", "L898902C3", "UTO", "740812", "F", "120415", "ZE184226B")),
        (TD2, ("TD2", "I", "UTO", "ERIKSSON", "ANNA MARIA", "D23145890", "UTO", "740812", "F", "120415", "")),
        (TD1, ("TD1", "I", "UTO", "ERIKSSON", "ANNA MARIA", "D23145890", "UTO", "740812", "F", "120415", "")),
        (TD1_LONG, ("TD1", "I", "UTO", "STEVENSON", "PETER JOHN", "D23145890734", "UTO", "340712", "M", "950712", "")),
    ],
    ids=["9303-4", "9303-6", "9303-5", "9303-11, a long number"],
)
def test_the_specimens_are_valid(zone: str, expected: tuple[str, ...]) -> None:
    read = parse(zone)

    assert read.valid
    assert all(read.checks.values())
    assert (read.format, *read.fields.values()) == expected
    assert "\n".join(read.lines) == zone


@pytest.mark.parametrize(
    ("text", "digit"),
    [("520727", "3"), ("AB2134<<<", "5"), ("HA672242<658022549601086<<<<<<<<<<<<<<0", "8"), ("", "0"), ("<<<", "0")],
)
def test_check_digits_of_9303_part_3(text: str, digit: str) -> None:
    assert check_digit(text) == digit


def replaced(zone: str, old: str, new: str) -> str:
    assert zone.count(old) == 1
    return zone.replace(old, new)


@pytest.mark.parametrize(
    ("zone", "failing"),
    [
        (replaced(TD3, "L898902C36", "L898902C46"), {"document_number", "composite"}),
        (replaced(TD3, "7408122F", "7409122F"), {"birth_date", "composite"}),
        (replaced(TD3, "F1204159", "F1204259"), {"expiry_date", "composite"}),
        (replaced(TD3, "ZE184226B<<<<<10", "ZE184226C<<<<<10"), {"optional", "composite"}),
        (replaced(TD3, "<<<<<10", "<<<<<11"), {"composite"}),
        (replaced(TD3, "2F12", "2N12"), {"letters"}),
        (replaced(TD3, "ERIKSSON", "ER1KSSON"), {"letters"}),
        (replaced(TD3, "P<UTO", "P<<TO"), {"letters"}),
        (replaced(TD3, "P<UTOERIKSSON", "P<UTO<<<<<<<<"), {"letters"}),
        (replaced(TD2, "D231458907", "D231458908"), {"document_number", "composite"}),
        (replaced(TD2, "<<<<<<<6", "<<<<<<<7"), {"composite"}),
        (replaced(TD1, "I<UTOD231458907", "I<UTOD231458908"), {"document_number", "composite"}),
        (replaced(TD1, "UTO<<<<<<<<<<<6", "UTO<<<<<<<<<<<5"), {"composite"}),
        (replaced(TD1_LONG, "<7349<", "<7348<"), {"document_number", "composite"}),
    ],
)
def test_a_change_fails_its_own_check(zone: str, failing: set[str]) -> None:
    read = parse(zone)

    assert not read.valid
    assert {name for name, fits in read.checks.items() if not fits} == failing


def td3(optional: str, digit: str) -> str:
    second = f"L898902C36UTO7408122F1204159{optional:<<14}{digit}"
    return f"{TD3[:44]}\n{second}{check_digit(second[:10] + second[13:20] + second[21:43])}"


@pytest.mark.parametrize(
    ("optional", "digit", "valid"),
    [("", "0", True), ("", "<", True), ("", "1", False), ("A1", "<", False), ("A1", "3", True)],
)
def test_an_empty_optional_field_may_carry_two_digits(optional: str, digit: str, *, valid: bool) -> None:
    assert parse(td3(optional, digit)).checks["optional"] is valid


def td1(number: str, optional: str) -> str:
    first = f"I<UTO{number}{optional:<<15}"
    second = "7408122F1204159UTO<<<<<<<<<<<"
    composite = check_digit(first[5:] + second[:7] + second[8:15] + second[18:])
    return f"{first}\n{second}{composite}\n{TD1.splitlines()[2]}"


@pytest.mark.parametrize(
    ("number", "tail", "valid", "document_number", "optional"),
    [
        ("000590240", "6000", True, "000590240600", ""),  # the digit without the filler, as 9303 has it
        ("000590240", "6006", True, "000590240600", ""),  # the digit with the filler, as some issuers had it
        ("000590240", "6001", False, "000590240600", ""),
        ("000590240", "6000<REST", True, "000590240600", "REST"),
        ("000590240", "", False, "000590240", ""),
        ("000590240", "6", False, "000590240", ""),
        ("00059024<", "6000", False, "00059024<600", ""),
    ],
)
def test_long_document_numbers(number: str, tail: str, document_number: str, optional: str, *, valid: bool) -> None:
    read = parse(td1(f"{number}<", tail))

    assert read.checks["document_number"] is valid
    assert read.fields["document_number"] == document_number
    assert read.fields["optional"] == optional
    assert read.checks["composite"]


def test_a_td2_number_may_be_long_too() -> None:
    second = "D23145890<UTO7408122F12041597349<<<"
    zone = f"{TD2[:36]}\n{second}{check_digit(second[:10] + second[13:20] + second[21:])}"

    read = parse(zone)

    assert read.valid
    assert read.fields["document_number"] == "D23145890734"


def dated(birth: str, expiry: str) -> dict[str, bool]:
    second = f"L898902C36UTO{birth}{check_digit(birth)}F{expiry}{check_digit(expiry)}<<<<<<<<<<<<<<0"
    zone = f"{TD3[:44]}\n{second}{check_digit(second[:10] + second[13:20] + second[21:43])}"
    return dict(parse(zone).checks)


@pytest.mark.parametrize(
    ("birth", "fits"),
    [
        ("740812", True),
        ("000229", True),
        ("010229", False),
        ("741301", False),
        ("740800", False),
        ("7408<<", True),
        ("74<<<<", True),
        ("<<<<<<", True),
        ("74<<12", True),
        ("7<<812", False),
        ("7408A2", False),
    ],
)
def test_a_birth_date_may_be_partly_unknown(birth: str, *, fits: bool) -> None:
    assert dated(birth, "120415")["birth_date"] is fits


@pytest.mark.parametrize(
    ("expiry", "fits"), [("120415", True), ("1204<<", False), ("<<<<<<", False), ("120431", False)]
)
def test_an_expiry_date_is_a_day(expiry: str, *, fits: bool) -> None:
    assert dated("740812", expiry)["expiry_date"] is fits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        TD3.splitlines()[0],
        TD3 + "\n" + TD3.splitlines()[0],
        TD3[:-1],
        TD3 + "<",
        TD3.lower(),
        TD3.replace("<", "«"),
        TD3.replace("0", "\uff10"),
        replaced(TD3, "P<UTO", "V<UTO"),  # a visa has no composite digit
        replaced(TD2, "I<UTO", "V<UTO"),
        replaced(TD1, "I<UTO", "P<UTO"),
        replaced(TD1, "I<UTO", "<IUTO"),
        TD1.splitlines()[0] + "\n" + TD2.splitlines()[1],
        TD3 + "\n" + "?" * 44,
        "A" * 2000,
        TD3 + " " * 2000,
    ],
)
def test_anything_else_is_no_zone(text: str) -> None:
    with pytest.raises(MrzError) as caught:
        parse(text)

    assert "ERIKSSON" not in str(caught.value)


@pytest.mark.parametrize("text", [TD3.replace("\n", "\r\n"), f"\n  {TD3}  \n\n"])
def test_blanks_around_lines_are_forgiven(text: str) -> None:
    assert parse(text).valid


def test_nothing_personal_is_shown() -> None:
    shown = repr(parse(TD3)) + str(parse(TD3))

    for personal in ("ERIKSSON", "L898902C3", "740812", "ZE184226B"):
        assert personal not in shown
