"""Opening scanners' files: every kind of picture, and a stable refusal for every kind of damage."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable

import pikepdf
import pytest
from PIL import Image

from vault.errors import UnreadableError
from vault.intake.forms import INSPECTION_1
from vault.intake.pages import Page, open_pages
from vault.intake.readings import PageLimits
from vault.testing.scans import as_pdf, as_tiff, fill_form

LIMITS = PageLimits(pages=5, pixels=4_000_000)
SMALL = Image.new("L", (80, 100), 200)
BUSY = Image.frombytes("L", (80, 100), hashlib.shake_256(b"busy").digest(8000))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def pages(data: bytes, limits: PageLimits = LIMITS) -> list[Page]:
    with open_pages(data, limits) as source:
        return [source.page(number) for number in range(source.total)]


def png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def pdf_of(page: Callable[[pikepdf.Pdf], None], *, encryption: pikepdf.Encryption | bool = False) -> bytes:
    with pikepdf.new() as pdf:
        page(pdf)
        target = io.BytesIO()
        pdf.save(target, encryption=encryption)
    return target.getvalue()


def blank(pdf: pikepdf.Pdf) -> None:
    pdf.add_blank_page(page_size=(200, 300))


def no_page(_: pikepdf.Pdf) -> None:
    """Leave the document empty."""


def wall(pdf: pikepdf.Pdf) -> None:
    pdf.add_blank_page(page_size=(14_000, 14_000))


def picture_bomb(pdf: pikepdf.Pdf) -> None:
    pdf.add_blank_page(page_size=(200, 300))
    packed = zlib.compress(b"\0" * 100_000)
    pdf.pages[0].obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary())
    pdf.pages[0].obj.Resources.XObject.Im = pikepdf.Stream(
        pdf,
        packed,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=35_000,
        Height=35_000,
        BitsPerComponent=1,
        ColorSpace=pikepdf.Name.DeviceGray,
        Filter=pikepdf.Name.FlateDecode,
    )


def many(pdf: pikepdf.Pdf) -> None:
    for _ in range(6):
        blank(pdf)


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (saved(SMALL, "PNG"), [(80, 100)]),
        (saved(SMALL, "JPEG"), [(80, 100)]),
        (saved(SMALL.convert("RGBA"), "PNG"), [(80, 100)]),
        (saved(SMALL.convert("1"), "TIFF", compression="group4"), [(80, 100)]),
        (saved(SMALL.convert("CMYK"), "TIFF"), [(80, 100)]),
        (saved(SMALL.convert("P"), "PNG", transparency=0), [(80, 100)]),
        (saved(SMALL.convert("LA"), "PNG"), [(80, 100)]),
        (as_tiff([SMALL, SMALL.resize((40, 50))], 300), [(80, 100), (40, 50)]),
        (as_pdf([SMALL, SMALL], 300), [(81, 100), (81, 100)]),
        (b"\r\n" + as_pdf([SMALL], 300), [(81, 100)]),
    ],
)
def test_every_kind_of_picture_becomes_grey_pages(data: bytes, sizes: list[tuple[int, int]]) -> None:
    found = pages(data)

    assert [page.picture.size for page in found] == sizes
    assert {page.picture.mode for page in found} == {"L"}
    assert all(page.typed == {} for page in found)


@pytest.mark.parametrize(("level", "expected"), [(0, 0), (32768, 128), (65535, 255)])
def test_sixteen_bits_keep_their_lightness(level: int, expected: int) -> None:
    deep = Image.new("I;16", (10, 10), level)

    [page] = pages(saved(deep, "PNG"))

    assert page.picture.getpixel((5, 5)) == expected


def test_clear_paper_is_white() -> None:
    [page] = pages(saved(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), "PNG"))

    assert page.picture.getpixel((5, 5)) == 255


def test_a_camera_s_turn_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees

    [page] = pages(saved(SMALL, "JPEG", exif=exif))

    assert page.picture.size == (100, 80)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"hello", "unknown_type"),
        (b"GIF89a" + b"\0" * 50, "unknown_type"),
        (b"PK\x03\x04" + b"\0" * 50, "unknown_type"),
        (b"%PDF-1.7\n", "broken"),
        (b"%PDF-1.7\nnothing", "broken"),
        (b"II*\0" + b"\x08\0\0\0" + b"\0" * 6, "broken"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 20, "broken"),
        (saved(SMALL, "PNG")[:60], "broken"),
        (saved(SMALL, "JPEG")[:-200], "broken"),
        (as_tiff([BUSY], 300, compression="tiff_adobe_deflate")[:3000], "broken"),
        (as_pdf([SMALL], 300)[:200], "broken"),
        (png_bomb(60_000), "too_many_pixels"),
        (saved(Image.new("1", (3000, 3000)), "TIFF", compression="group4"), "too_many_pixels"),
        (pdf_of(picture_bomb), "too_many_pixels"),
        (pdf_of(many), "too_many_pages"),
        (as_tiff([SMALL] * 6, 300), "too_many_pages"),
        (pdf_of(no_page), "empty"),
        (pdf_of(blank, encryption=pikepdf.Encryption(owner="o", user="u")), "encrypted"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        pages(data)

    assert caught.value.code == code


def test_a_pdf_that_anybody_may_open_is_opened() -> None:
    locked = pdf_of(blank, encryption=pikepdf.Encryption(owner="o", user=""))

    assert len(pages(locked)) == 1


def test_a_huge_pdf_page_is_drawn_within_the_limit() -> None:
    [page] = pages(pdf_of(wall))

    assert page.picture.width * page.picture.height <= LIMITS.pixels * 1.01


def test_typed_values_are_taken_from_the_fields() -> None:
    filled = fill_form({"name": "Öhman Åsa", "kinds": ("log",), "answer_by": "paper", "details": "yksi\nkaksi"})

    [page] = pages(filled, PageLimits(5, 60_000_000))

    assert page.typed == {
        "name": "Öhman Åsa",
        "details": "yksi\nkaksi",
        "kinds.log": "on",
        "answer_by.paper": "on",
    }


def test_odd_annotations_are_no_fields_of_ours() -> None:
    def odd(pdf: pikepdf.Pdf) -> None:
        blank(pdf)
        widget = pikepdf.Dictionary(
            Subtype=pikepdf.Name.Widget, FT=pikepdf.Name.Tx, T=1, V=pikepdf.Array([1]), Parent=7
        )
        pdf.pages[0].obj.Annots = pikepdf.Array([1, pikepdf.Dictionary(), widget])

    [page] = pages(pdf_of(odd))

    assert page.typed == {}


def test_an_empty_form_holds_nothing_typed() -> None:
    [page] = pages(fill_form({}), PageLimits(5, 60_000_000))

    assert page.typed == {}
    assert page.picture.size == pytest.approx((INSPECTION_1.page.width * 300 / 25.4, 297 * 300 / 25.4), abs=2)
