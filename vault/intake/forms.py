"""The product's own paper forms as data: every box in millimetres, used alike by the printer and the reader.

A printed sheet names its form, version and language in a QR code. A layout that has been
printed once never changes: a new layout is a new version beside the old one, because paper
comes back after years.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "dsr-form"
_PAYLOAD = re.compile(rf"{PREFIX}:([a-z_]{{1,32}}):([1-9][0-9]{{0,2}}):([a-z]{{2}})")


class FieldKind(StrEnum):
    """What a field holds; decides how it is printed and how it is read."""

    TEXT = "text"
    NAME = "name"  # every word begins with a capital letter
    LINES = "lines"  # several lines
    CODE = "code"  # one character a cell: a personal identity code
    EMAIL = "email"
    DIGITS = "digits"
    PHONE = "phone"
    DATE = "date"
    ONE = "one"  # one of the options
    MANY = "many"  # any of the options
    INK = "ink"  # written by hand, such as a signature: there or not there


CHOICES = frozenset({FieldKind.ONE, FieldKind.MANY})


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page: millimetres from the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, margin: float) -> "Box":
        """Return the rectangle that lies ``margin`` mm further in on every side."""
        return Box(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return the corners clockwise from the upper left one."""
        right, bottom = self.x + self.width, self.y + self.height
        return ((self.x, self.y), (right, self.y), (right, bottom), (self.x, bottom))

    def centre(self) -> tuple[float, float]:
        """Return the middle point."""
        return (self.x + self.width / 2, self.y + self.height / 2)


@dataclass(frozen=True, slots=True)
class Option:
    """One square to tick, and the value that a tick means."""

    value: str
    box: Box


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    :param longest: how many characters a screen lets in.
    """

    name: str
    kind: FieldKind
    box: Box
    options: tuple[Option, ...] = ()
    longest: int = 100

    def cells(self) -> tuple[Box, ...]:
        """Return one box a character of a CODE field."""
        width = self.box.width / self.longest
        return tuple(Box(self.box.x + n * width, self.box.y, width, self.box.height) for n in range(self.longest))


@dataclass(frozen=True, slots=True)
class Form:
    """One version of one form: a page, its QR code, its registration marks and its fields in keyboard order."""

    name: str
    version: int
    languages: tuple[str, ...]
    page: Box
    qr: Box
    marks: tuple[Box, ...]
    fields: tuple[Field, ...]

    def payload(self, language: str) -> str:
        """Return what the QR code says on the sheet in ``language``."""
        return f"{PREFIX}:{self.name}:{self.version}:{language}"

    def names(self) -> frozenset[str]:
        """Return the names of all fields."""
        return frozenset(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """Return the field called ``name``.

        :raises KeyError: the form has no such field.
        """
        return {field.name: field for field in self.fields}[name]


_LINE = 8.0  # height of a box to write one line in, mm
_TICK = 4.5  # side of a square to tick, mm
_MARK = 4.0  # side of a registration mark, mm
_LEFT, _RIGHT, _CODE_X = 20.0, 190.0, 124.0


def _line(name: str, kind: FieldKind, place: tuple[float, float, float], longest: int = 100) -> Field:
    x, y, width = place
    return Field(name, kind, Box(x, y, width, _LINE), longest=longest)


def _ticks(name: str, kind: FieldKind, *places: tuple[str, float, float]) -> Field:
    options = tuple(Option(value, Box(x, y, _TICK, _TICK)) for value, x, y in places)
    right, bottom = max(x for _, x, _ in places) + _TICK, max(y for _, _, y in places) + _TICK
    left, top = min(x for _, x, _ in places), min(y for _, _, y in places)
    return Field(name, kind, Box(left, top, right - left, bottom - top), options=options)


_WIDE = 98.0  # left column of two
_CODE = 66.0  # eleven cells of 6 mm

INSPECTION_1 = Form(
    name="inspection",
    version=1,
    languages=("fi", "sv", "en"),
    page=Box(0, 0, 210, 297),
    qr=Box(160, 18, 30, 30),
    marks=tuple(Box(x, y, _MARK, _MARK) for x, y in ((9, 9), (197, 9), (197, 284), (9, 284))),
    fields=(
        _line("name", FieldKind.NAME, (_LEFT, 70, _WIDE)),
        _line("code", FieldKind.CODE, (_CODE_X, 70, _CODE), longest=11),
        _line("street", FieldKind.TEXT, (_LEFT, 84.5, _WIDE)),
        _line("postal_code", FieldKind.DIGITS, (_CODE_X, 84.5, 20), longest=5),
        _line("city", FieldKind.NAME, (148, 84.5, 42), longest=40),
        _line("email", FieldKind.EMAIL, (_LEFT, 99, _WIDE)),
        _line("phone", FieldKind.PHONE, (_CODE_X, 99, _CODE), longest=20),
        _ticks(
            "kinds",
            FieldKind.MANY,
            ("inspection", _LEFT, 123),
            ("log", _LEFT, 130),
            ("rectification", _LEFT, 137),
        ),
        Field("details", FieldKind.LINES, Box(_LEFT, 148.5, _RIGHT - _LEFT, 15), longest=300),
        _ticks("answer_by", FieldKind.ONE, ("mail", _LEFT, 182), ("paper", _LEFT, 189)),
        _ticks("language", FieldKind.ONE, ("fi", _CODE_X, 182), ("sv", 147, 182), ("en", 171, 182)),
        _ticks("for_whom", FieldKind.ONE, ("self", _LEFT, 208), ("child", 66, 208), ("other", 124, 208)),
        _line("other_name", FieldKind.NAME, (_LEFT, 221, _WIDE)),
        _line("other_code", FieldKind.CODE, (_CODE_X, 221, _CODE), longest=11),
        Field("date", FieldKind.DATE, Box(_LEFT, 238, 42, 10), longest=12),
        Field("signature", FieldKind.INK, Box(68, 238, _RIGHT - 68, 10)),
    ),
)

FORMS: dict[tuple[str, int], Form] = {(form.name, form.version): form for form in (INSPECTION_1,)}


@dataclass(frozen=True, slots=True)
class Payload:
    """What a form's QR code says, in its one canonical spelling."""

    name: str
    version: int
    language: str

    def __str__(self) -> str:
        return f"{PREFIX}:{self.name}:{self.version}:{self.language}"

    def form(self) -> Form | None:
        """Return the form, or None when this release never printed it."""
        form = FORMS.get((self.name, self.version))
        return form if form and self.language in form.languages else None


def parse_payload(text: str) -> Payload | None:
    """Read a QR code's text; None when it is no form's.

    :param text: at most a few hundred characters, from anywhere.
    """
    match = _PAYLOAD.fullmatch(text)
    return Payload(match[1], int(match[2]), match[3]) if match else None


def ticks(form: Form) -> Iterator[tuple[Field, Option]]:
    """Yield every square to tick with its field, in keyboard order."""
    for field in form.fields:
        for option in field.options:
            yield field, option
