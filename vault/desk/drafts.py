"""Drafts open on a clinician's page: in memory for at most five minutes, one logged look each, never on disk."""

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import pypdfium2

from vault.desk.sessions import Session
from vault.domain.roles import Purpose
from vault.errors import RefusedError
from vault.steps.parts import Parts
from vault.steps.review import OpenDraft, open_draft

OPEN_FOR = timedelta(minutes=5)
_MOST = 16  # drafts at a time
_SCALE = 1.4  # points to pixels: readable, and light
_PDFIUM = threading.Lock()  # PDFium is not safe for two threads at once


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """An opened draft, until when it may be shown, and its PDF files."""

    draft: OpenDraft
    until: datetime
    pdfs: dict[str, bytes]

    def pages(self, document: str) -> int:
        """Count a document's pages."""
        with _PDFIUM:
            return len(pypdfium2.PdfDocument(self.pdfs[document]))

    def text(self, document: str) -> str:
        """Return a document's words, for readers that can't see its pages."""
        with _PDFIUM:
            pdf = pypdfium2.PdfDocument(self.pdfs[document])
            return "\n".join(page.get_textpage().get_text_bounded() for page in pdf)


class OpenDrafts:
    """Opens drafts and remembers them for a session."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._held: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, session: Session, ref: str) -> Held:
        """Open a draft anew; the look is logged."""
        draft = open_draft(self._parts, ref, Purpose.REVIEW, session.staff)
        pdfs = {item["id"]: draft.read(f"{item['id']}.pdf") for item in draft.listing["documents"]}
        held = Held(draft, self._parts.now() + OPEN_FOR, pdfs)
        with self._lock:
            self._held[session.ref, ref] = held
            while len(self._held) > _MOST:
                self._held.popitem(last=False)
        return held

    def held(self, session: Session, ref: str) -> Held:
        """Return a draft that is open already, else open it."""
        with self._lock:
            held = self._held.get((session.ref, ref))
        return held if held and held.until > self._parts.now() else self.open(session, ref)

    def forget(self, session_ref: str, ref: str | None = None) -> None:
        """Forget a session's drafts, or one of them."""
        with self._lock:
            for key in [k for k in self._held if k[0] == session_ref and ref in (None, k[1])]:
                del self._held[key]

    def image(self, session: Session, ref: str, document: str, page: int) -> bytes:
        """Draw one page as PNG.

        :param page: from 1.
        :raises RefusedError: no such document or page.
        """
        held = self.held(session, ref)
        if document not in held.pdfs or not 1 <= page <= held.pages(document):
            raise RefusedError("no_such_page", "the draft has no such page", ref=ref)
        with _PDFIUM:
            drawn = pypdfium2.PdfDocument(held.pdfs[document])[page - 1].render(scale=_SCALE).to_pil()
        target = io.BytesIO()
        drawn.save(target, "PNG", optimize=False, compress_level=1)
        return target.getvalue()
