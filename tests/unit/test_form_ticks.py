"""Ticks and signatures: what pens do to a square, and what a person must decide."""

from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw

from vault.intake.align import align, find_codes
from vault.intake.forms import INSPECTION_1, Box
from vault.intake.readings import FieldReading
from vault.intake.sheet import read_ticks
from vault.testing.scans import fill_form, print_sheet, scan_sheet, scribble

DPI = 200
SCALE = DPI / 25.4


@pytest.fixture(scope="module")
def paper() -> Image.Image:
    return print_sheet(fill_form({}), DPI, sign=False)


def place(box: Box) -> tuple[float, float, float, float]:
    return (box.x * SCALE, box.y * SCALE, (box.x + box.width) * SCALE, (box.y + box.height) * SCALE)


def line(page: Image.Image, box: Box, *points: tuple[float, float], level: int = 40, width: float = 0.4) -> None:
    """Draw a pen's line through points given as shares of the box."""
    x, y, right, bottom = place(box)
    path = [(x + (right - x) * across, y + (bottom - y) * down) for across, down in points]
    ImageDraw.Draw(page).line(path, fill=level, width=round(width * SCALE))


def cross(page: Image.Image, box: Box) -> None:
    line(page, box, (0.1, 0.1), (0.9, 0.9))
    line(page, box, (0.9, 0.1), (0.1, 0.9))


def hook(page: Image.Image, box: Box) -> None:
    line(page, box, (0.2, 0.5), (0.4, 0.8), (1.1, -0.3))


def pencil(page: Image.Image, box: Box) -> None:
    line(page, box, (0.2, 0.2), (0.8, 0.8), level=130, width=0.5)


def filled(page: Image.Image, box: Box) -> None:
    ImageDraw.Draw(page).rectangle(place(box.inset(0.5)), fill=50)


def nothing(_page: Image.Image, _box: Box) -> None:
    """Leave it empty."""


def beside(page: Image.Image, box: Box) -> None:
    line(page, box, (1.3, -0.2), (1.6, 1.2))


def read(page: Image.Image, seed: int = 1) -> dict[str, FieldReading]:
    scanned = scan_sheet(page, DPI, seed)
    return read_ticks(align(scanned, INSPECTION_1, find_codes(scanned)[0]), INSPECTION_1)


@pytest.mark.parametrize(
    ("pen", "ticked"),
    [(cross, True), (hook, True), (pencil, True), (filled, True), (nothing, False), (beside, False)],
)
def test_a_pen_ticks_a_square(paper: Image.Image, pen: Callable[[Image.Image, Box], None], ticked: bool) -> None:
    page = paper.copy()
    for name in ("kinds", "answer_by"):
        pen(page, INSPECTION_1.field(name).options[1].box)

    found = read(page)

    assert found["kinds"] == FieldReading(["log"] if ticked else [], 1.0)
    assert found["answer_by"] == FieldReading("paper" if ticked else None, 1.0)


def test_two_ticks_where_one_may_be_are_left_to_a_person(paper: Image.Image) -> None:
    page = paper.copy()
    for option in INSPECTION_1.field("answer_by").options:
        cross(page, option.box)

    assert read(page)["answer_by"] == FieldReading(None, 0.3)


def test_a_dot_in_a_square_is_left_to_a_person(paper: Image.Image) -> None:
    page = paper.copy()
    line(page, INSPECTION_1.field("kinds").options[0].box, (0.4, 0.5), (0.55, 0.5), width=0.5)

    assert read(page)["kinds"].confidence == pytest.approx(0.3)


def test_a_signature_is_ink_in_its_box(paper: Image.Image) -> None:
    signed = paper.copy()
    scribble(signed, "signature", DPI, seed=3)

    assert read(signed)["signature"] == FieldReading(value=True, confidence=1.0)
    assert read(paper)["signature"].value is False
