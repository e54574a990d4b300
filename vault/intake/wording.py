"""Read written fields in as few Tesseract runs as their kinds allow, and put right what a kind lets us know."""

import re
from collections.abc import Sequence

from PIL import Image

from vault.intake import ocr
from vault.intake.forms import FieldKind
from vault.intake.ocr import Words

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_NORDIC = ("swe", "fin")
_PLAIN = ("eng",)  # one model is enough, and quickest, where few characters may come
_LETTERS_OF_MAIL = _LOWER + _LOWER.upper() + _DIGITS + "@._+-|!"

_WORDS = frozenset({FieldKind.NAME, FieldKind.TEXT})
_NUMBERS = frozenset({FieldKind.DIGITS, FieldKind.PHONE, FieldKind.DATE})
_MAIL = frozenset({FieldKind.EMAIL})
_LINES = frozenset({FieldKind.LINES})
WRITTEN = _WORDS | _NUMBERS | _MAIL | _LINES

_STROKES = re.compile(r"[|!]+")  # what a lone l looks like to Tesseract
_TALL_L = re.compile(r"(?<!\S)l(?=[a-zåäö]{3})")  # lida, lris: a capital I in a face without serifs
_GAP = re.compile(r"(?<=[a-z0-9]) +(?=[a-z0-9])")
_ADDRESS = re.compile(r"[a-z0-9._+-]+@(?:[a-z0-9]+(?:-+[a-z0-9]+)*\.)+[a-z]{2,}")
_AGREED, _LIKELY, _DOUBTED = 0.9, 0.6, 0.3  # an address read twice alike; once as an address; otherwise
_LONE_SIGNS = re.compile(r"(?:\s[^\w\s]+)+$", re.MULTILINE)  # specks after a line's last word


def read_all(fields: Sequence[tuple[str, FieldKind, Image.Image]]) -> dict[str, Words]:
    """Return what stands in each field, by its name.

    :param fields: name, kind, and a cleaned cutting.
    :raises UnreadableError: Tesseract failed (code ``ocr_failed``).
    """
    found: dict[str, Words] = {}
    for kinds in (_WORDS, _NUMBERS, _MAIL, _LINES):
        batch = [field for field in fields if field[1] in kinds]
        readings = _read(kinds, [picture for _, _, picture in batch])
        for (name, kind, _), words in zip(batch, readings, strict=True):
            found[name] = Words(_tidy(kind, printable(words.text)), words.confidence)
    return found


def printable(text: str) -> str:
    """Return ``text`` without control characters and lone surrogates; line ends stay."""
    lines = ("".join(c if c.isprintable() else " " for c in line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _read(kinds: frozenset[FieldKind], pictures: Sequence[Image.Image]) -> list[Words]:
    if kinds == _WORDS:
        return ocr.read(pictures, ocr.LINE, languages=_NORDIC)
    if kinds == _NUMBERS:
        return ocr.read(pictures, ocr.LINE, languages=_PLAIN, letters=_DIGITS + "+-()./ ")
    if kinds == _MAIL:
        return _read_mail(pictures)
    return ocr.read(pictures, ocr.BLOCK)


def _read_mail(pictures: Sequence[Image.Image]) -> list[Words]:
    """Read addresses twice, with and without a whitelist: under a whitelist Tesseract's own confidence says nothing."""
    strict = ocr.read(pictures, ocr.LINE, languages=_PLAIN, letters=_LETTERS_OF_MAIL)
    free = ocr.read(pictures, ocr.LINE, languages=_PLAIN)
    return [_settled(_address(one.text), _address(other.text)) for one, other in zip(strict, free, strict=True)]


def _settled(strict: str, free: str) -> Words:
    fitting = [text for text in (strict, free) if _ADDRESS.fullmatch(text)]
    if len(fitting) == 1:
        return Words(fitting[0], _LIKELY)
    return Words(strict, _AGREED if fitting and strict == free else _DOUBTED)


def _address(text: str) -> str:
    """Spell an address: a stroke is an l, and a gap after the at-sign is where a dot was not seen."""
    local, at, domain = text.lower().strip(" .-_").partition("@")
    return _STROKES.sub("l", "".join(local.split()) + at + _GAP.sub(".", domain.strip()))


def _tidy(kind: FieldKind, text: str) -> str:
    """Put right what a face without serifs can't tell apart, where the field's kind can."""
    if kind in _WORDS | _LINES:
        text = _LONE_SIGNS.sub("", text)
    if kind is FieldKind.NAME:
        return _TALL_L.sub("I", text)
    if kind is FieldKind.DIGITS:
        return "".join(c for c in text if c in _DIGITS)
    return text.replace(" ", "") if kind is FieldKind.DATE else text
