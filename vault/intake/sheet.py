"""Read the fields of a sheet that is laid over its form: words by Tesseract, ticks by their ink."""

from PIL import Image

from vault.intake import codereader, ink, wording
from vault.intake.align import Sheet
from vault.intake.forms import CHOICES, Box, Field, FieldKind, Form
from vault.intake.ocr import Words
from vault.intake.pages import FormValues
from vault.intake.readings import FieldReading, Value

_FRAME = 0.8  # mm of a box's rim that may show its printed frame
_AROUND = 2.5  # mm of paper to see around a square
_LEAST_INK = 0.0008  # share of a text box that one short character covers
_MOST_INK = 0.3  # more is no writing
_LEAST_CELLS = 3  # of a code that are written in; fewer are specks
_EMPTY_TICK, _SURE_TICK = 0.03, 0.08  # share of a square that ink covers
_UNSURE = 0.3


EMPTY = FieldReading("", 1.0)
BLOTTED = FieldReading("", 0.0)


def read_ticks(sheet: Sheet, form: Form) -> dict[str, FieldReading]:
    """Read what is ticked and whether there is a signature; needs no Tesseract."""
    found = {field.name: _choice(sheet, field) for field in form.fields if field.kind in CHOICES}
    for field in form.fields:
        if field.kind is FieldKind.INK:
            share = ink.share(sheet.cut(field.box.inset(_FRAME)))
            found[field.name] = FieldReading(share > _LEAST_INK, 1.0 if share == 0 or share > 2 * _LEAST_INK else 0.5)
    return found


def read_words(sheet: Sheet, form: Form) -> dict[str, FieldReading]:
    """Read the fields that are written in.

    :raises UnreadableError: Tesseract failed (code ``ocr_failed``).
    """
    found: dict[str, FieldReading] = {}
    written: list[tuple[Field, Image.Image]] = []
    for field in form.fields:
        if field.kind is FieldKind.CODE:
            found[field.name] = _code(sheet, field)
        elif field.kind in wording.WRITTEN:
            picture = sheet.cut(field.box.inset(_FRAME))
            if ink.stroke_share(picture) < _LEAST_INK:
                found[field.name] = EMPTY
            elif ink.share(picture) > _MOST_INK:
                found[field.name] = BLOTTED
            else:
                written.append((field, ink.clean(ink.narrowed(picture))))
    for name, words in wording.read_all([(field.name, field.kind, picture) for field, picture in written]).items():
        found[name] = FieldReading(words.text, words.confidence)
    return found


def typed_fields(form: Form, typed: FormValues) -> dict[str, FieldReading]:
    """Take what was typed into a PDF's fields as it is."""
    return {field.name: FieldReading(_typed(field, typed), 1.0) for field in form.fields}


def _code(sheet: Sheet, field: Field) -> FieldReading:
    cells = [sheet.cut(cell.inset(_FRAME)) for cell in field.cells()]
    inked = sum(ink.stroke_share(cell) > _LEAST_INK for cell in cells)
    if inked < _LEAST_CELLS:
        return EMPTY if inked == 0 else FieldReading("", 0.5)
    words: Words = codereader.read_code(cells)
    return FieldReading(words.text, words.confidence)


def _choice(sheet: Sheet, field: Field) -> FieldReading:
    shares = {option.value: _tick_share(sheet, option.box) for option in field.options}
    ticked = [value for value, share in shares.items() if share >= (_EMPTY_TICK + _SURE_TICK) / 2]
    sure = all(share <= _EMPTY_TICK or share >= _SURE_TICK for share in shares.values())
    confidence = 1.0 if sure else _UNSURE
    if field.kind is FieldKind.MANY:
        return FieldReading(ticked, confidence)
    if len(ticked) > 1:
        return FieldReading(None, _UNSURE)
    return FieldReading(ticked[0] if ticked else None, confidence)


def _tick_share(sheet: Sheet, box: Box) -> float:
    return ink.stroke_share(sheet.cut(box.inset(_FRAME)), sheet.cut(box.inset(-_AROUND)))


def _typed(field: Field, typed: FormValues) -> Value:
    ticked = [option.value for option in field.options if f"{field.name}.{option.value}" in typed]
    if field.kind is FieldKind.MANY:
        return ticked
    if field.kind is FieldKind.ONE:
        return ticked[0] if len(ticked) == 1 else None
    if field.kind is FieldKind.INK:
        return False
    return wording.printable(typed.get(field.name, ""))[: field.longest]
