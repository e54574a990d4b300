"""A strict, linear walk over a mail's MIME structure that keeps every part's exact bytes and never guesses.

Signatures cover exact bytes, so a part is a slice of its source and is never re-written. Depth,
number of parts, size of headers and of the whole are bounded; nothing is fetched and nothing is run.
"""

import base64
import binascii
import contextlib
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.headers import decode_text, file_name, parameters

if TYPE_CHECKING:  # a child that opens mail starts in half the time without pydantic
    from vault.settings import Limits

_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:(.*)", re.DOTALL)
_KNOWN_FIELDS = frozenset(
    [
        *("from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "received"),
        *("return-path", "delivered-to", "mime-version", "content-type", "content-transfer-encoding", "x-mailer"),
    ]
)
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_DEEPEST = 100  # whatever the settings say: the walk is recursive
_ADVICE = "the mail's structure can't be read; a person must look at the original"


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """Bounds of one mail: ``size`` and ``headers`` (of one header block) in bytes, ``fields`` of one header block."""

    size: int = 60_000_000
    parts: int = 200
    depth: int = 12
    headers: int = 262_144
    fields: int = 2_000

    @classmethod
    def of(cls, limits: "Limits") -> "MimeLimits":
        """Take the operator's settings."""
        return cls(size=limits.message_bytes, parts=limits.parts, depth=limits.depth)


@dataclass(frozen=True, eq=False)
class Part(Private):
    """One MIME entity: a slice ``start:stop`` of its source, with its header fields in order."""

    source: bytes
    start: int
    body_start: int
    stop: int
    fields: tuple[tuple[str, str], ...]
    parts: tuple["Part", ...] = ()

    @property
    def raw(self) -> bytes:
        """The exact bytes, headers and body."""
        return self.source[self.start : self.stop]

    @property
    def body(self) -> bytes:
        """The exact bytes of the body, still transfer-encoded."""
        return self.source[self.body_start : self.stop]

    def header(self, name: str) -> str | None:
        """Return the first value of a header (bytes read as Latin-1, unfolded), or None."""
        return next((value for field, value in self.fields if field == name), None)

    def headers(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for field, value in self.fields if field == name]

    @cached_property
    def _content_type(self) -> tuple[str, Mapping[str, str]]:
        kind, values = parameters(self.header("content-type") or "text/plain")
        return (kind if re.fullmatch(r"[!-.0-~]+/[!-.0-~]+", kind) else "text/plain"), values

    @property
    def type(self) -> str:
        """The media type in lower case; ``text/plain`` when absent or malformed."""
        return self._content_type[0]

    def parameter(self, name: str) -> str | None:
        """Return a parameter of Content-Type."""
        return self._content_type[1].get(name)

    @cached_property
    def disposition(self) -> str:
        """``attachment``, ``inline`` or empty."""
        return parameters(self.header("content-disposition") or "")[0]

    @cached_property
    def name(self) -> str:
        """The file's name, made harmless; empty when there is none."""
        _, values = parameters(self.header("content-disposition") or "")
        return file_name(values.get("filename") or self.parameter("name") or "")

    @property
    def content(self) -> bytes:
        """The body without its transfer encoding; what is not decodable stays as it is."""
        encoding = (self.header("content-transfer-encoding") or "").strip().lower()
        return self._decoded if encoding in {"base64", "quoted-printable"} else self.body

    @cached_property
    def _decoded(self) -> bytes:
        if "base64" in (self.header("content-transfer-encoding") or "").lower():
            return _base64(memoryview(self.source)[self.body_start : self.stop])
        return quopri.decodestring(self.body)

    @property
    def text(self) -> str:
        """The content as text in the part's charset."""
        return decode_text(self.content, self.parameter("charset"))

    def walk(self) -> Iterator["Part"]:
        """Yield this part and all below, in reading order."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.parts))

    def leaves(self) -> list["Part"]:
        """Return the parts that hold content."""
        return [part for part in self.walk() if not part.type.startswith("multipart/") or not part.parts]


def parse(data: bytes, limits: MimeLimits | None = None, *, whole_mail: bool = True) -> Part:
    """Read the structure of a mail, or of one MIME entity that was inside an encrypted one.

    :param whole_mail: False for a decrypted entity, which may lack every header.
    :raises UnreadableError: ``mail_empty``, ``mail_too_large``, ``mail_not_a_mail``, ``mail_headers_too_large``,
        ``mail_too_many_parts``, ``mail_too_deep`` or ``mail_without_parts``.
    """
    limits = limits or MimeLimits()
    if not data or data.isspace():
        raise UnreadableError("mail_empty", "the mail is empty; nothing can be read from it")
    if len(data) > limits.size:
        raise UnreadableError("mail_too_large", "the mail is larger than the setting limits.message_bytes")
    start = _after_envelope_line(data) if whole_mail else 0
    root = _Walk(data, limits).entity(start, len(data), 0)
    if whole_mail and not any(name in _KNOWN_FIELDS for name, _ in root.fields):
        raise UnreadableError("mail_not_a_mail", "the bytes have no mail headers; a person must look at the original")
    return root


def head(data: bytes, limits: MimeLimits | None = None) -> Part:
    """Read the headers of a mail alone, however broken or large the rest is.

    :raises UnreadableError: ``mail_headers_too_large``.
    """
    start = _after_envelope_line(data)
    fields, body_start = _Walk(data, limits or MimeLimits()).header_block(start, len(data))
    return Part(data, start, body_start, len(data), fields)


def bare_part(content: bytes, content_type: str, name: str = "") -> Part:
    """Make a part from content that never had headers, such as decrypted inline text."""
    fields = [("content-type", content_type)]
    if name:
        escaped = name.replace("\\", "").replace('"', "")
        fields.append(("content-disposition", f'attachment; filename="{escaped}"'))
    return Part(content, 0, 0, len(content), tuple(fields))


def canonical(data: bytes) -> bytes:
    """Give every line the ending CRLF, as signatures over mail want it (RFC 3156 section 5, RFC 8551)."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class _Walk(Private):
    def __init__(self, source: bytes, limits: MimeLimits) -> None:
        self._source = source
        self._limits = limits
        self._count = 0

    def entity(self, start: int, stop: int, depth: int) -> Part:
        self._count += 1
        if self._count > self._limits.parts:
            raise UnreadableError("mail_too_many_parts", _ADVICE)
        fields, body_start = self.header_block(start, stop)
        part = Part(self._source, start, body_start, stop, fields)
        if not part.type.startswith("multipart/"):
            return part
        if depth >= min(self._limits.depth, _DEEPEST):
            raise UnreadableError("mail_too_deep", _ADVICE)
        slices = self._slices(part)
        children = tuple(self.entity(first, last, depth + 1) for first, last in slices)
        return Part(self._source, start, body_start, stop, fields, children)

    def header_block(self, start: int, stop: int) -> tuple[tuple[tuple[str, str], ...], int]:
        """Return the fields and where the body starts; a line that is no field starts the body."""
        fields: list[tuple[str, list[bytes]]] = []
        at = start
        while at < stop:
            end = self._source.find(b"\n", at, stop) + 1 or stop
            if end - start > self._limits.headers:
                raise UnreadableError("mail_headers_too_large", _ADVICE)
            line = self._source[at:end].rstrip(b"\r\n")
            if not line:
                at = end
                break
            if line[:1] in b" \t" and fields:
                fields[-1][1].append(line)
            elif found := _FIELD.fullmatch(line):
                if len(fields) >= self._limits.fields:
                    raise UnreadableError("mail_headers_too_large", _ADVICE)
                fields.append((found[1].decode("ascii").lower(), [found[2]]))
            else:
                break
            at = end
        return tuple((name, b"".join(lines).decode("latin-1").strip()) for name, lines in fields), at

    def _slices(self, part: Part) -> list[tuple[int, int]]:
        """Find what stands between the boundary lines of a multipart; what stands outside them is not read."""
        boundary = (part.parameter("boundary") or "").encode("latin-1", "replace")
        if not 0 < len(boundary) <= 200:  # noqa: PLR2004 - RFC 2046 allows 70
            raise UnreadableError("mail_without_parts", _ADVICE)
        slices: list[tuple[int, int]] = []
        opened: int | None = None
        for line_start, line_stop, closing in self._boundaries(part, b"--" + boundary):
            if opened is not None:
                slices.append((opened, max(opened, self._before_line_end(line_start))))
                if len(slices) > self._limits.parts:
                    raise UnreadableError("mail_too_many_parts", _ADVICE)
            opened = None if closing else line_stop
            if closing:
                break
        if opened is not None:
            slices.append((opened, part.stop))
        if not slices:
            raise UnreadableError("mail_without_parts", _ADVICE)
        return slices

    def _boundaries(self, part: Part, delimiter: bytes) -> Iterator[tuple[int, int, bool]]:
        at = part.body_start
        while (found := self._source.find(delimiter, at, part.stop)) >= 0:
            at = found + len(delimiter)
            if found != part.body_start and self._source[found - 1 : found] != b"\n":
                continue  # only a line's start is looked at further: one long line must not cost its square
            end = self._source.find(b"\n", found, part.stop) + 1 or part.stop
            rest = self._source[at : min(end, at + 100)].strip()
            if rest in {b"", b"--"}:
                yield found, end, rest == b"--"
                at = end

    def _before_line_end(self, at: int) -> int:
        """Step back over the line end, which belongs to the boundary (RFC 2046 section 5.1.1)."""
        if self._source[at - 1 : at] == b"\n":
            at -= 1
        return at - 1 if self._source[at - 1 : at] == b"\r" else at


def _after_envelope_line(data: bytes) -> int:
    """Skip the ``From `` line that some mailboxes put in front."""
    return data.find(b"\n") + 1 if data.startswith(b"From ") else 0


def _base64(body: memoryview) -> bytes:
    with contextlib.suppress(binascii.Error):
        return binascii.a2b_base64(body)  # without a copy of what may be 60 MB
    letters = bytes(body).translate(None, _NO_BASE64)
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except (binascii.Error, ValueError):
        return bytes(body)
