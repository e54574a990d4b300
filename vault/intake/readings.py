"""What a sandboxed child is told to read of a file, and what it answers; nothing of the file is opened here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from vault.domain.private import Private

Value: TypeAlias = "str | bool | list[str] | None"


@dataclass(frozen=True, slots=True)
class PageLimits:
    """The most pages a file and pixels a page may have."""

    pages: int
    pixels: int


@dataclass(frozen=True, slots=True)
class FieldReading(Private, shows=("confidence",)):
    """What one field says: text, the ticked option or options, or whether there is ink; confidence 0 to 1."""

    value: Value
    confidence: float


NOT_READ = FieldReading(None, 0.0)


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


def unpack_pages(answer: bytes) -> tuple[int, list[PageReading]]:
    """Return the file's number of pages, and the readings that a child wrote."""
    said = json.loads(answer)
    return int(said["total"]), [_unpacked(page) for page in said["pages"]]


def _unpacked(page: Mapping[str, Any]) -> PageReading:
    fields = {name: FieldReading(**reading) for name, reading in page["fields"].items()}
    return PageReading(**{**page, "fields": fields, "barcodes": tuple(page["barcodes"])})
