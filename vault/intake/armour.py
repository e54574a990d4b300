"""Finds OpenPGP armour in text in one pass, and takes it off whatever a mail program did to its blanks and lines.

Programs indent the block, pad its lines with blanks or no-break spaces, put an empty line after each or drop
the one after the headers, and leave quoted-printable in it. None of that changes what the letters say, so the
armour is taken off here (RFC 4880 section 6, RFC 9580 section 6) and gpg is given the bare packets. The
checksum is not looked at: integrity is the encryption's own affair.
"""

import base64
import binascii
import functools
import quopri
import re
from collections.abc import Iterator
from itertools import islice

from vault.errors import UnreadableError

_MESSAGE = b"PGP MESSAGE"
_INDENT = 64  # bytes of blanks before a BEGIN line that are looked at
_HEADER = re.compile(rb"[^\n\r]{0,1000}:[^\n\r]*|[ \t\xa0\xc2]*(?=[\r\n])")  # Version, Comment, Charset; or nothing
_NO_LETTER = re.compile(rb"[^A-Za-z0-9+/= \t\r\n\xa0\xc2]")  # the last two: no-break spaces
_CHECKSUM = re.compile(rb"=[A-Za-z0-9+/]{4}\Z")
_LETTER = re.compile(rb"[A-Za-z0-9+/]")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINE = 64  # letters
_TAIL = 200  # bytes in which the checksum stands
_ADVICE = "the OpenPGP message can't be read; a person must look at the original"


def armour_blocks(data: bytes, label: bytes, end_label: bytes | None = None) -> Iterator[bytes]:
    """Yield each block from its BEGIN line to its END line, both included.

    :param label: such as ``PGP MESSAGE``.
    :param end_label: the END line's label where it differs, as in clear-signed text.
    """
    for start, stop in _spans(data, label, end_label or label):
        yield data[start:stop] + b"\n"


def starts_armour(data: bytes, label: bytes) -> bool:
    """Tell whether some line opens such a block."""
    return _at_line_start(data, b"-----BEGIN " + label + b"-----", 0) >= 0


def message_packets(data: bytes) -> bytes:
    """Return the OpenPGP packets of a message, which may be armoured and stand among words or be bare already.

    No copy of the armour is made: it may be as large as a mail can be.

    :raises UnreadableError: ``pgp_malformed``: it is armour, and what stands in it is no base64.
    :raises UnreadableError: ``mail_several_encrypted_parts``: there are two of them.
    """
    if not starts_armour(data, _MESSAGE):
        return data
    spans = list(islice(_spans(data, _MESSAGE, _MESSAGE), 2))
    if not spans:
        raise _malformed()
    if len(spans) > 1:
        raise UnreadableError("mail_several_encrypted_parts", _ADVICE)
    ((start, stop),) = spans
    if data.find(b"=3D", start, stop) >= 0 or data.find(b"=3d", start, stop) >= 0:
        bare = quopri.decodestring(data[start:stop])
        return _packets(bare, 0, len(bare))
    return _packets(data, start, stop)


def _packets(data: bytes, start: int, stop: int) -> bytes:
    """Take the armour off the block that stands there."""
    at = data.find(b"-----", start + 5) + 5  # behind the BEGIN line
    stop = data.rfind(b"-----END", at, stop)
    while (at := _next_line(data, at, stop)) < stop and (header := _HEADER.match(data, at, stop)):
        at = header.end()
    stop = _without_checksum(data, at, stop)
    padding = data.find(b"=", at, stop)
    if stop <= at or _NO_LETTER.search(data, at, stop) or (padding >= 0 and _LETTER.search(data, padding, stop)):
        raise _malformed()
    try:
        found = binascii.a2b_base64(memoryview(data)[at:stop])
    except binascii.Error:
        raise _malformed() from None
    if not found:
        raise _malformed()
    return found


def _next_line(data: bytes, at: int, stop: int) -> int:
    """Return where the next line begins; a line ends with CRLF, LF or CR."""
    found = _LINE_END.search(data, at, stop)
    return found.end() if found else stop


def _without_checksum(data: bytes, at: int, stop: int) -> int:
    """Return where the letters end: before the checksum, where there is one."""
    tail = _without_blanks(data[max(at, stop - _TAIL) : stop])
    return data.rfind(b"=", at, stop) if _CHECKSUM.search(tail) else stop


def _malformed() -> UnreadableError:
    return UnreadableError("pgp_malformed", _ADVICE)


def public_key_armour(packets: bytes) -> str:
    """Put a public key into armour (RFC 9580 section 6), with the checksum, which older programs miss."""
    text = base64.b64encode(packets).decode("ascii")
    lines = (text[at : at + _LINE] for at in range(0, len(text), _LINE))
    check = "=" + base64.b64encode(_checksum(packets).to_bytes(3, "big")).decode("ascii")
    return "\n".join(
        ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", *lines, check, "-----END PGP PUBLIC KEY BLOCK-----", ""]
    )


def _checksum(data: bytes) -> int:
    """Return the CRC-24 (RFC 9580 section 6.1.1)."""
    table = _crc_table()
    crc = 0xB704CE
    for octet in data:
        crc = (crc << 8 & 0xFFFFFF) ^ table[crc >> 16 ^ octet]
    return crc


@functools.cache
def _crc_table() -> tuple[int, ...]:
    def shifted(crc: int) -> int:
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
        return crc

    return tuple(shifted(octet << 16) for octet in range(256))


def clear_signed_text(block: bytes) -> bytes:
    """Return the words of clear-signed text, without judging its signature (RFC 9580 section 7).

    For showing only: what a verdict rests on is what gpg says was signed.
    """
    head, _, signature = block.rpartition(b"-----BEGIN PGP SIGNATURE-----")
    lines = head.split(b"\n")[1:] if signature else []
    empty = next((number for number, line in enumerate(lines) if not line.strip()), -1)
    text = (line.removeprefix(b"- ") for line in lines[empty + 1 :])
    return b"\n".join(text)


def _spans(data: bytes, label: bytes, end_label: bytes) -> Iterator[tuple[int, int]]:
    begin, end = (b"-----" + word + b" " + name + b"-----" for word, name in ((b"BEGIN", label), (b"END", end_label)))
    at = 0
    while (start := _at_line_start(data, begin, at)) >= 0:
        stop = _at_line_start(data, end, start)
        if stop < 0:
            return
        at = stop + len(end)
        yield start, at


def _without_blanks(data: bytes) -> bytes:
    for blank in (b"\xc2\xa0", b"\xef\xbb\xbf"):  # a no-break space, a byte order mark
        data = data.replace(blank, b"")
    return data.translate(None, b" \t\r\n\xa0")


def _at_line_start(data: bytes, line: bytes, at: int) -> int:
    """Find a line that begins so, blanks before it not counted."""
    while (found := data.find(line, at)) > 0 and not _only_blanks(data, found):
        at = found + 1
    return found


def _only_blanks(data: bytes, before: int) -> bool:
    """Tell whether nothing but blanks stands between a place and the start of its line."""
    window = data[max(0, before - _INDENT) : before]
    cut = max(window.rfind(b"\n"), window.rfind(b"\r"))
    if cut < 0 and before > _INDENT:
        return False
    return not _without_blanks(window[cut + 1 :])
