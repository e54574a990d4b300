"""What a mail consists of, as plain text for a person: nothing in it is rendered, run, fetched or decrypted.

Also a mail that no reader got through is looked at so. It is taken apart in the sandboxed child; HTML that ends it at
a limit is shown as it is written, and where that fails too, the first of the mail's bytes are left, as text.
"""

import json
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.headers import clean, decode_text, decode_words
from vault.intake.html import strip
from vault.intake.mime import MimeLimits, Part, head, parse
from vault.intake.sandbox import ChildLimits, run_child
from vault.settings import Limits

# A person waits for the page: first with HTML read, and where that takes too long with HTML as it is written.
_READING, _SHOWING = 8.0, 20.0  # seconds
_FIELDS, _FIELD = 200, 1_000  # header fields that are shown, and characters of each
_WORDS, _ALL_WORDS = 20_000, 200_000  # characters of one part, and of all
_HTML = 200_000  # bytes that are read; the standard library's parser takes the cube of some inputs' length
_SOURCE = 20_000  # bytes of the beginning, as they came


@dataclass(frozen=True, slots=True)
class Piece(Private):
    """One part of a mail.

    :param depth: how many parts it lies in.
    :param size: in bytes, without its transfer encoding; 0 for what holds other parts.
    :param words: of text; HTML without its marks, or as it is written where it can't be read.
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
    source = clean(decode_text(data[:_SOURCE], None))
    try:
        said = _sketched(data, limits)
    except UnreadableError as error:
        return Outline((), (), source, error.code)
    pieces = tuple(Piece(*piece) for piece in said["pieces"])
    return Outline(tuple((name, value) for name, value in said["headers"]), pieces, source, said["trouble"])


def _sketched(data: bytes, limits: Limits) -> dict[str, Any]:
    try:
        return _asked(data, limits, read=True)
    except UnreadableError:
        return _asked(data, limits, read=False)


def _asked(data: bytes, limits: Limits, *, read: bool) -> dict[str, Any]:
    bounds = ChildLimits.of(limits)
    bounds = replace(bounds, seconds=min(bounds.seconds, _READING if read else _SHOWING))
    order = {"read": read, "size": limits.message_bytes, "parts": limits.parts, "depth": limits.depth}
    task = json.dumps(order).encode("ascii") + b"\n" + data
    said: dict[str, Any] = json.loads(run_child("vault.intake.outline:sketch", task, limits=bounds))
    return said


def sketch(task: bytes) -> bytes:
    """Read headers and parts; the child's entry: an order as JSON and a mail in, JSON out."""
    head_line, _, data = task.partition(b"\n")
    order = json.loads(head_line)
    limits, trouble = MimeLimits(order["size"], order["parts"], order["depth"]), None
    try:
        root = parse(data, limits)
        pieces = _pieces(root, read=order["read"])
    except UnreadableError as error:
        root, pieces, trouble = head(data, limits), [], error.code
    said = {"headers": _headers(root), "pieces": pieces, "trouble": trouble}
    return json.dumps(said, ensure_ascii=True).encode("ascii")


def _headers(root: Part) -> list[tuple[str, str]]:
    return [(name, decode_words(value)[:_FIELD]) for name, value in islice(root.fields, _FIELDS)]


def _pieces(root: Part, *, read: bool) -> list[tuple[int, str, str, int, str]]:
    found, room = [], _ALL_WORDS
    for depth, part in _walk(root, 0):
        words = "" if part.parts else _words(part, read=read)[: min(_WORDS, room)]
        room -= len(words)
        size = 0 if part.parts else len(part.content)
        found.append((depth, part.type[:100], part.name, size, words))
    return found


def _walk(part: Part, depth: int) -> list[tuple[int, Part]]:
    return [(depth, part), *(pair for below in part.parts for pair in _walk(below, depth + 1))]


def _words(part: Part, *, read: bool) -> str:
    """Return what a part says; a mail within the mail, or a server's report, is shown as it stands."""
    if part.type == "text/html" and read:
        return strip(part.text[:_HTML].encode("utf-8", "replace")).decode("utf-8", "replace")
    return clean(part.text) if part.type.startswith(("text/", "message/")) else ""
