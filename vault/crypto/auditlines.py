"""One line of the key service's own audit: who used which key for what; references only, in one spelling.

``docs/formats/keys.md`` describes it. A line that a kill cut short was answered to nobody and is passed over.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _text
from typing import Final

from vault.errors import TamperedError

GRANTED: Final = "granted"
PAGE_BYTES: Final = 256 * 1024
_PLACE_BYTES = 8
_FIELDS: Final = ("at", "office", "verb", "name", "ref", "use", "outcome")


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One use of a key, or one that was refused.

    :param at: UTC, to the millisecond.
    :param office: who asked, or ``-``.
    :param name: kind, box, label or signer.
    :param ref: the reference of a wrapped or sealed key; empty for other verbs.
    :param use: the id of the log receipt that allowed it, ``write``, or empty.
    :param outcome: ``granted`` or a refusal's code.
    """

    at: datetime
    office: str
    verb: str
    name: str
    ref: str
    use: str
    outcome: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A piece of the audit.

    :param lines: whole lines, at most 256 KiB of them.
    :param end: where the next page begins, in bytes from the audit's start.
    """

    lines: bytes
    end: int

    @property
    def last(self) -> bool:
        """Tell whether no more stood in the audit then; the look itself is a line behind it."""
        return len(self.lines) < PAGE_BYTES // 2


def render_page(page: AuditPage) -> bytes:
    """Write a page as it travels: the next one's place (8 bytes, big-endian), then the lines."""
    return page.end.to_bytes(_PLACE_BYTES, "big") + page.lines


def parse_page(value: bytes) -> AuditPage:
    """Read what :func:`render_page` wrote."""
    return AuditPage(value[_PLACE_BYTES:], int.from_bytes(value[:_PLACE_BYTES], "big"))


def render_line(line: AuditLine) -> bytes:
    """Write a line as the audit holds it, line feed included."""
    # written out, because it is half of what a use of a key would cost
    at = line.at.astimezone(UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"at": "{at}", "office": {_text(line.office)}, "verb": {_text(line.verb)}, "name": {_text(line.name)}'
        f', "ref": {_text(line.ref)}, "use": {_text(line.use)}, "outcome": {_text(line.outcome)}}}\n'
    ).encode("ascii")


def parse_line(data: bytes) -> AuditLine:
    """Read what :func:`render_line` wrote, and no other spelling of it.

    :raises TamperedError: anything else.
    """
    try:
        body = json.loads(data)
        at, *words = (body[name] for name in _FIELDS)
        line = AuditLine(datetime.fromisoformat(at), *words)
        whole = render_line(line) == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _malformed() from None
    if not whole or not all(isinstance(word, str) for word in words):
        raise _malformed()
    return line


def parse_lines(data: bytes, start: int = 0) -> Iterator[tuple[int, AuditLine | None]]:
    """Yield each line of a page with its place; None where a kill left one torn, or somebody changed it.

    :param start: where the page begins, in bytes from the audit's start.
    """
    for line in data.split(b"\n")[:-1]:
        place, start = start, start + len(line) + 1
        if line:  # a new daemon starts a line of its own behind a torn one
            yield place, _parsed(line + b"\n")


def _parsed(line: bytes) -> AuditLine | None:
    try:
        return parse_line(line)
    except TamperedError:
        return None


def _malformed() -> TamperedError:
    return TamperedError("audit_line_malformed", "this is no line of a key service's audit, or of another release")
