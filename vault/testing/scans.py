"""Paper as it arrives: the form filled in, printed, signed and scanned askew, with noise and dark edges.

Everything follows from a seed, so that a sheet that was read wrongly can be made again.
"""

import io
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import pikepdf
import pypdfium2
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from vault.intake.formpdf import Sender, print_form
from vault.intake.forms import INSPECTION_1, Box, Form

Values: TypeAlias = Mapping[str, "str | tuple[str, ...]"]  # field name -> text, or the ticked options
_MM: Final = 25.4  # in an inch
_PAPER: Final = 244  # grey level of white paper under a scanner's lamp
_BED: Final = 38  # grey level of the scanner's open lid
_MADE: Final = time.gmtime(1_767_225_600)


def fill_form(
    values: Values, language: str = "fi", *, form: Form = INSPECTION_1, sender: Sender | None = None
) -> bytes:
    """Return the form as a requester's PDF viewer would save it.

    :param values: texts by field name; options of choices as tuples, such as ``("inspection", "log")``.
    """
    with pikepdf.open(io.BytesIO(print_form(form, language, sender))) as pdf:
        for field in pdf.Root.AcroForm.Fields:
            _fill(field, values.get(str(field.T), ()))
        pdf.Root.AcroForm.NeedAppearances = True
        target = io.BytesIO()
        pdf.save(target, deterministic_id=True)
    return target.getvalue()


def print_sheet(filled: bytes, dpi: int, seed: int = 0, *, form: Form = INSPECTION_1, sign: bool = True) -> Image.Image:
    """Return the filled form's first page on paper, signed with a pen.

    :returns: mode L, ``dpi`` pixels an inch.
    """
    document = pypdfium2.PdfDocument(filled)
    document.init_forms()
    try:
        page: Image.Image = document[0].render(scale=dpi / 72, grayscale=True).to_pil().convert("L")
    finally:
        document.close()
    if sign:
        _sign(page, form.field("signature").box, dpi, random.Random(seed))  # noqa: S311 - a picture, no secret
    return page


def scan_sheet(sheet: Image.Image, dpi: int, seed: int = 0, *, skew: float = 0.8, noise: float = 0.12) -> Image.Image:
    """Return what a hurried scanner makes of a sheet.

    :param skew: degrees; the direction follows from the seed.
    :param noise: share of every pixel that is noise.
    """
    chance = random.Random(seed)  # noqa: S311 - a picture, no secret
    edge = round(dpi * 6 / _MM)
    bed = Image.new("L", (sheet.width + edge, sheet.height + edge), _BED)
    bed.paste(sheet.point(lambda level: level * _PAPER // 255), (chance.randrange(edge), chance.randrange(edge)))
    angle = skew * chance.choice((-1, 1)) * chance.uniform(0.9, 1.1)
    turned = bed.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_BED)
    lit = ImageChops.multiply(turned, _lamp(turned.size, chance))
    dusty = _dust(lit.filter(ImageFilter.GaussianBlur(dpi / 400)), chance)
    return Image.blend(dusty, _noise(dusty.size, chance), noise)


def scanned_form(
    values: Values, language: str = "fi", *, dpi: int = 300, seed: int = 0, sender: Sender | None = None
) -> Image.Image:
    """Fill, print, sign and scan in one go."""
    return scan_sheet(print_sheet(fill_form(values, language, sender=sender), dpi, seed), dpi, seed)


def unreadable_sheet(dpi: int = 200, seed: int = 0) -> Image.Image:
    """Return a crumpled note in a hand that nobody reads: no code, no marks, smeared ink."""
    chance = random.Random(seed)  # noqa: S311 - a picture, no secret
    sheet = Image.new("L", (round(210 * dpi / _MM), round(297 * dpi / _MM)), 255)
    for line in range(9):
        top = 40 + line * 17 + chance.uniform(-3, 3)
        for word in range(chance.randrange(2, 6)):
            box = Box(22 + word * 32 + chance.uniform(-4, 4), top, chance.uniform(14, 28), chance.uniform(4, 8))
            _sign(sheet, box, dpi, chance)
    for _ in range(4):  # coffee
        x, y, size = chance.randrange(sheet.width), chance.randrange(sheet.height), chance.randrange(dpi, 3 * dpi)
        ImageDraw.Draw(sheet).ellipse((x, y, x + size, y + size), outline=150, width=dpi // 25)
    smeared = sheet.filter(ImageFilter.GaussianBlur(dpi / 60))
    return scan_sheet(smeared, dpi, seed, skew=2.5, noise=0.3)


def plain_letter(lines: Sequence[str], dpi: int = 200, seed: int = 0) -> Image.Image:
    """Return a scanned letter on plain paper, without any form."""
    sheet = Image.new("L", (round(210 * dpi / _MM), round(297 * dpi / _MM)), 255)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((dpi, dpi * (1 + number * 0.3)), line, fill=0, font_size=dpi / 6)
    return scan_sheet(sheet, dpi, seed)


def scribble(sheet: Image.Image, field: str, dpi: int, seed: int = 0, *, form: Form = INSPECTION_1) -> None:
    """Write something into a field of a printed sheet that no machine reads."""
    _sign(sheet, form.field(field).box, dpi, random.Random(seed))  # noqa: S311 - a picture, no secret


def next_version(form: Form = INSPECTION_1) -> Form:
    """Return the form as a later release may print it: with a version that this one does not know."""
    return replace(form, version=99)


def as_pdf(pages: Sequence[Image.Image], dpi: int) -> bytes:
    """Return the pages as the PDF that an office scanner writes: one JPEG a page."""
    target = io.BytesIO()
    pages[0].save(
        target,
        "PDF",
        save_all=True,
        append_images=list(pages[1:]),
        resolution=dpi,
        quality=80,
        creationDate=_MADE,
        modDate=_MADE,
    )
    return target.getvalue()


def as_tiff(pages: Sequence[Image.Image], dpi: int, *, compression: str = "tiff_lzw") -> bytes:
    """Return the pages as one TIFF of many pages."""
    target = io.BytesIO()
    rest = list(pages[1:])
    pages[0].save(target, "TIFF", save_all=True, append_images=rest, compression=compression, dpi=(dpi, dpi))
    return target.getvalue()


def _fill(field: pikepdf.Object, value: str | tuple[str, ...]) -> None:
    if "/MaxLen" in field:
        field.V = pikepdf.String(value if isinstance(value, str) else "")
        return
    ticked = (value,) if isinstance(value, str) else value
    for kid in field.Kids:
        name = next(state for state in kid.AP.N.keys() if state != "/Off")  # noqa: SIM118 - pikepdf iterates values
        if name.removeprefix("/") in ticked:
            kid.AS = pikepdf.Name(name)
            (kid if "/FT" in kid else field).V = pikepdf.Name(name)


def _sign(page: Image.Image, box: Box, dpi: int, chance: random.Random) -> None:
    """Draw a pen's line with loops inside ``box``."""
    scale = dpi / _MM
    steps = [(n / 60, chance.uniform(-1, 1)) for n in range(61)]
    points = []
    for at, swing in steps:
        x = box.x + box.width * (0.08 + 0.5 * at)
        y = box.y + box.height * (0.5 + 0.3 * swing * (1 - 0.6 * at))
        points.append((x * scale, y * scale))
    ImageDraw.Draw(page).line(points, fill=50, width=max(2, round(0.4 * scale)), joint="curve")


def _lamp(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return a light that fades a little towards one end."""
    fading = Image.linear_gradient("L").point(lambda level: 255 - level * 28 // 255)
    turned = fading.transpose(chance.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)))
    return turned.resize(size)


def _dust(page: Image.Image, chance: random.Random) -> Image.Image:
    pen = ImageDraw.Draw(page)
    for _ in range(120):
        x, y, size = chance.randrange(page.width), chance.randrange(page.height), chance.choice((0, 0, 1, 2))
        pen.ellipse((x, y, x + size, y + size), fill=chance.choice((40, 120, 255)))
    return page


def _noise(size: tuple[int, int], chance: random.Random) -> Image.Image:
    return Image.frombytes("L", size, chance.randbytes(size[0] * size[1]))
