"""Drafts open on a clinician's page: one logged look each, their pages drawn as pictures."""

import io
import threading
from dataclasses import dataclass

import pypdfium2

from vault.desk.memory import Memory
from vault.desk.sessions import Session
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import RefusedError
from vault.steps.parts import Parts
from vault.steps.review import OpenDraft, open_draft

_SCALE = 1.4  # points to pixels: readable, and light
_PDFIUM = threading.Lock()  # PDFium is not safe for two threads at once


@dataclass(frozen=True, slots=True)
class Held(Private):
    """An opened draft and its PDF files; they are our own, made from data, so they are drawn in this process."""

    draft: OpenDraft
    pdfs: dict[str, bytes]

    def pages(self, document: str) -> int:
        """Count a document's pages."""
        with _PDFIUM, pypdfium2.PdfDocument(self.pdfs[document]) as pdf:
            return len(pdf)

    def text(self, document: str) -> str:
        """Return a document's words, for readers that can't see its pages."""
        with _PDFIUM, pypdfium2.PdfDocument(self.pdfs[document]) as pdf:
            return "\n".join(page.get_textpage().get_text_bounded() for page in pdf)

    def picture(self, document: str, page: int) -> bytes:
        """Draw one page as PNG; ``page`` counts from 1."""
        with _PDFIUM, pypdfium2.PdfDocument(self.pdfs[document]) as pdf:
            drawn = pdf[page - 1].render(scale=_SCALE).to_pil()
        target = io.BytesIO()
        drawn.save(target, "PNG", compress_level=1)
        return target.getvalue()


class OpenDrafts(Private):
    """Opens drafts and remembers them for a session."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._memory: Memory[Held] = Memory(parts.now)

    def open(self, session: Session, ref: str) -> Held:
        """Open a draft anew; the look is logged."""
        draft = open_draft(self._parts, ref, Purpose.REVIEW, session.staff)
        pdfs = {item["id"]: draft.read(f"{item['id']}.pdf") for item in draft.listing["documents"]}
        return self._memory.put(session.ref, ref, Held(draft, pdfs))

    def held(self, session: Session, ref: str) -> Held:
        """Return a draft that is open already, else open it."""
        return self._memory.get(session.ref, ref) or self.open(session, ref)

    def forget(self, session_ref: str, ref: str | None = None) -> None:
        """Forget a session's drafts, or one of them."""
        self._memory.forget(session_ref, ref)

    def image(self, session: Session, ref: str, document: str, page: int) -> bytes:
        """Draw one page as PNG.

        :param page: from 1.
        :raises RefusedError: no such document or page.
        """
        held = self.held(session, ref)
        if document not in held.pdfs or not 1 <= page <= held.pages(document):
            raise RefusedError("no_such_page", "the draft has no such page", ref=ref)
        return held.picture(document, page)
