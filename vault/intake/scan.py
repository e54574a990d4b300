"""Read a scanner's file: which letters it holds, and what each form says; a stranger's file never raises.

The file is decoded in sandboxed children, a few pages each, so that one slow page can't hold the
whole batch. A form's QR code starts a letter; pages without one belong to the letter before them.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.readings import NOT_READ, FieldReading, PageLimits, PageReading, pack_task, unpack_pages
from vault.intake.sandbox import ChildLimits, run_child
from vault.settings import Limits

READ, PERSON, REFUSED = "read", "person", "refused"
_PAGES_A_CHILD = 4
_SURE = 0.6  # the least confidence at which a name or a code is taken as read
_NEEDED = {"name": "weak_name", "code": "weak_code"}
_HARMFUL = {  # misread, they would send an answer astray or answer another question
    "email": "weak_email",
    "kinds": "unclear_tick",
    "answer_by": "unclear_tick",
    "language": "unclear_tick",
    "for_whom": "unclear_tick",
}
_NEEDED_FOR_OTHERS = {"other_name": "weak_name", "other_code": "weak_code"}


@dataclass(frozen=True, slots=True)
class Letter(Private, shows=("pages", "form", "outcome", "reason")):
    """One letter of a batch.

    :param pages: page numbers, counted from 1.
    :param form: ``name:version:language`` of the form, or None.
    :param barcodes: the text of every QR code on its pages.
    :param text: the words on its pages that are no form.
    :param outcome: ``read``, or ``person`` with a reason.
    """

    pages: tuple[int, ...]
    form: str | None
    fields: Mapping[str, FieldReading] = field(default_factory=dict)
    barcodes: tuple[str, ...] = ()
    text: str = ""
    outcome: str = READ
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the letter as the command line prints it."""
        return {
            "pages": list(self.pages),
            "form": self.form,
            "fields": {
                name: {"value": reading.value, "confidence": reading.confidence}
                for name, reading in self.fields.items()
            },
            "barcodes": list(self.barcodes),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class ScanResult(Private, shows=("outcome", "reason")):
    """What a file holds: ``read``, ``person`` (somebody must look at a letter) or ``refused`` (no page was read)."""

    outcome: str
    reason: str | None = None
    letters: tuple[Letter, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what ``dsr inspect scan`` prints."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "letters": [letter.to_json() for letter in self.letters],
        }


def read_scan(data: bytes, limits: Limits | None = None) -> ScanResult:
    """Read a PDF, TIFF, PNG or JPEG of one or several letters.

    :param data: the file; whatever it holds, the answer is a result.
    :param limits: bytes, pages, pixels, and what one child process may use.
    :raises WrongUseError: the installation is wrong (not the file).
    :raises OutOfReachError: a child process can't be started now.
    """
    limits = limits or Limits()
    if len(data) > limits.message_bytes:
        return ScanResult(REFUSED, "too_large")
    try:
        letters = tuple(_letter(pages) for pages in group(_pages(data, limits)))
    except UnreadableError as error:
        return ScanResult(REFUSED, error.code)
    doubtful = next((letter for letter in letters if letter.outcome != READ), None)
    return ScanResult(PERSON, doubtful.reason, letters) if doubtful else ScanResult(READ, None, letters)


def _pages(data: bytes, limits: Limits) -> list[PageReading]:
    bounds = PageLimits(limits.pages, limits.pixels)
    pages: list[PageReading] = []
    total = 1
    while len(pages) < total:
        task = pack_task(data, bounds, len(pages), _PAGES_A_CHILD)
        answer = run_child("vault.intake.pagereader:read_pages", task, limits=ChildLimits.of(limits))
        total, more = unpack_pages(answer)
        pages += more
    return pages


def group(pages: Sequence[PageReading]) -> list[list[PageReading]]:
    """Put pages together into letters: a form starts a letter, and so does the file's first written page."""
    letters: list[list[PageReading]] = []
    for page in pages:
        if not letters or (page.form is not None and not all(before.blank for before in letters[-1])):
            letters.append([])
        letters[-1].append(page)
    return letters


def _letter(pages: Sequence[PageReading]) -> Letter:
    sheet = next((page for page in pages if page.form is not None), None)
    reason = _doubt(pages, sheet)
    return Letter(
        pages=tuple(page.number for page in pages),
        form=sheet.form if sheet else None,
        fields=sheet.fields if sheet else {},
        barcodes=tuple(text for page in pages for text in page.barcodes),
        text="\n\n".join(page.text for page in pages if page.text),
        outcome=PERSON if reason else READ,
        reason=reason,
    )


def _doubt(pages: Sequence[PageReading], sheet: PageReading | None) -> str | None:
    """Return why a person must look at the letter, or None."""
    fault = next((page.fault for page in pages if page.fault), None)
    if fault:
        return fault
    if sheet is None:
        return "blank" if all(page.blank for page in pages) else "no_form"
    for_others = sheet.fields.get("for_whom", NOT_READ).value in ("child", "other")
    needed = {**_NEEDED, **_NEEDED_FOR_OTHERS} if for_others else _NEEDED
    missing = (reason for name, reason in needed.items() if not sheet.fields.get(name, NOT_READ).value)
    unsure = (
        reason for name, reason in {**needed, **_HARMFUL}.items() if sheet.fields.get(name, NOT_READ).confidence < _SURE
    )
    return next(itertools.chain(missing, unsure), None)
