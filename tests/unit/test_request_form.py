"""The form's registry: geometry that fits the page, words in every language, QR payloads, and the printed PDF."""

import io
import itertools
import json
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
import zxingcpp
from click.testing import CliRunner
from PIL import Image

from vault.cli import main
from vault.domain.request import LANGUAGES, AnswerBy, RequestKind
from vault.errors import WrongUseError
from vault.intake.formpdf import Sender, print_form
from vault.intake.forms import CHOICES, FORMS, INSPECTION_1, Box, FieldKind, Form, Payload, parse_payload, ticks
from vault.intake.formtexts import TEXTS
from vault.testing.scans import fill_form

SENDER = Sender("Esimerkin psykoterapiakeskus", ("Esimerkkikatu 1", "00100 Helsinki"))
POINTS = 72 / 25.4


def squares(form: Form) -> list[Box]:
    written = [field.box for field in form.fields if field.kind not in CHOICES]
    return [form.qr, *form.marks, *written, *(option.box for _, option in ticks(form))]


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


def drawn(pdf: bytes, dpi: int = 100) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    document.init_forms()
    try:
        picture: Image.Image = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
        return picture
    finally:
        document.close()


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: f"{form.name}-{form.version}")
def test_boxes_lie_on_the_page_and_apart(form: Form) -> None:
    boxes = squares(form)

    assert all(box.x >= 5 and box.y >= 5 for box in boxes)
    assert all(box.x + box.width <= form.page.width - 5 for box in boxes)
    assert all(box.y + box.height <= form.page.height - 5 for box in boxes)
    assert all(apart(one, other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: f"{form.name}-{form.version}")
def test_marks_stand_alone_so_that_nothing_is_taken_for_one(form: Form) -> None:
    others = [box for box in squares(form) if box not in form.marks]

    assert form.qr.width == 30
    assert len(form.marks) == 4
    assert all(apart(mark.inset(-6), other) for mark in form.marks for other in others)


def test_options_are_the_words_of_the_domain() -> None:
    values = {field.name: {option.value for option in field.options} for field in INSPECTION_1.fields if field.options}

    assert values == {
        "kinds": {RequestKind.INSPECTION, RequestKind.LOG, RequestKind.RECTIFICATION},
        "answer_by": set(AnswerBy),
        "language": set(LANGUAGES),
        "for_whom": {"self", "child", "other"},
    }


def test_code_fields_have_a_cell_a_character() -> None:
    cells = INSPECTION_1.field("code").cells()

    assert len(cells) == 11
    assert cells[0].x == INSPECTION_1.field("code").box.x
    assert cells[-1].x + cells[-1].width == pytest.approx(INSPECTION_1.field("code").box.x + 66)


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: f"{form.name}-{form.version}")
def test_every_language_has_every_word(form: Form) -> None:
    needed = {field.name for field in form.fields} | {f"{field.name}.{option.value}" for field, option in ticks(form)}

    for language in form.languages:
        assert needed <= set(TEXTS[language])
        assert set(TEXTS[language]) == set(TEXTS["fi"])
        assert all(words.strip() for words in TEXTS[language].values())


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("dsr-form:inspection:1:fi", True),
        ("dsr-form:inspection:1:en", True),
        ("dsr-form:inspection:1:de", False),
        ("dsr-form:inspection:2:fi", False),
        ("dsr-form:other:1:fi", False),
    ],
)
def test_a_payload_names_a_form_or_one_that_is_not_ours(text: str, known: bool) -> None:
    payload = parse_payload(text)

    assert payload is not None
    assert str(payload) == text
    assert (payload.form() is INSPECTION_1) is known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dsr-form",
        "dsr-form:inspection:01:fi",
        "dsr-form:inspection:0:fi",
        "dsr-form:inspection:1:FI",
        "dsr-form:inspection:1:fi\n",
        " dsr-form:inspection:1:fi",
        "dsr-form:inspection:١:fi",
        "https://example.fi",
    ],
)
def test_anything_else_is_no_payload(text: str) -> None:
    assert parse_payload(text) is None


def test_payload_round_trip() -> None:
    assert str(Payload("inspection", 1, "sv")) == INSPECTION_1.payload("sv")


@pytest.mark.parametrize("language", INSPECTION_1.languages)
def test_the_printed_form_is_one_tagged_page_in_its_language(language: str) -> None:
    with pikepdf.open(io.BytesIO(print_form(INSPECTION_1, language, SENDER))) as pdf:
        assert len(pdf.pages) == 1
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == language
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        assert [float(edge) for edge in pdf.pages[0].mediabox] == pytest.approx([0, 0, 595.28, 841.89], abs=0.1)
        tagged = [element for element in pdf.Root.StructTreeRoot.K[0].K if element.S == "/Form"]
        widgets = pdf.pages[0].obj.Annots
        assert [element.K.Obj.objgen for element in tagged] == [widget.objgen for widget in widgets]


@pytest.mark.parametrize("language", INSPECTION_1.languages)
def test_the_printed_code_and_marks_stand_where_the_registry_says(language: str) -> None:
    picture = drawn(print_form(INSPECTION_1, language, SENDER), 200)
    scale = 200 / 25.4

    [code] = zxingcpp.read_barcodes(picture)

    assert code.text == INSPECTION_1.payload(language)
    assert code.position.top_left.x == pytest.approx(INSPECTION_1.qr.x * scale, abs=4)
    assert code.position.bottom_right.y == pytest.approx((INSPECTION_1.qr.y + 30) * scale, abs=4)
    for mark in INSPECTION_1.marks:
        x, y = mark.centre()
        assert picture.getpixel((round(x * scale), round(y * scale))) == 0
        assert picture.getpixel((round((x + 3) * scale), round(y * scale))) == 255


def test_fields_carry_labels_and_stand_in_keyboard_order() -> None:
    with pikepdf.open(io.BytesIO(print_form(INSPECTION_1, "en", SENDER))) as pdf:
        widgets = list(pdf.pages[0].obj.Annots)
        labels = [str(widget.TU) for widget in widgets]
        first = widgets[0]
        corner = (float(first.Rect[0]) / POINTS, 297 - float(first.Rect[3]) / POINTS)
        fonts = {str(field.DA).split(" ")[0] for field in pdf.Root.AcroForm.Fields if "/DA" in field}

    assert labels[:3] == ["Full name", "Personal identity code", "Street address"]
    assert labels[-1] == "Date (dd.mm.yyyy)"
    assert len(labels) == 11 + 11  # ten lines and the details, eleven squares
    assert corner == pytest.approx((21, 71), abs=0.1)
    assert fonts == {"/Helv"}


def test_the_same_form_has_the_same_bytes() -> None:
    first = print_form(INSPECTION_1, "fi", SENDER)

    assert first == print_form(INSPECTION_1, "fi", SENDER)
    with pikepdf.open(io.BytesIO(first)) as pdf:
        assert str(pdf.docinfo.CreationDate).startswith("D:20260101000000")


def test_the_controller_stands_on_the_form_as_text_not_as_markup() -> None:
    strange = Sender("#panic() $x$ *Oy* \\ <a>", ("Katu 1",))

    document = pypdfium2.PdfDocument(print_form(INSPECTION_1, "fi", strange))
    text = document[0].get_textpage().get_text_range()
    document.close()

    assert "#panic() $x$ *Oy* \\ <a>, Katu 1" in text


def test_a_language_that_was_never_printed_is_refused() -> None:
    with pytest.raises(WrongUseError, match="form_language"):
        print_form(INSPECTION_1, "de")


def test_a_filled_form_shows_its_ticks() -> None:
    empty, filled = (drawn(fill_form({"kinds": ticked}, "fi")) for ticked in ((), ("log",)))
    box = INSPECTION_1.field("kinds").options[1].box.inset(0.8)
    edges = [round(edge * 100 / 25.4) for edge in (box.x, box.y, box.x + box.width, box.y + box.height)]

    assert min(empty.crop((edges[0], edges[1], edges[2], edges[3])).tobytes()) > 200
    assert min(filled.crop((edges[0], edges[1], edges[2], edges[3])).tobytes()) < 100


def test_the_command_writes_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(tmp_path / "none.toml"))
    file = tmp_path / "lomake.pdf"

    result = CliRunner().invoke(main, ["form", "--language", "sv", "--out", str(file), "--json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)["form"] == "dsr-form:inspection:1:sv"
    assert json.loads(result.stdout)["size"] == file.stat().st_size
    assert file.read_bytes() == print_form(INSPECTION_1, "sv")


def test_the_command_says_when_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(tmp_path / "none.toml"))

    result = CliRunner().invoke(main, ["form", "--out", str(tmp_path / "no" / "where.pdf"), "--json"])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == "form_unwritable"


def test_kinds_of_fields_are_all_used_or_gone() -> None:
    assert {field.kind for field in INSPECTION_1.fields} == set(FieldKind)
