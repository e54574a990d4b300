"""Turn a scanner's file into grey pages, one at a time, within limits; runs inside the sandboxed child.

Sizes are judged from headers before a pixel is decoded. What can't be read is refused with one of:
``empty``, ``unknown_type``, ``broken``, ``encrypted``, ``too_many_pages``, ``too_many_pixels``.
"""

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import pikepdf
import pypdfium2
from PIL import Image, ImageFile, ImageOps

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.readings import PageLimits

DPI = 300  # at which a PDF is drawn
_POINTS = 72  # in an inch
_HEADER = 1024  # a PDF's mark stands within its first bytes
_MAGIC = {b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
_ADVICE = {
    "empty": "the file holds no page; look at the scanner",
    "unknown_type": "scan as PDF, TIFF, PNG or JPEG; a person must look at the original",
    "broken": "the file is damaged; scan the sheet again",
    "encrypted": "the file wants a password; scan without one",
    "too_many_pages": "split the batch into smaller files",
    "too_many_pixels": "scan at 200 to 300 dpi",
}

FormValues: TypeAlias = Mapping[str, str]  # "name" or "choice.option" -> what was typed, or "on"


@dataclass(frozen=True, slots=True)
class Page(Private):
    """One page: ``picture`` in mode L, and what was typed into its PDF fields."""

    picture: Image.Image
    typed: FormValues = field(default_factory=dict)


class Source(Protocol):
    """An opened file."""

    total: int

    def page(self, number: int) -> Page:
        """Return the page with this number, counted from 0.

        :raises UnreadableError: with a code from this module's list.
        """

    def close(self) -> None:
        """Let go of the file."""


@contextlib.contextmanager
def open_pages(data: bytes, limits: PageLimits) -> Iterator[Source]:
    """Open a PDF, TIFF, PNG or JPEG.

    :raises UnreadableError: with a code from this module's list.
    """
    if not data:
        raise refusal("empty")
    kind = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)
    if kind is None and b"%PDF-" not in data[:_HEADER]:
        raise refusal("unknown_type")
    with _damage_refused():
        source = _PdfSource(data, limits) if kind is None else _ImageSource(data, kind, limits)
    try:
        yield source
    finally:
        source.close()


@contextlib.contextmanager
def _damage_refused() -> Iterator[None]:
    """Turn what Pillow, pikepdf and pdfium raise on unfit files into refusals."""
    try:
        yield
    except pikepdf.PasswordError:
        raise refusal("encrypted") from None
    except (pikepdf.PdfError, pypdfium2.PdfiumError, OSError, EOFError, SyntaxError, struct.error, zlib.error):
        raise refusal("broken") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        raise refusal("broken") from None  # a header's number or an object's type makes no sense


def refusal(code: str) -> UnreadableError:
    """Return the error with this code and its advice."""
    return UnreadableError(code, _ADVICE[code])


class _ImageSource(Private):
    def __init__(self, data: bytes, kind: str, limits: PageLimits) -> None:
        Image.MAX_IMAGE_PIXELS = None  # the limit below is ours and refuses sooner
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        self._image = Image.open(io.BytesIO(data), formats=(kind,))
        self._limits = limits
        self.total = self._count() if kind == "TIFF" else 1

    def close(self) -> None:
        self._image.close()

    def _count(self) -> int:
        for number in range(self._limits.pages + 1):
            try:
                self._image.seek(number)
            except EOFError:
                if number == 0:
                    raise refusal("broken") from None
                return number
        raise refusal("too_many_pages")

    def page(self, number: int) -> Page:
        with _damage_refused():
            self._image.seek(number)
            if math.prod(self._image.size) > self._limits.pixels:
                raise refusal("too_many_pixels")
            return Page(_grey(self._image))


def _grey(image: Image.Image) -> Image.Image:
    """Return the picture on white paper, upright as its camera said, in 256 grey levels."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return upright.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    if "A" in upright.getbands() or "transparency" in upright.info:
        coloured = upright.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("L")
    return upright.convert("L")


class _PdfSource(Private):
    def __init__(self, data: bytes, limits: PageLimits) -> None:
        self._structure = pikepdf.open(io.BytesIO(data))
        self.total = len(self._structure.pages)
        if self.total == 0:
            raise refusal("empty")
        if self.total > limits.pages:
            raise refusal("too_many_pages")
        self._limits = limits
        self._refuse_bombs()
        self._drawing = pypdfium2.PdfDocument(data)

    def close(self) -> None:
        self._drawing.close()
        self._structure.close()

    def _refuse_bombs(self) -> None:
        for thing in self._structure.objects:
            if isinstance(thing, pikepdf.Stream) and thing.get("/Subtype") == "/Image":
                width, height = int(thing.get("/Width", 0)), int(thing.get("/Height", 0))
                if width * height > self._limits.pixels:
                    raise refusal("too_many_pixels")

    def page(self, number: int) -> Page:
        with _damage_refused():
            page = self._drawing[number]
            width, height = page.get_size()
            most = math.sqrt(self._limits.pixels / max(width * height, 1.0))
            picture = page.render(scale=min(DPI / _POINTS, most), grayscale=True).to_pil().convert("L")
            return Page(picture, _typed(self._structure.pages[number]))


def _typed(page: pikepdf.Page) -> FormValues:
    values: dict[str, str] = {}
    for annotation in page.obj.get("/Annots", ()):
        with contextlib.suppress(pikepdf.PdfError, ValueError, TypeError, AttributeError):  # no field of ours
            if annotation.get("/Subtype") == "/Widget":
                values.update(_widget_value(annotation))
    return values


def _widget_value(widget: pikepdf.Object) -> FormValues:
    """Return a text field's text, or ``{"field.option": "on"}`` for a tick."""
    parent = widget.get("/Parent", pikepdf.Dictionary())
    kind = widget.get("/FT", parent.get("/FT"))
    if kind == "/Tx":
        text = str(widget.get("/V", parent.get("/V", "")))
        return {str(widget.get("/T", parent.get("/T", ""))): text} if text.strip() else {}
    state = str(widget.get("/AS", "/Off")).removeprefix("/")
    if kind != "/Btn" or state == "Off":
        return {}
    return {f"{parent.get('/T', '')}.{state}": "on"}
