"""The demo's post office: the print role opens letters, posts them, and their addressees read them at home."""

import re
import shutil
from dataclasses import dataclass, field

import pypdfium2

from vault.domain.private import Private
from vault.steps.outbox import mark_posted, open_letters
from vault.testing.installation import Installation

_CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}\b")
_PASSPHRASE = re.compile(r"\b[0-9a-hjkmnp-tv-z]{5}(?:-[0-9a-hjkmnp-tv-z]{5}){4}\b")


@dataclass(slots=True)
class PostOffice(Private):
    """What letters brought to people, kept in memory as they would keep the paper.

    :param codes: one-time code by case; ``passphrases`` likewise.
    """

    installation: Installation
    codes: dict[str, str] = field(default_factory=dict)
    passphrases: dict[str, str] = field(default_factory=dict)
    posted: list[str] = field(default_factory=list)

    def work(self) -> list[str]:
        """Print and post what lies in the outbox; return the references of the letters."""
        folder = self.installation.nest / "printer"
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            with self.installation.office("print") as parts:
                letters = open_letters(parts, folder, 100)
                for letter in letters:
                    self._read(letter, (folder / f"{letter}.pdf").read_bytes())
                mark_posted(parts, letters)
        finally:
            shutil.rmtree(folder)
        self.posted += letters
        return letters

    def _read(self, letter: str, pdf: bytes) -> None:
        ref, _, kind = letter.rpartition("-")
        text = first_page(pdf)
        if kind == "code" and (code := _CODE.search(text)):
            self.codes[ref] = code.group()
        if kind == "passphrase" and (words := _PASSPHRASE.search(text)):
            self.passphrases[ref] = words.group()


def first_page(pdf: bytes, password: str | None = None) -> str:
    """Return the words of a PDF's first page."""
    with pypdfium2.PdfDocument(pdf, password=password) as document:
        return str(document[0].get_textpage().get_text_bounded())
