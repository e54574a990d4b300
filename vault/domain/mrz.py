"""The machine-readable zone of a travel document: read by ICAO 9303 parts 3 to 6, judged by its check digits.

TD3 (passports, 2 lines of 44), TD2 (2 of 36) and TD1 (3 of 30). A zone that reads well proves
nothing about the person who shows it. Its optional field may carry a personal identity code, so
everything in it is personal: keep the verdict and forget the zone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from vault.domain.private import Private
from vault.errors import RefusedError

_SHAPES = {(3, 30): "TD1", (2, 36): "TD2", (2, 44): "TD3"}
_CODES = {"TD1": "ACI", "TD2": "ACI", "TD3": "P"}
_LINE = re.compile(r"[A-Z0-9<]+")
_LETTERS = re.compile(r"[A-Z]+<*")
_NAMES = re.compile(r"[A-Z][A-Z<]*")
_ANY_PART = "12"  # for an unknown year, month or day: a leap year, a month of 31 days, any day
_WEIGHTS = (7, 3, 1)
_LONGEST_INPUT = 1000  # characters; a zone has 90


class MrzError(RefusedError):
    """The text is no zone of a known format; the message holds nothing of it."""

    def __init__(self) -> None:
        super().__init__("mrz_shape", "a zone has 2 lines of 44 or 36, or 3 lines of 30 characters A-Z, 0-9 and <")


@dataclass(frozen=True, slots=True)
class Zone(Private, shows=("format",)):
    """A zone as read.

    :param format: ``TD1``, ``TD2`` or ``TD3``.
    :param fields: by name, fillers taken off, dates as ``YYMMDD``; personal, so ``repr`` hides them.
    :param checks: whether each check digit, and each field's alphabet, fits.
    :param lines: the zone itself; personal.
    """

    format: str
    fields: Mapping[str, str]
    checks: Mapping[str, bool]
    lines: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """All checks hold."""
        return all(self.checks.values())


@dataclass(frozen=True, slots=True)
class _Raw(Private):
    """The places of a zone before anything is judged; the same for the three formats."""

    code: str
    issuer: str
    names: str
    number: str
    number_digit: str
    nationality: str
    birth: str
    birth_digit: str
    sex: str
    expiry: str
    expiry_digit: str
    optional: tuple[str, ...]
    optional_digit: str | None
    composite: str
    composite_digit: str


def check_digit(text: str) -> str:
    """Return the check digit of ``text``: 0-9, A-Z = 10-35, ``<`` = 0; weights 7, 3, 1; modulo 10 (9303-3, 4.9)."""
    values = (0 if letter == "<" else int(letter, 36) for letter in text)
    return str(sum(value * _WEIGHTS[place % 3] for place, value in enumerate(values)) % 10)


def parse(text: str) -> Zone:
    """Read a zone from its lines; blank lines and blanks around a line are forgiven.

    :param text: two or three lines.
    :raises MrzError: another number of lines, length or alphabet, or not a travel document's code.
    """
    lines = tuple(stripped for line in text[: _LONGEST_INPUT + 1].splitlines() if (stripped := line.strip()))
    shape = {(len(lines), len(line)) for line in lines if _LINE.fullmatch(line)}
    name = _SHAPES.get(shape.pop()) if len(shape) == 1 else None
    if len(text) > _LONGEST_INPUT or name is None or not all(map(_LINE.fullmatch, lines)):
        raise MrzError
    raw = _td1(*lines) if name == "TD1" else _two_lines(*lines, optional_digit=name == "TD3")
    if raw.code[0] not in _CODES[name]:
        raise MrzError
    return _judged(name, raw, lines)


def _td1(first: str, second: str, third: str) -> _Raw:
    return _Raw(
        code=first[:2],
        issuer=first[2:5],
        names=third,
        number=first[5:14],
        number_digit=first[14],
        nationality=second[15:18],
        birth=second[:6],
        birth_digit=second[6],
        sex=second[7],
        expiry=second[8:14],
        expiry_digit=second[14],
        optional=(first[15:30], second[18:29]),
        optional_digit=None,
        composite=first[5:30] + second[:7] + second[8:15] + second[18:29],
        composite_digit=second[29],
    )


def _two_lines(first: str, second: str, *, optional_digit: bool) -> _Raw:
    return _Raw(
        code=first[:2],
        issuer=first[2:5],
        names=first[5:],
        number=second[:9],
        number_digit=second[9],
        nationality=second[10:13],
        birth=second[13:19],
        birth_digit=second[19],
        sex=second[20],
        expiry=second[21:27],
        expiry_digit=second[27],
        optional=(second[28:-2] if optional_digit else second[28:-1],),
        optional_digit=second[-2] if optional_digit else None,
        composite=second[:10] + second[13:20] + second[21:-1],
        composite_digit=second[-1],
    )


def _judged(name: str, raw: _Raw, lines: tuple[str, ...]) -> Zone:
    number, number_fits, optional = _number(raw)
    surname, _, given = raw.names.rstrip("<").partition("<<")
    fields = {
        "document_code": raw.code.rstrip("<"),
        "issuer": raw.issuer.rstrip("<"),
        "surname": surname.replace("<", " "),
        "given_names": " ".join(given.replace("<", " ").split()),
        "document_number": number,
        "nationality": raw.nationality.rstrip("<"),
        "birth_date": raw.birth,
        "sex": raw.sex,
        "expiry_date": raw.expiry,
        "optional": " ".join(filter(None, (part.strip("<") for part in optional))),
    }
    checks = {
        "document_number": number_fits,
        "birth_date": raw.birth_digit == check_digit(raw.birth) and _is_day(raw.birth, partly=True),
        "expiry_date": raw.expiry_digit == check_digit(raw.expiry) and _is_day(raw.expiry, partly=False),
        "composite": raw.composite_digit == check_digit(raw.composite),
        "letters": _letters(raw),
    }
    if raw.optional_digit is not None:
        checks["optional"] = _optional(raw.optional[0], raw.optional_digit)
    return Zone(name, MappingProxyType(fields), MappingProxyType(checks), lines)


def _number(raw: _Raw) -> tuple[str, bool, tuple[str, ...]]:
    """Return the document number, whether its digit fits, and what the optional fields hold besides.

    A number of more than nine characters leaves ``<`` in its digit's place and goes on in the optional
    field, its digit after it, a filler at the end (9303-5, 9303-6). The digit is counted
    without the ``<``; some issuers counted it in, and their documents are in use.
    """
    if raw.number_digit != "<" or raw.optional_digit is not None:
        return raw.number.rstrip("<"), raw.number_digit == check_digit(raw.number), raw.optional
    tail = raw.optional[0].split("<", 1)[0]
    number, digit = raw.number + tail[:-1], tail[-1:]
    fits = len(tail) > 1 and "<" not in raw.number
    fits = fits and digit in (check_digit(number), check_digit(f"{raw.number}<{tail[:-1]}"))
    return number.rstrip("<"), fits, (raw.optional[0][len(tail) :], *raw.optional[1:])


def _optional(text: str, digit: str) -> bool:
    """Tell whether the digit fits; an empty optional field may carry 0 or ``<`` (9303-4)."""
    return digit == check_digit(text) or (digit == "<" and not text.strip("<"))


def _letters(raw: _Raw) -> bool:
    places = (raw.code, raw.issuer, raw.nationality)
    return all(map(_LETTERS.fullmatch, places)) and raw.sex in "MF<" and bool(_NAMES.fullmatch(raw.names))


def _is_day(text: str, *, partly: bool) -> bool:
    """Tell whether ``YYMMDD`` can be a day; of a birth date any part may be unknown, ``<<`` (9303-3)."""
    parts = [text[place : place + 2] for place in (0, 2, 4)]
    known = [_ANY_PART if partly and part == "<<" else part for part in parts]
    try:
        year, month, day = (int(part) if part.isdigit() else 0 for part in known)
        return bool(date(2000 + year, month, day))  # every fourth YY is a leap year, in this century and the last
    except ValueError:
        return False
