"""PDF files that came with a mail: our form, filled in on a screen or printed flat, and letters; read in a child.

A file that can't be read is no fault of the mail: a person sees it at the desk.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.opened import Attachment
from vault.intake.scan import READ, Letter, read_scan
from vault.settings import Limits

_MOST_FILES, _LARGEST, _PAGES, _SECONDS = 3, 10_000_000, 4, 60  # files of a mail, bytes, pages of a file, for a child
_PDF = b"%PDF-"
_HEADER = 1024  # a PDF's mark stands within its first bytes


@dataclass(frozen=True, slots=True)
class AttachedForm(Private):
    """What the attached files say.

    :param values: of the one form among them, by field; None without one, or when there are two.
    :param language: of the answer, as ticked, else that of the form.
    :param sure: False when a person must compare.
    :param words: of letters among them.
    """

    values: dict[str, Any] | None = None
    language: str | None = None
    sure: bool = True
    words: str = ""


def read_attached(attachments: Iterable[Attachment], limits: Limits | None = None) -> AttachedForm:
    """Read the first few PDF files of a mail.

    :param limits: what one child process may use.
    """
    pdfs = [file for file in attachments if _PDF in file.data[:_HEADER] and len(file.data) <= _LARGEST]
    letters = [letter for file in pdfs[:_MOST_FILES] for letter in _letters(file, limits or Limits())]
    words = "\n\n".join(letter.text for letter in letters if letter.form is None and letter.text)
    forms = [letter for letter in letters if letter.form is not None]
    if len(forms) != 1:
        return AttachedForm(sure=not forms, words=words)
    values = {name: reading.value for name, reading in forms[0].fields.items()}
    language = str(values.get("language") or (forms[0].form or "::").split(":")[2])
    return AttachedForm(values, language, forms[0].outcome == READ, words)


def _letters(file: Attachment, limits: Limits) -> tuple[Letter, ...]:
    bounds = limits.model_copy(
        update={"pages": min(_PAGES, limits.pages), "child_seconds": min(_SECONDS, limits.child_seconds)}
    )
    try:
        return read_scan(file.data, bounds).letters
    except UnreadableError:
        return ()
