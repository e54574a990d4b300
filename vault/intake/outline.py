"""What a mail consists of, as plain text for a person: nothing in it is rendered, run, fetched or decrypted.

Also a mail that no reader got through is looked at so. It is taken apart in the sandboxed child; where that ends
at a limit too, the first of its bytes are left, as text.
"""

import json
from dataclasses import dataclass, replace
from itertools import islice

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.headers import clean, decode_text, decode_words
from vault.intake.html import strip
from vault.intake.mime import MimeLimits, Part, head, parse
from vault.intake.sandbox import ChildLimits, run_child
from vault.settings import Limits

_SECONDS = 20.0  # a person waits for the page
_FIELDS, _FIELD = 200, 1_000  # header fields that are shown, and characters of each
_WORDS, _ALL_WORDS = 20_000, 200_000  # characters of one part, and of all
_HTML = 200_000  # bytes; the standard library's parser takes the square of some inputs' length
_SOURCE = 20_000  # bytes of the beginning, as they came


@dataclass(frozen=True, slots=True)
class Piece(Private):
    """One part of a mail.

    :param depth: how many parts it lies in.
    :param size: in bytes, without its transfer encoding; 0 for what holds other parts.
    :param words: of text; HTML without its marks.
    """

    depth: int
    type: str
    name: str
    size: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Outline(Private):
    """A mail as it lies: header fields in their order, parts in reading order, and how its bytes begin.

    :param trouble: code of why it was not taken apart, or None.
    """

    headers: tuple[tuple[str, str], ...]
    pieces: tuple[Piece, ...]
    source: str
    trouble: str | None = None


def outline(data: bytes, limits: Limits) -> Outline:
    """Take a mail apart (RFC 5322, RFC 2045) for somebody to look at; whatever the bytes are, something is shown."""
    bounds = ChildLimits.of(limits)
    bounds = replace(bounds, seconds=min(bounds.seconds, _SECONDS))
    task = json.dumps([limits.message_bytes, limits.parts, limits.depth]).encode("ascii") + b"\n" + data
    source = clean(decode_text(data[:_SOURCE], None))
    try:
        said = json.loads(run_child("vault.intake.outline:sketch", task, limits=bounds))
    except UnreadableError as error:
        return Outline((), (), source, error.code)
    pieces = tuple(Piece(*piece) for piece in said["pieces"])
    return Outline(tuple((name, value) for name, value in said["headers"]), pieces, source, said["trouble"])


def sketch(task: bytes) -> bytes:
    """Read headers and parts; the child's entry: limits as JSON and a mail in, JSON out."""
    order, _, data = task.partition(b"\n")
    limits, trouble = MimeLimits(*json.loads(order)), None
    try:
        root = parse(data, limits)
        pieces = _pieces(root)
    except UnreadableError as error:
        root, pieces, trouble = head(data, limits), [], error.code
    said = {"headers": _headers(root), "pieces": pieces, "trouble": trouble}
    return json.dumps(said, ensure_ascii=True).encode("ascii")


def _headers(root: Part) -> list[tuple[str, str]]:
    return [(name, decode_words(value)[:_FIELD]) for name, value in islice(root.fields, _FIELDS)]


def _pieces(root: Part) -> list[tuple[int, str, str, int, str]]:
    found, room = [], _ALL_WORDS
    for depth, part in _walk(root, 0):
        words = "" if part.parts else _words(part)[: min(_WORDS, room)]
        room -= len(words)
        size = 0 if part.parts else len(part.content)
        found.append((depth, part.type[:100], part.name, size, words))
    return found


def _walk(part: Part, depth: int) -> list[tuple[int, Part]]:
    return [(depth, part), *(pair for below in part.parts for pair in _walk(below, depth + 1))]


def _words(part: Part) -> str:
    """Return what a part says; a mail within the mail, or a server's report, is shown as it stands."""
    if part.type == "text/html":
        return strip(part.text[:_HTML].encode("utf-8", "replace")).decode("utf-8", "replace")
    return clean(part.text) if part.type.startswith(("text/", "message/")) else ""
