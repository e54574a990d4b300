"""What a sandboxed child does with a scanner's file: find each page's codes, lay it over its form, read it.

Parent and child speak JSON; nothing that is read is written anywhere but to Tesseract's private folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from PIL import Image

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake import ink, ocr, sheet
from vault.intake.align import Code, Sheet, align, find_codes
from vault.intake.forms import FieldKind, Form, Payload
from vault.intake.pages import DPI, Page, PageLimits, open_pages
from vault.intake.sheet import NOT_READ, FieldReading
from vault.intake.wording import printable

_RIM = 0.06  # share of a page's side that may show the scanner's dark edge
_BLANK = 0.0003  # share of the rest that ink covers on an empty page
_COARSE = 3  # pixels that are averaged before looking for ink on a whole page
_LEAST_LETTERS = 20  # of a plain page that was read at all
_LEAST_WORD = 0.3  # words of a plain page that are less certain are left out


@dataclass(frozen=True, slots=True)
class PageReading(Private, shows=("number", "form", "fault")):
    """What was found on one page.

    :param number: counted from 1.
    :param form: ``name:version:language`` of the form that its QR code names, or None.
    :param text: its words, when it is no form.
    :param fault: why a person must look at it, or None.
    """

    number: int
    form: str | None = None
    fields: Mapping[str, FieldReading] = field(default_factory=dict)
    barcodes: tuple[str, ...] = ()
    text: str = ""
    fault: str | None = None
    blank: bool = False


def pack_task(data: bytes, limits: PageLimits, first: int, count: int) -> bytes:
    """Write what a child is to do: read ``count`` pages of ``data`` from page ``first``, counted from 0."""
    head = {"first": first, "count": count, **asdict(limits)}
    return json.dumps(head).encode("ascii") + b"\n" + data


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


def unpack_pages(answer: bytes) -> tuple[int, list[PageReading]]:
    """Return the file's number of pages, and the readings that a child wrote."""
    said = json.loads(answer)
    return int(said["total"]), [_unpacked(page) for page in said["pages"]]


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


def _unpacked(page: Mapping[str, Any]) -> PageReading:
    fields = {name: FieldReading(**reading) for name, reading in page["fields"].items()}
    return PageReading(**{**page, "fields": fields, "barcodes": tuple(page["barcodes"])})
