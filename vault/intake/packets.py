"""Cuts bytes into OpenPGP packets (RFC 9580 and RFC 4880, section 4.2), strictly and without copying them.

What can't be read with certainty to its very last byte is no packet here: whoever asks leaves it to gpg.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.domain.private import Private

_PACKET, _NEW_FORMAT = 0x80, 0x40  # bits of a packet's first octet
_TO_THE_END = 3  # the old format's way to leave a length open
_TWO_OCTETS, _PARTIAL, _FOUR_OCTETS = 192, 224, 255  # the new format's first length octets begin here
_SMALLEST_PIECE = 512  # octets; the RFC asks it of the first, and everybody writes the others so


class UnsureError(Exception):
    """These bytes are not certainly what they should be."""


@dataclass(frozen=True, slots=True)
class Packet(Private):
    """One packet; what it holds still stands in the bytes that were walked.

    :param tag: its type.
    :param whole: with its header.
    :param pieces: the body; more than one where its length came in parts.
    """

    tag: int
    whole: memoryview
    pieces: tuple[memoryview, ...]


def walk(data: bytes | memoryview, open_tags: frozenset[int] = frozenset()) -> Iterator[Packet]:
    """Yield the packets that the bytes are made of, up to the first that is unsure.

    :param open_tags: the types whose lengths may come in parts, or be left open up to the end of the bytes.
    :raises UnsureError: a packet is none, is cut off, or leaves its length open.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        first = view[at]
        new = bool(first & _NEW_FORMAT)
        tag = first & 0x3F if new else first >> 2 & 0xF
        if not first & _PACKET or not tag:
            raise UnsureError
        spans = (_new_spans if new else _old_spans)(view, at, may_be_open=tag in open_tags)
        stop = spans[-1][1]
        if stop > len(view):
            raise UnsureError
        yield Packet(tag, view[at:stop], tuple(view[start:end] for start, end in spans))
        at = stop


def _old_spans(view: memoryview, at: int, *, may_be_open: bool) -> list[tuple[int, int]]:
    """Return where a packet of the old format has its body (section 4.2.2)."""
    kind = view[at] & 3
    if kind == _TO_THE_END:
        if not may_be_open:
            raise UnsureError
        return [(at + 1, len(view))]
    start = at + 1 + (1 << kind)
    return [(start, start + _number(view, at + 1, start))]


def _new_spans(view: memoryview, at: int, *, may_be_open: bool) -> list[tuple[int, int]]:
    """Return where a packet of the new format has its body, piece by piece (section 4.2.1)."""
    spans: list[tuple[int, int]] = []
    at += 1
    while True:
        first = _number(view, at, at + 1)
        partial = _PARTIAL <= first < _FOUR_OCTETS
        start, length = (at + 1, 1 << (first & 0x1F)) if partial else _whole_length(view, at, first)
        if partial and (not may_be_open or length < _SMALLEST_PIECE):
            raise UnsureError
        spans.append((start, at := start + length))
        if not partial:
            return spans


def _whole_length(view: memoryview, at: int, first: int) -> tuple[int, int]:
    """Return where a body starts, and its length."""
    if first < _TWO_OCTETS:
        return at + 1, first
    if first < _PARTIAL:
        return at + 2, (first - _TWO_OCTETS << 8) + _number(view, at + 1, at + 2) + _TWO_OCTETS
    return at + 5, _number(view, at + 1, at + 5)


def _number(view: memoryview, start: int, stop: int) -> int:
    """Read a length; where it is cut off, the packet ends behind the bytes whatever it says."""
    return int.from_bytes(view[start:stop], "big")
