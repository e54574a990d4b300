"""What a sandboxed child does with a scanner's file: find each page's codes, lay it over its form, read it.

Parent and child speak JSON; nothing that is read is written anywhere but to Tesseract's private folder.
"""

import json
from dataclasses import asdict

from PIL import Image

from vault.errors import UnreadableError
from vault.intake import ink, ocr, sheet
from vault.intake.align import Code, Sheet, align, find_codes
from vault.intake.forms import FieldKind, Form, Payload
from vault.intake.pages import DPI, Page, open_pages
from vault.intake.readings import NOT_READ, FieldReading, PageLimits, PageReading
from vault.intake.wording import printable

_RIM = 0.06  # share of a page's side that may show the scanner's dark edge
_BLANK = 0.0003  # share of the rest that ink covers on an empty page
_COARSE = 3  # pixels that are averaged before looking for ink on a whole page
_LEAST_LETTERS = 20  # of a plain page that was read at all
_LEAST_WORD = 0.3  # words of a plain page that are less certain are left out


def read_pages(task: bytes) -> bytes:
    """Do it; the child's one entry.

    :raises UnreadableError: the file as a whole can't be read.
    """
    head, _, data = task.partition(b"\n")
    order = json.loads(head)
    with open_pages(data, PageLimits(order["pages"], order["pixels"])) as source:
        numbers = range(order["first"], min(source.total, order["first"] + order["count"]))
        readings = [asdict(read_page(source.page(number), number + 1)) for number in numbers]
        return json.dumps({"total": source.total, "pages": readings}).encode("ascii")


def read_page(page: Page, number: int) -> PageReading:
    """Read one page."""
    codes = find_codes(page.picture)
    barcodes = tuple(code.text for code in codes)
    for code in codes:
        payload = code.payload()
        if payload is not None:
            fields, fault = _read_form(page, payload, code)
            name = f"{payload.name}:{payload.version}:{payload.language}"
            return PageReading(number, name, fields, barcodes, fault=fault)
    if not codes and is_blank(page.picture):
        return PageReading(number, blank=True)
    text, fault = _read_text(page.picture)
    return PageReading(number, None, {}, barcodes, text, fault)


def is_blank(picture: Image.Image) -> bool:
    """Say whether nothing is written on a page, such as the back of a sheet."""
    across, down = round(picture.width * _RIM), round(picture.height * _RIM)
    inner = picture.crop((across, down, picture.width - across, picture.height - down))
    return ink.share(inner.reduce(_COARSE)) < _BLANK


def _read_form(page: Page, payload: Payload, code: Code) -> tuple[dict[str, FieldReading], str | None]:
    form = payload.form()
    if form is None:
        return {}, "unknown_form"
    typed = {name: text for name, text in page.typed.items() if name.partition(".")[0] in form.names()}
    try:
        laid = align(page.picture, form, code)
    except UnreadableError as error:
        return (sheet.typed_fields(form, typed), None) if typed else ({}, error.code)
    fields = sheet.read_ticks(laid, form)
    if typed:
        written_by_hand = {field.name: fields[field.name] for field in form.fields if field.kind is FieldKind.INK}
        return sheet.typed_fields(form, typed) | written_by_hand, None
    fault = _read_words(laid, form, fields)
    return {field.name: fields.get(field.name, NOT_READ) for field in form.fields}, fault


def _read_words(laid: Sheet, form: Form, fields: dict[str, FieldReading]) -> str | None:
    if not ocr.is_installed():
        return "ocr_missing"
    try:
        fields.update(sheet.read_words(laid, form))
    except UnreadableError as error:
        return error.code
    return None


def _read_text(picture: Image.Image) -> tuple[str, str | None]:
    if not ocr.is_installed():
        return "", "ocr_missing"
    try:
        words = ocr.read([picture], ocr.PAGE, dpi=DPI, least=_LEAST_WORD)[0]
    except UnreadableError as error:
        return "", error.code
    text = printable(words.text)
    return text, None if sum(map(str.isalnum, text)) >= _LEAST_LETTERS else "unreadable_page"
