"""Finds OpenPGP armour in text in one pass, and takes it off whatever a mail program did to its blanks and lines.

Programs indent the block, pad its lines with blanks or no-break spaces, put an empty line after each or drop
the one after the headers, and leave quoted-printable in it. None of that changes what the letters say, so the
armour is taken off here (RFC 4880 section 6, RFC 9580 section 6) and gpg is given the bare packets. The
checksum is not looked at: integrity is the encryption's own affair.
"""

import binascii
import quopri
from collections.abc import Iterator

from vault.errors import UnreadableError

_MESSAGE = b"PGP MESSAGE"
_CHECKSUM = -5  # it ends the letters: "=" and four of them
_LONGEST_HEADER = 1000  # bytes of an armour header
_INDENT = 64  # bytes of blanks before a BEGIN line that are looked at
_ADVICE = "the OpenPGP message can't be read; a person must look at the original"


def armour_blocks(data: bytes, label: bytes, end_label: bytes | None = None) -> Iterator[bytes]:
    """Yield each block from its BEGIN line to its END line, both included.

    :param label: such as ``PGP MESSAGE``.
    :param end_label: the END line's label where it differs, as in clear-signed text.
    """
    begin = b"-----BEGIN " + label + b"-----"
    end = b"-----END " + (end_label or label) + b"-----"
    at = 0
    while (start := _at_line_start(data, begin, at)) >= 0:
        stop = _at_line_start(data, end, start)
        if stop < 0:
            return
        at = stop + len(end)
        yield data[start:at] + b"\n"


def starts_armour(data: bytes, label: bytes) -> bool:
    """Tell whether some line opens such a block."""
    return _at_line_start(data, b"-----BEGIN " + label + b"-----", 0) >= 0


def message_packets(data: bytes) -> bytes:
    """Return the OpenPGP packets of a message, which may be armoured and stand among words or be bare already.

    :raises UnreadableError: ``pgp_malformed``: it is armour, and what stands in it is no base64.
    :raises UnreadableError: ``mail_several_encrypted_parts``: there are two of them.
    """
    if not starts_armour(data, _MESSAGE):
        return data
    blocks = armour_blocks(data, _MESSAGE)
    first = next(blocks, None)
    if first is None:
        raise UnreadableError("pgp_malformed", _ADVICE)
    if next(blocks, None) is not None:
        raise UnreadableError("mail_several_encrypted_parts", _ADVICE)
    return packets(first)


def packets(block: bytes) -> bytes:
    """Take the armour off one block.

    :raises UnreadableError: ``pgp_malformed``.
    """
    if b"=3D" in block or b"=3d" in block:
        block = quopri.decodestring(block)
    bare = _without_blanks(block)
    at = bare.find(b"\n") + 1
    while bare[at : at + 1] == b"\n" or b":" in bare[at : at + _LONGEST_HEADER].partition(b"\n")[0]:
        at = (bare.find(b"\n", at) + 1) or len(bare)  # Version, Comment, Charset, perhaps without an empty line after
    letters = bare[at : bare.rfind(b"-----END")].translate(None, b"\n")
    if letters[_CHECKSUM:-4] == b"=" and b"=" not in letters[-4:]:
        letters = letters[:_CHECKSUM]
    try:
        found = binascii.a2b_base64(letters, strict_mode=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("pgp_malformed", _ADVICE) from None
    if not found:
        raise UnreadableError("pgp_malformed", _ADVICE)
    return found


def clear_signed_text(block: bytes) -> bytes:
    """Return the words of clear-signed text, without judging its signature (RFC 9580 section 7).

    For showing only: what a verdict rests on is what gpg says was signed.
    """
    head, _, signature = block.rpartition(b"-----BEGIN PGP SIGNATURE-----")
    lines = head.split(b"\n")[1:] if signature else []
    empty = next((number for number, line in enumerate(lines) if not line.strip()), -1)
    text = (line.removeprefix(b"- ") for line in lines[empty + 1 :])
    return b"\n".join(text)


def _without_blanks(block: bytes) -> bytes:
    if b"\n" not in block.rstrip():
        block = block.replace(b"\r", b"\n")
    bare = block.translate(None, b" \t\r")
    for odd in (b"\xc2\xa0", b"\xa0", b"\xef\xbb\xbf"):  # no-break spaces, a byte order mark
        bare = bare.replace(odd, b"") if odd in bare else bare
    return bare


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
