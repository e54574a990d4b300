"""Laying a picture over its form: maps, marks, ink, and what must be refused."""

from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from vault.errors import UnreadableError
from vault.intake import geometry, ink
from vault.intake.align import align, find_codes
from vault.intake.forms import INSPECTION_1
from vault.testing.scans import fill_form, print_sheet, scan_sheet

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


@pytest.fixture(scope="module")
def paper() -> Image.Image:
    return print_sheet(fill_form({"name": "Virtanen Matti"}), 150, sign=False)


def test_an_exact_map_takes_corners_to_corners() -> None:
    seen = ((3.0, 4.0), (110.0, 9.0), (104.0, 120.0), (-2.0, 99.0))

    mapping = geometry.fit(SQUARE, seen)

    for source, target in zip(SQUARE, seen, strict=True):
        assert geometry.apply(mapping, source) == pytest.approx(target)


def test_an_even_map_averages_out_what_does_not_agree() -> None:
    seen = ((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 24.0))

    mapping = geometry.fit_evenly(SQUARE, seen)

    assert geometry.apply(mapping, (5.0, 5.0)) == pytest.approx((10.0, 11.0))
    assert mapping[6:] == (0.0, 0.0)


@pytest.mark.parametrize("fit", [geometry.fit, geometry.fit_evenly])
def test_points_on_one_line_are_refused(fit: object) -> None:
    line = [(float(n), float(n)) for n in range(4)]
    assert callable(fit)

    with pytest.raises(UnreadableError, match="not_registered"):
        fit(line, SQUARE)


def test_a_point_at_infinity_is_refused() -> None:
    with pytest.raises(UnreadableError, match="not_registered"):
        geometry.apply((1, 0, 0, 0, 1, 0, -0.1, 0), (10.0, 0.0))


def test_scaling_first_is_the_same_map() -> None:
    mapping = geometry.fit(SQUARE, ((3.0, 4.0), (110.0, 9.0), (104.0, 120.0), (-2.0, 99.0)))

    scaled = geometry.after_scaling(mapping, 0.25, (2.0, 3.0))

    assert geometry.apply(scaled, (8.0, 4.0)) == pytest.approx(geometry.apply(mapping, (4.0, 4.0)))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("skew", [0.0, 0.8, 4.0])
def test_a_sheet_is_laid_over_its_form_however_it_lay_in_the_scanner(
    paper: Image.Image, skew: float, turn: int
) -> None:
    page = scan_sheet(paper, 150, seed=5, skew=skew).rotate(turn, expand=True)

    sheet = align(page, INSPECTION_1, find_codes(page)[0])

    for mark in INSPECTION_1.marks:
        assert max(sheet.cut(mark.inset(0.4)).tobytes()) < 140, "the mark fills its place"
        assert ink.share(sheet.cut(mark.inset(-1)).crop((0, 0, 60, 10))) < 0.05, "and nothing more"


@pytest.mark.parametrize("missing", range(4))
def test_a_sheet_without_one_of_its_marks_is_refused(paper: Image.Image, missing: int) -> None:
    page = paper.copy()
    mark = INSPECTION_1.marks[missing].inset(-1)
    edges = [edge * 150 / 25.4 for edge in (mark.x, mark.y, mark.x + mark.width, mark.y + mark.height)]
    ImageDraw.Draw(page).rectangle(edges, fill=255)

    with pytest.raises(UnreadableError, match="not_registered"):
        align(page, INSPECTION_1, find_codes(page)[0])


def test_marks_that_do_not_agree_with_the_code_are_refused(paper: Image.Image) -> None:
    page = paper.copy()
    code = INSPECTION_1.qr.inset(-2)
    scale = 150 / 25.4
    place = (round(code.x * scale), round(code.y * scale))
    size = (round(code.width * scale), round(code.height * scale))
    cut = page.crop((*place, place[0] + size[0], place[1] + size[1]))
    page.paste(255, (*place, place[0] + size[0], place[1] + size[1]))
    page.paste(cut, (place[0] - 10, place[1] + 10))  # 2.4 mm off: the sheet was pasted together

    with pytest.raises(UnreadableError, match="not_registered"):
        align(page, INSPECTION_1, find_codes(page)[0])


def test_two_codes_on_a_page_are_both_found(paper: Image.Image) -> None:
    page = Image.new("L", (paper.width * 2, paper.height), 255)
    page.paste(paper, (0, 0))
    page.paste(paper, (paper.width, 0))

    assert [code.text for code in find_codes(page)] == [INSPECTION_1.payload("fi")] * 2


def test_codes_of_other_kinds_are_not_looked_for() -> None:
    code: Any = zxingcpp.create_barcode("DSR", zxingcpp.Code128).to_image(scale=3)
    page = Image.new("L", (500, 300), 255)
    page.paste(Image.frombytes("L", (code.shape[1], code.shape[0]), bytes(memoryview(code))), (50, 50))

    assert [found.text for found in zxingcpp.read_barcodes(page)] == ["DSR"]
    assert find_codes(page) == []


def test_ink_is_told_from_paper_on_a_dark_scan() -> None:
    cutting = Image.new("L", (100, 100), 150)
    ImageDraw.Draw(cutting).rectangle((20, 20, 39, 29), fill=40)

    assert ink.share(cutting) == pytest.approx(0.02, abs=0.002)
    assert ink.share(Image.new("L", (100, 100), 150)) == 0
    assert ink.stroke_share(Image.new("L", (100, 100), 150)) == 0


def test_cleaning_leaves_black_on_white() -> None:
    cutting = Image.new("L", (100, 60), 190)
    ImageDraw.Draw(cutting).rectangle((30, 20, 50, 40), fill=90)

    cleaned = ink.clean(cutting, 10)

    assert cleaned.size == (120, 80)
    assert set(cleaned.crop((0, 0, 30, 20)).tobytes()) == {255}
    assert cleaned.getpixel((50, 40)) == 0


def test_specks_far_from_the_words_are_cut_off() -> None:
    cutting = Image.new("L", (400, 60), 230)
    pen = ImageDraw.Draw(cutting)
    pen.rectangle((10, 20, 80, 40), fill=30)
    pen.rectangle((300, 20, 303, 23), fill=30)

    assert ink.narrowed(cutting).width == pytest.approx(80, abs=4)


def test_nothing_is_cut_off_where_there_is_no_ink() -> None:
    assert ink.narrowed(Image.new("L", (400, 60), 230)).size == (400, 60)


@pytest.mark.parametrize(("box", "flat"), [((10, 20, 30, 23), True), ((10, 10, 14, 30), False), (None, False)])
def test_a_dash_is_flat(box: tuple[int, int, int, int] | None, flat: bool) -> None:
    cell = Image.new("L", (50, 70), 230)
    if box:
        ImageDraw.Draw(cell).rectangle(box, fill=30)

    assert ink.is_flat(cell) is flat
