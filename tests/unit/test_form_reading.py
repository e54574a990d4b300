"""What is put right after Tesseract, how letters are told apart, and when a person must look."""

import json
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw

from vault.errors import UnreadableError
from vault.intake import codereader, ocr, wording
from vault.intake.forms import FieldKind
from vault.intake.ocr import Words
from vault.intake.pagereader import is_blank
from vault.intake.readings import FieldReading, PageReading
from vault.intake.scan import Letter, ScanResult, group, read_scan
from vault.settings import Limits

PICTURE = Image.new("L", (40, 20), 255)


def says(monkeypatch: pytest.MonkeyPatch, *runs: list[Words]) -> None:
    answers = iter(runs)
    monkeypatch.setattr(ocr, "read", lambda *_, **__: next(answers))


@pytest.mark.parametrize(
    ("kind", "read", "value"),
    [
        (FieldKind.NAME, "Järvinen lida lllusia", "Järvinen Iida Illusia"),
        (FieldKind.NAME, "de la Cruz", "de la Cruz"),
        (FieldKind.NAME, "Virtanen Matti | :", "Virtanen Matti"),
        (FieldKind.NAME, "Nieminen Veli-Pekka", "Nieminen Veli-Pekka"),
        (FieldKind.TEXT, "Katu 12 B 34 -", "Katu 12 B 34"),
        (FieldKind.TEXT, "c/o liisa Katu 1", "c/o liisa Katu 1"),
        (FieldKind.DIGITS, "0 05 30.", "00530"),
        (FieldKind.PHONE, "+358 40 123 4567", "+358 40 123 4567"),
        (FieldKind.DATE, "14. 11. 2026", "14.11.2026"),
        (FieldKind.LINES, "first -\nsecond", "first\nsecond"),
    ],
)
def test_what_a_kind_lets_us_know_is_put_right(
    monkeypatch: pytest.MonkeyPatch, kind: FieldKind, read: str, value: str
) -> None:
    says(monkeypatch, *([Words(read, 0.9)] if wording_run == at else [] for at, wording_run in runs_of(kind)))

    assert wording.read_all([("field", kind, PICTURE)])["field"] == Words(value, 0.9)


def runs_of(kind: FieldKind) -> list[tuple[int, int]]:
    """Return each run of a batch beside the run that reads ``kind``; addresses take two."""
    mine = next(
        n
        for n, kinds in enumerate((wording._WORDS, wording._NUMBERS, wording._MAIL, wording._MAIL, wording._LINES))
        if kind in kinds
    )
    return [(n, mine) for n in range(5)]


@pytest.mark.parametrize(
    ("strict", "free", "value", "confidence"),
    [
        ("a.b@example.fi", "a.b @ example.fi", "a.b@example.fi", 0.9),
        ("goran.|@example.se", "goran.!@example.se", "goran.l@example.se", 0.9),
        ("a@example-", "a@example. |", "a@example", 0.3),
        ("asa@examplefi", "asa @example fi", "asa@example.fi", 0.6),
        ("asa@example.fi", "asa@exarnple.fi", "asa@example.fi", 0.3),
        ("A.B@EXAMPLE.FI", "A.B@EXAMPLE.FI", "a.b@example.fi", 0.9),
        ("nothing", "nothing", "nothing", 0.3),
    ],
)
def test_an_address_is_sure_only_when_two_readings_agree(
    monkeypatch: pytest.MonkeyPatch, strict: str, free: str, value: str, confidence: float
) -> None:
    says(monkeypatch, [], [], [Words(strict, 0.0)], [Words(free, 0.5)], [])

    assert wording.read_all([("email", FieldKind.EMAIL, PICTURE)])["email"] == Words(value, confidence)


@pytest.mark.parametrize(
    ("text", "clean"),
    [("a\x00b\x1b[31m", "a b [31m"), ("\ud800x", "x"), ("a\r\n\n b ", "a\nb"), ("\u202eabc", "abc"), ("", "")],
)
def test_control_characters_do_not_pass(text: str, clean: str) -> None:
    assert wording.printable(text) == clean


CELLS = [Image.new("L", (52, 76), 230)] * 11


@pytest.mark.parametrize(
    ("line", "value", "confidence"),
    [
        (Words("010594Y9032", 0.2), "010594Y9032", pytest.approx(0.974, abs=0.001)),
        (Words("0 1 0 5 9 4 Y 9 0 3 2", 0.9), "010594Y9032", pytest.approx(0.997, abs=0.001)),
        (Words("01O594y9032".replace("O", "D"), 0.9), "010594Y9032", pytest.approx(0.997, abs=0.001)),
    ],
)
def test_a_code_whose_check_fits_is_sure(
    monkeypatch: pytest.MonkeyPatch, line: Words, value: str, confidence: float
) -> None:
    says(monkeypatch, [line])

    assert codereader.read_code(CELLS) == Words(value, confidence)


def test_a_code_is_read_again_in_parts_when_its_check_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, day, number, sign, check = (Words(text, 0.8) for text in ("2503134+9330", "250313", "933", "+", "0"))
    says(monkeypatch, [wrong], [day, number], [sign], [check])

    assert codereader.read_code(CELLS) == Words("250313+9330", 0.994)


def test_a_code_that_fits_nowhere_is_worth_little(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, day, number, sign, check = (Words(text, 0.99) for text in ("010594Y9033", "010594", "903", "Y", "3"))
    says(monkeypatch, [wrong], [day, number], [sign], [check])

    assert codereader.read_code(CELLS) == Words("010594Y9033", 0.3)


def page(number: int, form: str | None = None, *, blank: bool = False) -> PageReading:
    return PageReading(number, form, blank=blank)


@pytest.mark.parametrize(
    ("pages", "letters"),
    [
        ([], []),
        ([page(1, "f")], [[1]]),
        ([page(1, "f"), page(2), page(3, "f")], [[1, 2], [3]]),
        ([page(1), page(2, "f")], [[1], [2]]),
        ([page(1, blank=True), page(2, "f")], [[1, 2]]),
        ([page(1, "f"), page(2, blank=True), page(3, "f"), page(4, blank=True)], [[1, 2], [3, 4]]),
        ([page(1), page(2)], [[1, 2]]),
    ],
)
def test_a_form_starts_a_letter(pages: list[PageReading], letters: list[list[int]]) -> None:
    assert [[each.number for each in letter] for letter in group(pages)] == letters


def fields(**changes: FieldReading) -> dict[str, FieldReading]:
    sure = {
        "name": FieldReading("Virtanen Matti", 0.9),
        "code": FieldReading("010594Y9032", 0.9),
        "other_name": FieldReading("", 1.0),
        "other_code": FieldReading("", 1.0),
        "email": FieldReading("", 1.0),
        "kinds": FieldReading(["inspection"], 1.0),
        "answer_by": FieldReading("mail", 1.0),
        "language": FieldReading("fi", 1.0),
        "for_whom": FieldReading("self", 1.0),
    }
    return sure | changes


FORM = "inspection:1:fi"


@pytest.mark.parametrize(
    ("pages", "outcome", "reason"),
    [
        ([PageReading(1, FORM, fields())], "read", None),
        ([PageReading(1, FORM, fields(name=FieldReading("Vi", 0.4)))], "person", "weak_name"),
        ([PageReading(1, FORM, fields(name=FieldReading("", 1.0)))], "person", "weak_name"),
        ([PageReading(1, FORM, fields(code=FieldReading("010594Y9033", 0.3)))], "person", "weak_code"),
        ([PageReading(1, FORM, fields(code=FieldReading("", 1.0)))], "person", "weak_code"),
        ([PageReading(1, FORM, fields(email=FieldReading("a@b", 0.3)))], "person", "weak_email"),
        ([PageReading(1, FORM, fields(answer_by=FieldReading(None, 0.3)))], "person", "unclear_tick"),
        ([PageReading(1, FORM, fields(for_whom=FieldReading("child", 1.0)))], "person", "weak_name"),
        ([PageReading(1, FORM, fields(), fault="ocr_missing")], "person", "ocr_missing"),
        ([PageReading(1, "inspection:9:fi", fault="unknown_form")], "person", "unknown_form"),
        ([PageReading(1, FORM, fields()), PageReading(2, fault="unreadable_page")], "person", "unreadable_page"),
        ([PageReading(1, FORM, fields()), PageReading(2, text="Hei")], "read", None),
        ([PageReading(1, text="Hei")], "person", "no_form"),
        ([PageReading(1, blank=True)], "person", "blank"),
    ],
)
def test_when_a_person_must_look(
    monkeypatch: pytest.MonkeyPatch, pages: list[PageReading], outcome: str, reason: str | None
) -> None:
    monkeypatch.setattr("vault.intake.scan._pages", lambda *_: pages)

    result = read_scan(b"any")

    assert (result.outcome, result.reason) == (outcome, reason)
    assert (result.letters[0].outcome, result.letters[0].reason) == (outcome, reason)


def test_a_child_that_fails_refuses_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UnreadableError("child_timeout", "")

    monkeypatch.setattr("vault.intake.scan._pages", fail)

    assert read_scan(b"any") == ScanResult("refused", "child_timeout")


def test_a_file_that_is_too_large_is_not_even_opened() -> None:
    assert read_scan(b"12345", Limits(message_bytes=4)) == ScanResult("refused", "too_large")


def test_the_answer_is_the_contract_s() -> None:
    letter = Letter((1, 2), FORM, {"name": FieldReading("Virtanen", 0.9)}, ("code",), "text", "person", "weak_code")

    assert ScanResult("person", "weak_code", (letter,)).to_json() == {
        "outcome": "person",
        "reason": "weak_code",
        "letters": [
            {
                "pages": [1, 2],
                "form": FORM,
                "fields": {"name": {"value": "Virtanen", "confidence": 0.9}},
                "barcodes": ["code"],
                "text": "text",
            }
        ],
    }


def test_nothing_personal_shows_in_a_repr() -> None:
    reading = FieldReading("Virtanen", 0.9)
    letter = Letter((1,), FORM, {"name": reading}, ("Virtanen",), "Virtanen")
    seen = repr(
        (
            reading,
            letter,
            ScanResult("read", None, (letter,)),
            PageReading(1, FORM, {"name": reading}),
            Words("Virtanen", 1),
        )
    )

    assert "Virtanen" not in seen


def test_the_back_of_a_sheet_is_blank_though_the_scanner_s_edge_is_dark() -> None:
    back = Image.new("L", (827, 1169), 235)
    ImageDraw.Draw(back).rectangle((0, 0, 30, 1169), fill=20)
    written = back.copy()
    ImageDraw.Draw(written).text((300, 300), "Hei", fill=20, font_size=40)

    assert is_blank(back)
    assert is_blank(Image.new("L", (1, 1), 255))
    assert not is_blank(written)


def test_the_reader_works_without_numpy() -> None:
    program = """
import sys, json
sys.modules["numpy"] = None
from vault.intake.align import align, find_codes
from vault.intake.forms import INSPECTION_1
from vault.intake.sheet import read_ticks
from vault.testing.scans import fill_form, print_sheet
page = print_sheet(fill_form({"kinds": ("log",)}), 150)
found = read_ticks(align(page, INSPECTION_1, find_codes(page)[0]), INSPECTION_1)
print(json.dumps(found["kinds"].value))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(said.stdout) == ["log"]
