"""Lay a picture over its form: the QR code says which form and roughly where, four black squares say exactly."""

import math
from dataclasses import dataclass

import zxingcpp
from PIL import Image, ImageFilter

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake import geometry
from vault.intake.forms import Box, Form, Payload, parse_payload

FIELD_DPI = 300  # of every cutting that is read
_MARK_DPI = 100  # enough to find a 4 mm square to a tenth of a millimetre
_QR_ONLY = zxingcpp.BarcodeFormats(zxingcpp.QRCode)
_SEARCH = 6.0  # mm around the place where the QR code alone would put a mark
_LEAST_CONTRAST = 60  # grey levels between a mark and its surroundings
_DARK = 128  # grey level below which a pixel is ink
_DRIFT = 1.5  # mm that the QR code may lie off its place once the marks are laid over


@dataclass(frozen=True, slots=True)
class Code(Private):
    """A QR code on a page: its text and its corners in pixels, clockwise from its own upper left one."""

    text: str
    corners: tuple[geometry.Point, ...]

    def payload(self) -> Payload | None:
        """Return what it says about a form, or None."""
        return parse_payload(self.text)


def find_codes(page: Image.Image) -> list[Code]:
    """Return the page's QR codes; no other kind of code is looked for.

    :param page: mode L.
    """
    found = zxingcpp.read_barcodes(page, formats=_QR_ONLY)
    return [Code(code.text, _corners(code.position)) for code in found]


@dataclass(frozen=True, slots=True)
class Sheet(Private):
    """A page that is laid over its form."""

    page: Image.Image
    mapping: geometry.Map  # from millimetres on the form to pixels of the page

    def cut(self, box: Box, dpi: int = FIELD_DPI) -> Image.Image:
        """Return what lies inside ``box``, straightened, at ``dpi``."""
        scale = 25.4 / dpi
        size = (max(1, round(box.width / scale)), max(1, round(box.height / scale)))
        mapping = geometry.after_scaling(self.mapping, scale, (box.x, box.y))
        return self.page.transform(size, Image.Transform.PERSPECTIVE, mapping, Image.Resampling.BICUBIC, fillcolor=255)


def align(page: Image.Image, form: Form, code: Code) -> Sheet:
    """Find the form's registration marks and lay the page over the form.

    :raises UnreadableError: a mark is missing or damaged (code ``not_registered``).
    """
    printed, seen = list(form.qr.corners()), list(code.corners)
    centre = form.qr.centre()
    for mark in sorted(form.marks, key=lambda mark: math.dist(mark.centre(), centre)):
        # each mark that is found shows better where the next one must be
        rough = Sheet(page, geometry.fit_evenly(printed, seen))
        seen.append(geometry.apply(rough.mapping, _find_mark(rough, mark)))
        printed.append(mark.centre())
    exact = geometry.fit(printed[-len(form.marks) :], seen[-len(form.marks) :])
    back = geometry.fit([geometry.apply(exact, corner) for corner in form.qr.corners()], form.qr.corners())
    drift = max(
        math.dist(geometry.apply(back, corner), place)
        for corner, place in zip(code.corners, form.qr.corners(), strict=True)
    )
    if drift > _DRIFT:
        raise UnreadableError("not_registered", "the sheet's marks do not agree; a person must read it")
    return Sheet(page, exact)


def _corners(position: zxingcpp.Position) -> tuple[geometry.Point, ...]:
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    return tuple((float(corner.x), float(corner.y)) for corner in corners)


def _find_mark(rough: Sheet, mark: Box) -> geometry.Point:
    """Return the centre of the mark near its expected place, in the rough sheet's millimetres."""
    window = mark.inset(-_SEARCH)
    picture = rough.cut(window, _MARK_DPI)
    side = round(mark.width * _MARK_DPI / 25.4)
    x, y, contrast = _darkest_square(picture, side)
    if contrast < _LEAST_CONTRAST:
        raise UnreadableError("not_registered", "a registration mark is missing; a person must read the sheet")
    scale = 25.4 / _MARK_DPI
    return (window.x + x * scale, window.y + y * scale)


def _darkest_square(picture: Image.Image, side: int) -> tuple[float, float, float]:
    """Return the centre of the square of ``side`` pixels that stands out most, and by how many grey levels."""
    inner = picture.filter(ImageFilter.BoxBlur((side - 1) / 2)).tobytes()
    outer = picture.filter(ImageFilter.BoxBlur(side - 0.5)).tobytes()
    contrast = [around - within for around, within in zip(outer, inner, strict=True)]
    best = max(range(len(contrast)), key=contrast.__getitem__)
    y, x = divmod(best, picture.width)
    reach = round(side * 0.8)
    corner = (max(0, x - reach), max(0, y - reach))
    near = picture.crop((*corner, min(picture.width, x + reach + 1), min(picture.height, y + reach + 1)))
    dark = [divmod(n, near.width) for n, level in enumerate(near.tobytes()) if level < _DARK]
    if not dark:
        return (x, y, 0)
    rows, columns = zip(*dark, strict=True)
    return (corner[0] + sum(columns) / len(dark) + 0.5, corner[1] + sum(rows) / len(dark) + 0.5, contrast[best])
