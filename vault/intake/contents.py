"""The words and the files of a mail once every layer is off, without what repeats its protected headers.

Programs that protect headers show them once more for older readers: as a first part (``protected-headers``,
the memory hole drafts), or as the first lines of the text (``hp-legacy-display``, RFC 9788 section 4.5.3).
"""

from dataclasses import dataclass, field

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.armour import armour_blocks, clear_signed_text
from vault.intake.headers import clean, decode_text
from vault.intake.html import html_text
from vault.intake.mime import Part
from vault.intake.opened import Attachment

_MOST_KEYS = 8
_LONGEST_TEXT = 1_000_000  # characters; the sealed original keeps the rest
_LEGACY, _LEGACY_CLASS = "hp-legacy-display", "header-protection-legacy-display"
_SIGNATURES = frozenset(["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"])


@dataclass(slots=True)
class Contents(Private):
    """Text in reading order, files, and what a person should know.

    :param html_unreadable: some HTML could not be read.
    :param partly_signed: a signature covers a part.
    :param text_cut: the text is longer than anybody reads, and its end was left out.
    """

    texts: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    html_unreadable: bool = False
    partly_signed: bool = False
    text_cut: bool = False

    @property
    def text(self) -> str:
        """All text, cleaned of control characters."""
        return "\n\n".join(text for text in (clean(text).strip() for text in self.texts) if text)

    def add(self, text: str) -> None:
        """Add words, as far as there is room."""
        room = _LONGEST_TEXT - sum(map(len, self.texts))
        self.text_cut = self.text_cut or len(text) > room
        self.texts.append(text[:room])


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
        contents.partly_signed = contents.partly_signed or part.type == "multipart/signed"
        for child in part.parts[1:] if _repeats_headers(part) else part.parts:
            _gather(child, contents, wanted=wanted)
    elif _is_body(part):
        if wanted:
            _add_text(part, contents)
    elif part.type in _SIGNATURES:
        contents.partly_signed = True
    else:
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
        contents.add(_words(part, contents))
        return
    try:
        contents.add(html_text(_without_legacy_div(part)))
    except UnreadableError:
        contents.html_unreadable = True
        contents.attachments.append(Attachment("message.html", part.type, part.content))


def _words(part: Part, contents: Contents) -> str:
    """Return a text without a signature's armour and without protected headers that it repeats."""
    text = part.text
    block = next(armour_blocks(part.content, b"PGP SIGNED MESSAGE", b"PGP SIGNATURE"), None)
    if block is not None:
        contents.partly_signed = True
        shown = part.content.replace(block.removesuffix(b"\n"), clear_signed_text(block), 1)
        text = decode_text(shown, part.parameter("charset"))
    if part.parameter(_LEGACY) == "1":
        text = clean(text).lstrip("\n").partition("\n\n")[2]
    return text


def _without_legacy_div(part: Part) -> str:
    """Cut the element that repeats protected headers out of HTML (RFC 9788 section 4.5.3.3)."""
    html = part.text
    start = html.find(f'<div class="{_LEGACY_CLASS}">') if part.parameter(_LEGACY) == "1" else -1
    stop = html.find("</div>", start)
    return html if start < 0 or stop < 0 else html[:start] + html[stop:]


def _repeats_headers(part: Part) -> bool:
    """Tell whether a multipart's first part only repeats the protected headers (memory hole drafts)."""
    first = part.parts[0]
    shows = first.type in {"text/plain", "text/rfc822-headers"} and len(part.parts) > 1
    return shows and all(one.parameter("protected-headers") is not None for one in (part, first))
