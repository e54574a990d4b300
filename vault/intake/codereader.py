"""Read a personal identity code from its eleven cells; its check character tells a good reading from a bad one."""

from collections.abc import Sequence
from datetime import date

from PIL import Image

from vault.domain import hetu
from vault.intake import ink, ocr
from vault.intake.ocr import Words

_DIGITS = "0123456789"
_SIGNS = "".join(hetu.SIGNS.values())
_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ALPHABETS = (*(_DIGITS,) * 6, _SIGNS, *(_DIGITS,) * 3, _CHECKS)  # what each place may hold
_SIGN_AT = 6  # place of the century's sign
_LIKE = {"B": "8", "S": "5", "D": "0", "L": "1", "T": "7", "A": "4", "E": "6"}
_UNPROVED = 0.3  # the most that a code with a wrong check character is worth
_LANGUAGE = ("eng",)


def read_code(cells: Sequence[Image.Image]) -> Words:
    """Return the code in the cells.

    :param cells: cuttings without the printed frames, one a character.
    :raises UnreadableError: Tesseract failed (code ``ocr_failed``).
    """
    line = ocr.read([_join(cells)], ocr.LINE, languages=_LANGUAGE, letters=_DIGITS + _SIGNS + _CHECKS)[0]
    whole = Words(_spelled(line.text), line.confidence)
    for words in (whole, _by_parts(cells)) if not _agrees(whole.text) else (whole,):
        if _agrees(words.text):
            # of the misreadings only one in 31 fits the check character
            return Words(words.text, round(1 - (1 - words.confidence) / len(_CHECKS), 3))
    return Words(whole.text, min(_UNPROVED, line.confidence))


def _join(cells: Sequence[Image.Image]) -> Image.Image:
    """Return the characters moved together on one line, as a typewriter would set them."""
    pieces = [ink.clean(ink.narrowed(cell), 0) for cell in cells]
    line = Image.new("L", (sum(piece.width for piece in pieces), max(piece.height for piece in pieces)), 255)
    left = 0
    for piece in pieces:
        line.paste(piece, (left, 0))
        left += piece.width
    return ink.clean(line)


def _spelled(text: str) -> str:
    """Put look-alikes right where a code can hold digits only."""
    letters = "".join(text.split()).upper()
    if len(letters) != len(_ALPHABETS):
        return letters
    pairs = zip(letters, _ALPHABETS, strict=True)
    return "".join(letter if letter in allowed else _LIKE.get(letter, letter) for letter, allowed in pairs)


def _by_parts(cells: Sequence[Image.Image]) -> Words:
    """Read day, sign, number and check character apart, each with only the characters that may stand there."""
    digits = [_join(cells[:_SIGN_AT]), _join(cells[_SIGN_AT + 1 : -1])]
    day, number = ocr.read(digits, ocr.LINE, languages=_LANGUAGE, letters=_DIGITS)
    sign = _sign(cells[_SIGN_AT])
    check = ocr.read([ink.clean(cells[-1])], ocr.CHARACTER, languages=_LANGUAGE, letters=_CHECKS)[0]
    parts = (day, sign, number, check)
    return Words("".join("".join(part.text.split()) for part in parts), min(part.confidence for part in parts))


def _sign(cell: Image.Image) -> Words:
    if ink.is_flat(cell):
        return Words("-", 1.0)
    return ocr.read([ink.clean(cell)], ocr.CHARACTER, languages=_LANGUAGE, letters=_SIGNS.replace("-", ""))[0]


def _agrees(code: str) -> bool:
    try:
        hetu.parse(code, date.max)  # whether the person is born yet is the identity check's matter
    except hetu.HetuError:
        return False
    return True
