"""The words and the files of a mail once every layer is off."""

from dataclasses import dataclass, field

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.armour import armour_blocks
from vault.intake.headers import clean
from vault.intake.html import html_text
from vault.intake.mime import Part
from vault.intake.opened import Attachment

_MOST_KEYS = 8
_SIGNATURES = frozenset(["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"])


@dataclass(slots=True)
class Contents(Private):
    """Text in reading order, files, and whether some HTML could not be read."""

    texts: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    html_unreadable: bool = False

    @property
    def text(self) -> str:
        """All text, cleaned of control characters."""
        return "\n\n".join(text for text in (clean(text).strip() for text in self.texts) if text)


def read_contents(root: Part) -> Contents:
    """Gather the text and the attachments of an entity."""
    contents = Contents()
    _gather(root, contents, wanted=True)
    return contents


def public_keys(root: Part) -> tuple[bytes, ...]:
    """Return the OpenPGP public keys that a mail carries."""
    found: list[bytes] = []
    for part in root.leaves():
        if part.type == "application/pgp-keys" and not part.content.lstrip().startswith(b"-----"):
            found.append(part.content)
        else:
            found.extend(armour_blocks(part.content, b"PGP PUBLIC KEY BLOCK"))
    return tuple(dict.fromkeys(found))[:_MOST_KEYS]


def _gather(part: Part, contents: Contents, *, wanted: bool) -> None:
    """Walk in reading order; of alternatives only one gives text, but all give their files."""
    if part.type == "multipart/alternative":
        chosen = _best(part)
        for child in part.parts:
            _gather(child, contents, wanted=wanted and child is chosen)
    elif part.parts:
        for child in part.parts:
            _gather(child, contents, wanted=wanted)
    elif _is_body(part):
        if wanted:
            _add_text(part, contents)
    elif part.type not in _SIGNATURES:
        name = part.name or f"attachment-{len(contents.attachments) + 1}"
        contents.attachments.append(Attachment(name, part.type, part.content))


def _best(alternative: Part) -> Part | None:
    """Choose the plainest alternative that holds text."""
    for kind in ("text/plain", "text/html"):
        for child in alternative.parts:
            if any(leaf.type == kind and _is_body(leaf) and leaf.content.strip() for leaf in child.leaves()):
                return child
    return None


def _is_body(part: Part) -> bool:
    return part.type in {"text/plain", "text/html"} and part.disposition != "attachment" and not part.name


def _add_text(part: Part, contents: Contents) -> None:
    if part.type == "text/plain":
        contents.texts.append(part.text)
        return
    try:
        contents.texts.append(html_text(part.text))
    except UnreadableError:
        contents.html_unreadable = True
        contents.attachments.append(Attachment("message.html", part.type, part.content))
