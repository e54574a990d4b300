"""Whole scans through the sandboxed child and the real Tesseract: every field, every container, every way to fail."""

import io
import json
from pathlib import Path

import pikepdf
import pytest
from click.testing import CliRunner
from PIL import Image

from vault.cli import main
from vault.intake.ocr import is_installed
from vault.intake.scan import ScanResult, read_scan
from vault.settings import Limits
from vault.testing import scans
from vault.testing.scans import Values

ASA: Values = {
    "name": "Öhman-Mäkelä Åsa Kristiina",
    "code": "010594Y9032",
    "street": "Pitkäniemenkatu 12 B 34",
    "postal_code": "00530",
    "city": "Helsinki",
    "email": "asa.ohman@example.fi",
    "phone": "+358 40 123 4567",
    "kinds": ("inspection", "log"),
    "details": "Haluan tietää, kuka on lukenut käyntejäni keväällä 2025.",
    "answer_by": "mail",
    "language": "fi",
    "for_whom": "self",
    "date": "14.11.2026",
}
GORAN: Values = {
    "name": "Lindström Göran",
    "code": "131052-9085",
    "street": "Storgatan 118 C",
    "postal_code": "65100",
    "city": "Vasa",
    "email": "goran.l@mail.example.se",
    "phone": "050 765 4321",
    "kinds": ("rectification",),
    "details": "Uppgiften om medicinen är fel.",
    "answer_by": "paper",
    "language": "sv",
    "for_whom": "child",
    "other_name": "Lindström Iida",
    "other_code": "010516A930T",
    "date": "1.12.2026",
}


def values(result: ScanResult, letter: int = 0) -> dict[str, object]:
    return {name: reading.value for name, reading in result.letters[letter].fields.items()}


def expected(written: Values, *, signed: bool = True) -> dict[str, object]:
    texts: dict[str, object] = {"other_name": "", "other_code": "", "signature": signed}
    return texts | {name: list(value) if isinstance(value, tuple) else value for name, value in written.items()}


def test_tesseract_is_installed() -> None:
    assert is_installed(), "apt-get install tesseract-ocr tesseract-ocr-fin tesseract-ocr-swe"


@pytest.mark.parametrize(
    ("person", "language", "dpi", "seed"),
    [(ASA, "fi", 200, 1), (ASA, "en", 300, 2), (GORAN, "sv", 200, 2), (GORAN, "fi", 300, 1)],
)
def test_every_field_of_a_scan_is_read(person: Values, language: str, dpi: int, seed: int) -> None:
    page = scans.scanned_form(person, language, dpi=dpi, seed=seed)

    result = read_scan(scans.as_pdf([page], dpi))

    assert values(result) == expected(person)
    assert (result.outcome, result.reason) == ("read", None)
    assert result.letters[0].form == f"inspection:1:{language}"
    assert result.letters[0].barcodes == (f"dsr-form:inspection:1:{language}",)


@pytest.mark.parametrize("change", ["upside down", "sideways", "black and white", "photograph"])
def test_it_does_not_matter_how_it_was_scanned(change: str) -> None:
    page = scans.scanned_form(ASA, dpi=200, seed=3)
    target = io.BytesIO()
    if change == "upside down":
        page.rotate(180).save(target, "PNG")
    elif change == "sideways":
        page.rotate(90, expand=True).save(target, "TIFF", compression="tiff_lzw")
    elif change == "black and white":
        page.point(lambda level: 255 if level > 130 else 0).convert("1").save(target, "TIFF", compression="group4")
    else:
        page.convert("RGB").save(target, "JPEG", quality=70)

    assert values(read_scan(target.getvalue())) == expected(ASA)


def test_a_batch_holds_several_letters() -> None:
    asa, goran = (scans.scanned_form(person, dpi=200, seed=4) for person in (ASA, GORAN))
    back = Image.new("L", asa.size, 240)

    result = read_scan(scans.as_tiff([asa, back, goran], 200))

    assert result.outcome == "read"
    assert [letter.pages for letter in result.letters] == [(1, 2), (3,)]
    assert values(result, 0)["code"] == ASA["code"]
    assert values(result, 1)["code"] == GORAN["code"]


def test_a_batch_of_more_pages_than_a_child_takes_keeps_its_order() -> None:
    back = Image.new("L", (400, 560), 250)
    asa = scans.scanned_form(ASA, dpi=200, seed=5)

    result = read_scan(scans.as_tiff([asa, *[back] * 5, asa], 200))

    assert [letter.pages for letter in result.letters] == [(1, 2, 3, 4, 5, 6), (7,)]


def test_what_was_typed_into_the_pdf_is_taken_as_it_is() -> None:
    result = read_scan(scans.fill_form(ASA))

    assert result.outcome == "read"
    assert values(result) == expected(ASA, signed=False)
    assert {reading.confidence for reading in result.letters[0].fields.values()} == {1.0}


def test_a_printed_form_is_read_without_its_fields() -> None:
    printed = scans.print_sheet(scans.fill_form(ASA), 300, seed=6)

    assert values(read_scan(scans.as_pdf([printed], 300))) == expected(ASA)


def test_an_empty_form_waits_for_a_person() -> None:
    result = read_scan(scans.as_pdf([scans.scanned_form({}, dpi=200, seed=7)], 200))

    assert (result.outcome, result.reason) == ("person", "weak_name")


def test_a_sheet_that_nobody_can_read_waits_for_a_person() -> None:
    result = read_scan(scans.as_pdf([scans.unreadable_sheet()], 200))

    assert (result.outcome, result.reason) == ("person", "unreadable_page")
    assert result.letters[0].form is None


def test_a_plain_letter_waits_for_a_person_with_its_words() -> None:
    letter = scans.plain_letter(["Hei,", "pyydän saada nähdä omat potilastietoni.", "Terveisin Matti Virtanen"])

    result = read_scan(scans.as_pdf([letter], 200))

    assert (result.outcome, result.reason) == ("person", "no_form")
    assert "omat potilastietoni" in result.letters[0].text


def test_a_form_whose_corner_is_torn_off_waits_for_a_person() -> None:
    page = scans.scanned_form(ASA, dpi=200, seed=8)
    page.paste(30, (0, page.height - 300, 300, page.height))

    result = read_scan(scans.as_tiff([page], 200))

    assert (result.outcome, result.reason) == ("person", "not_registered")
    assert result.letters[0].form == "inspection:1:fi"


def test_a_form_that_is_not_ours_waits_for_a_person() -> None:
    later = scans.print_sheet(scans.fill_form({}, form=scans.next_version()), 200)

    result = read_scan(scans.as_tiff([later], 200))

    assert (result.outcome, result.reason) == ("person", "unknown_form")
    assert result.letters[0].form == "inspection:99:fi"


def test_a_form_written_by_hand_badly_waits_for_a_person() -> None:
    sheet = scans.print_sheet(scans.fill_form({**ASA, "name": "", "code": ""}), 200)
    scans.scribble(sheet, "name", 200, seed=9)
    scans.scribble(sheet, "code", 200, seed=9)

    result = read_scan(scans.as_pdf([scans.scan_sheet(sheet, 200, 9)], 200))

    assert result.outcome == "person"
    assert result.reason in {"weak_name", "weak_code"}


def test_without_tesseract_a_person_reads_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    result = read_scan(scans.as_pdf([scans.scanned_form(ASA, dpi=200, seed=10)], 200))

    assert (result.outcome, result.reason) == ("person", "ocr_missing")
    assert values(result)["kinds"] == ["inspection", "log"]
    assert values(result)["name"] is None


def broken(data: bytes) -> bytes:
    return data[: len(data) // 3]


def locked() -> bytes:
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(scans.fill_form({}))) as pdf:
        pdf.save(target, encryption=pikepdf.Encryption(owner="o", user="u"))
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "limits", "reason"),
    [
        (b"", Limits(), "empty"),
        (b"MZ\x90\0", Limits(), "unknown_type"),
        (broken(scans.as_tiff([scans.unreadable_sheet(50)], 50)), Limits(), "broken"),
        (locked(), Limits(), "encrypted"),
        (scans.as_tiff([Image.new("1", (20, 20))] * 4, 50), Limits(pages=3), "too_many_pages"),
        (scans.as_tiff([Image.new("1", (2000, 2000))], 50), Limits(pixels=1_000_000), "too_many_pixels"),
        (scans.fill_form({}), Limits(message_bytes=100), "too_large"),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_raises(data: bytes, limits: Limits, reason: str) -> None:
    assert read_scan(data, limits) == ScanResult("refused", reason)


def test_a_child_without_memory_refuses_the_file() -> None:
    result = read_scan(scans.fill_form({}), Limits(child_bytes=1_000_000))

    assert result.outcome == "refused"
    assert str(result.reason).startswith("child_")


def test_the_command_answers_as_the_contract_says(tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(scans.fill_form(ASA))

    said = CliRunner().invoke(main, ["inspect", "scan", str(file), "--json"])

    answer = json.loads(said.stdout)
    assert said.exit_code == 0
    assert (answer["outcome"], answer["reason"]) == ("read", None)
    assert set(answer["letters"][0]) == {"pages", "form", "fields", "barcodes", "text"}
    assert answer["letters"][0]["fields"]["code"] == {"value": ASA["code"], "confidence": 1.0}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr("vault.intake.sandbox._base", lambda: tmp_path)

    result = read_scan(scans.as_pdf([scans.scanned_form(ASA, dpi=200, seed=11)], 200))

    assert result.outcome == "read"
    assert list(tmp_path.iterdir()) == []
