"""What tests of answers share: a controller, a heading, records of every kind, and eyes that read a PDF."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pypdfium2

from vault.domain.records import Author, Json, Record, RecordKind
from vault.package.heading import Heading, Recipient
from vault.settings import Controller

CASE = "DSR-2026-7K3QXM"
MADE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WRITTEN = datetime(2025, 3, 1, 8, 15, tzinfo=UTC)
CONTROLLER = Controller(
    name="Esimerkkiklinikka Oy",
    address=["Kalevankatu 12 A", "00100 Helsinki"],
    email="tietosuoja@clinic.example",
    data_protection_officer="Aino Esimerkki, 09 123 4567",
)
AUTHOR = Author("Maija Malli", "A-10442", "psykoterapeutti")
RECIPIENT = Recipient("Eeva Orvokki Kääriäinen", ("Mäntytie 4 B 12", "00270 HELSINKI", "FI"))
_POINTS = 72 / 25.4  # a millimetre
_UNSEEN = re.compile("[\\s\u00ad\u0002\ufffe-]+")


def heading(language: str = "fi", at: datetime = MADE) -> Heading:
    """Make the heading of the sample case."""
    return Heading(CASE, language, CONTROLLER, at)


def make_record(
    kind: str,
    body: Mapping[str, Json],
    *,
    ref: str = "R-1",
    corrects: str | None = None,
    at: datetime = WRITTEN,
) -> Record:
    """Make a record of the sample patient."""
    return Record(ref, "P-1", RecordKind(kind), at, AUTHOR, body, corrects)


def one_of_each() -> list[Record]:
    """Make one small record of each kind, an hour apart."""
    return [
        make_record(kind.value, {"text": f"sisältö {kind.value}"}, ref=f"R-{at:02d}", at=WRITTEN + timedelta(hours=at))
        for at, kind in enumerate(RecordKind)
    ]


def text_of(pdf: bytes) -> str:
    """Read a PDF's text."""
    opened = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in opened)
    finally:
        opened.close()


def shows(pdf: bytes, *texts: str) -> bool:
    """Tell whether a PDF shows all these texts, however its lines break."""
    seen = _UNSEEN.sub("", text_of(pdf))
    return all(_UNSEEN.sub("", text) in seen for text in texts)


def text_within(pdf: bytes, left: float, top: float, right: float, bottom: float) -> Sequence[str]:
    """Read the lines within a box of the first page, an A4.

    :param left: like the others, in millimetres from the sheet's upper left corner.
    """
    opened = pypdfium2.PdfDocument(pdf)
    try:
        height = opened[0].get_height()
        box = [left * _POINTS, height - bottom * _POINTS, right * _POINTS, height - top * _POINTS]
        found = opened[0].get_textpage().get_text_bounded(*box)
    finally:
        opened.close()
    return [line.strip() for line in found.splitlines() if line.strip()]
