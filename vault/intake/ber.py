"""A strict, linear reader of BER (ITU-T X.690), as much of it as CMS needs: what is asked is found or refused.

Mail programs write CMS in BER as they stream it: lengths left open, strings in pieces. Nothing is built
in memory but what is asked for; depth and number of elements are bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.domain.private import Private
from vault.errors import UnreadableError

OCTETS, OBJECT, SEQUENCE, SET = 0x04, 0x06, 0x10, 0x11  # universal tags
CONTEXT = 0x80
_CLASS, _CONSTRUCTED, _NUMBER, _OPEN = 0xC0, 0x20, 0x1F, 0x80
_DEEPEST = 40
_MOST_ELEMENTS = 400_000  # a message of 100 MB comes in pieces of a kilobyte at the smallest
_LONGEST_LENGTH = 8  # octets


@dataclass(frozen=True, slots=True)
class Element(Private):
    """One element: its tag with its class (``CONTEXT | n`` for a context's own), and where its content stands.

    :param stop: the content's end; for an open length the end-of-contents octets begin there.
    :param end: where the next element begins.
    """

    tag: int
    constructed: bool
    start: int
    stop: int
    end: int


class Ber(Private):
    """Bytes that are read as BER; what is none raises :class:`UnreadableError` (``smime_malformed``)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._count = 0

    def root(self) -> Element:
        """Return the outermost element; what follows it is not looked at."""
        return self._element(0, len(self._data), 0)

    def children(self, parent: Element) -> Iterator[Element]:
        """Yield what stands in a constructed element, in order."""
        if not parent.constructed:
            raise _malformed()
        at = parent.start
        while at < parent.stop:
            child = self._element(at, parent.stop, 0)
            yield child
            at = child.end

    def content(self, element: Element) -> bytes:
        """Return the octets of a primitive element."""
        if element.constructed:
            raise _malformed()
        return self._data[element.start : element.stop]

    def octets(self, element: Element) -> bytes:
        """Return an OCTET STRING, put together where it comes in pieces (X.690 section 8.7)."""
        return b"".join(self._pieces(element, 0))

    def _pieces(self, element: Element, depth: int) -> Iterator[bytes]:
        if depth > _DEEPEST:
            raise _malformed()
        if not element.constructed:
            yield self.content(element)
            return
        for piece in self.children(element):
            if piece.tag != OCTETS:
                raise _malformed()
            yield from self._pieces(piece, depth + 1)

    def _element(self, at: int, stop: int, depth: int) -> Element:
        self._count += 1
        if self._count > _MOST_ELEMENTS or depth > _DEEPEST:
            raise _malformed()
        tag, length, start = self._head(at, stop)
        kind, constructed = tag & ~_CONSTRUCTED, bool(tag & _CONSTRUCTED)
        if length is not None:
            if start + length > stop:
                raise _malformed()
            return Element(kind, constructed, start, start + length, start + length)
        if not constructed:
            raise _malformed()
        inside = start
        while self._data[inside : inside + 2] != b"\x00\x00":
            inside = self._element(inside, stop, depth + 1).end
        if inside + 2 > stop:
            raise _malformed()
        return Element(kind, constructed, start, inside, inside + 2)

    def _head(self, at: int, stop: int) -> tuple[int, int | None, int]:
        """Read a tag and a length; None is an open one (X.690 section 8.1)."""
        if at + 2 > stop or self._data[at] & _NUMBER == _NUMBER:
            raise _malformed()
        tag, first = self._data[at], self._data[at + 1]
        if first < _OPEN:
            return tag, first, at + 2
        if first == _OPEN:
            return tag, None, at + 2
        count = first & ~_OPEN
        if count > _LONGEST_LENGTH or at + 2 + count > stop:
            raise _malformed()
        return tag, int.from_bytes(self._data[at + 2 : at + 2 + count], "big"), at + 2 + count


def _malformed() -> UnreadableError:
    return UnreadableError("smime_malformed", "the S/MIME message is damaged; a person must look at the original")
