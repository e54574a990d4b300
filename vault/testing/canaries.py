"""Looks for canaries, words that stand nowhere else, in everything at rest, however they are spelled or packed.

Each byte form (UTF-8, UTF-16 of both orders, Latin-1) is looked for bare, in hexadecimal and in
base64 at its three alignments and in both alphabets; text also in URL, quoted-printable, JSON and
Python escapes. Line breaks inside an encoding and streams packed by zlib, gzip or zip hide nothing.
"""

import base64
import json
import quopri
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

Place: TypeAlias = tuple[str, bytes]  # what a finding calls it, and what lies there
_BYTE_FORMS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
_PACKED = re.compile(rb"\x1f\x8b\x08|[\x28-\x78][\x01\x5e\x9c\xda]|PK\x03\x04")
_GZIP, _ZLIB, _RAW = 31, 15, -15  # window bits as zlib wants them
_ZIP_HEADER = 30  # bytes before a packed file's name
_MOST_UNPACKED = 64_000_000  # bytes of one stream
_DEEPEST = 3  # streams in streams
_ZEROS = b"\0" * 64
_HASH_BITS = 22
_FACTOR = np.uint32(2_654_435_761)  # Knuth's multiplicative hash
_WORD = 4  # bytes
_ASCII = 127
_AROUND = 24  # bytes of context in a finding


@dataclass(frozen=True, slots=True)
class Finding:
    """A canary that was found.

    :param around: the bytes about it, so that its way can be followed; canaries are invented.
    """

    canary: str
    encoding: str
    place: str
    around: bytes


def draw_canary(letters: int = 10) -> str:
    """Invent a word that no language has: lower-case letters, two of them beyond ASCII."""
    alphabet = "bcdfghjkmpqvwxz"
    ends = ["".join(secrets.choice(alphabet) for _ in range(letters // 2)) for _ in range(2)]
    return f"{ends[0]}{''.join(secrets.choice(alphabet) for _ in range(3))}äö{ends[1]}"


def spellings(text: str) -> dict[bytes, str]:
    """Return every byte sequence that gives a canary away, with the name of its encoding.

    Where letters' case means nothing the spelling is in lower case, and so is what the search looks at.
    """
    found: dict[bytes, str] = {}
    for written in dict.fromkeys((text, text.lower(), text.upper(), text.capitalize())):
        for form in _BYTE_FORMS:
            for name, carry in _CARRIERS.items():
                for needle in carry(written.encode(form)):
                    found.setdefault(needle, f"{form} {name}".strip())
        for name, escape in _ESCAPES.items():
            found.setdefault(escape(written).lower(), name)
    return found


def _base64(data: bytes, *, alphabet: Callable[[bytes], bytes]) -> list[bytes]:
    """Spell what stands for ``data`` alone, wherever in a stream it begins: letters shared at its ends are cut."""
    spelled = []
    for shift in range(3):
        coded = alphabet(b"\0" * shift + data).rstrip(b"=")
        spelled.append(coded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6])
    return spelled


_CARRIERS: dict[str, Callable[[bytes], list[bytes]]] = {
    "": lambda data: [data.lower()],
    "hex": lambda data: [data.hex().encode()],
    "base64": partial(_base64, alphabet=base64.b64encode),
    "base64url": partial(_base64, alphabet=base64.urlsafe_b64encode),
}
_ESCAPES: dict[str, Callable[[str], bytes]] = {
    "url": lambda text: quote(text, safe="").encode(),
    "url latin-1": lambda text: quote(text, safe="", encoding="latin-1").encode(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).rstrip(b"\n"),
    "quoted-printable latin-1": lambda text: quopri.encodestring(text.encode("latin-1")).rstrip(b"\n"),
    "json": lambda text: json.dumps(text)[1:-1].encode(),
    "python": lambda text: repr(text.encode())[2:-1].encode(),
    "octal": lambda text: b"".join(b"\\%o" % byte if byte > _ASCII else bytes([byte]) for byte in text.encode()),
}


def search(places: Iterable[Place], canaries: Mapping[str, str]) -> list[Finding]:
    """Look for every canary in every place.

    :param canaries: texts by the name that a finding shows; at least 8 characters each.
    """
    net = _Net(canaries)
    return [finding for name, data in places for finding in _in_place(net, name, data, _DEEPEST)]


def _in_place(net: "_Net", name: str, data: bytes, depth: int) -> Iterator[Finding]:
    while _ZEROS in data:  # sparse files; no spelling holds so many
        data = data.replace(_ZEROS, b"\0")
    data += bytes(_WORD)  # the last word is whole too
    found = {(hit.encoding, hit.canary): hit for view in _views(data) for hit in net.caught(name, view)}
    yield from found.values()
    if depth:
        for number, stream in enumerate(unpacked(data)):
            yield from _in_place(net, f"{name} > stream {number}", stream, depth - 1)


def _views(data: bytes) -> Iterator[bytes]:
    """Yield the bytes as they are and in lower case, then both again without line breaks."""
    yield data
    yield data.lower()
    if b"\n" in data:
        joined = data.replace(b"=\r\n", b"").replace(b"=\n", b"").translate(None, b"\r\n")
        yield joined
        yield joined.lower()


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield what the zlib, gzip and zip streams in ``data`` hold; of a broken one, what comes before the break."""
    for mark in _PACKED.finditer(data):
        at, magic = mark.start(), mark.group()
        if magic == b"PK\x03\x04":
            header = data[at : at + _ZIP_HEADER]
            skip = _ZIP_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            stream = _unpack(data, at + skip, _RAW)
        elif magic[:1] == b"\x1f":
            stream = _unpack(data, at, _GZIP)
        elif int.from_bytes(magic, "big") % 31 or magic[0] & 15 != 8:  # noqa: PLR2004 - RFC 1950's check
            continue
        else:
            stream = _unpack(data, at, _ZLIB)
        if stream:
            yield stream


def _unpack(data: bytes, at: int, window: int) -> bytes:
    machine = zlib.decompressobj(window)
    out = bytearray()
    step = 256  # most marks are chance: fail early
    while at < len(data) and not machine.eof and len(out) < _MOST_UNPACKED:
        try:
            out += machine.decompress(data[at : at + step])
        except zlib.error:
            break
        at += step
        step = 65_536
    return bytes(out)


class _Net:
    """All spellings of all canaries, sought at once: the time does not grow with their number.

    The data are read as words of four bytes. Wherever a spelling stands, one of its first four
    words is aligned; a table of hashes picks the few words that are worth a look.
    """

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._by_word: dict[bytes, list[tuple[int, bytes, str, str]]] = {}
        for canary, text in canaries.items():
            for needle, encoding in spellings(text).items():
                for shift in range(_WORD):
                    word = needle[shift : shift + _WORD]
                    self._by_word.setdefault(word, []).append((shift, needle, encoding, canary))
        self._table = np.zeros(1 << _HASH_BITS, dtype=np.bool_)
        self._table[_hashed(np.frombuffer(b"".join(self._by_word), dtype="<u4"))] = True

    def caught(self, place: str, data: bytes) -> Iterator[Finding]:
        """Yield each spelling that stands in ``data``, once for each canary and encoding."""
        seen: set[tuple[str, str]] = set()
        words = np.frombuffer(data, dtype="<u4", count=len(data) // _WORD)
        for hit in np.flatnonzero(self._table[_hashed(words)]):
            at = int(hit) * _WORD
            for shift, needle, encoding, canary in self._by_word.get(data[at : at + _WORD], ()):
                start = at - shift
                if start >= 0 and (encoding, canary) not in seen and data.startswith(needle, start):
                    seen.add((encoding, canary))
                    around = data[max(0, start - _AROUND) : start + len(needle) + _AROUND]
                    yield Finding(canary, encoding, place, around)


def _hashed(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return (words * _FACTOR) >> np.uint32(32 - _HASH_BITS)
