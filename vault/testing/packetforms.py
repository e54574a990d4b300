"""OpenPGP packets written in each form that a length may have (RFC 9580 section 4.2)."""

import bz2
import zlib

FORMS = ("old", "old-long", "short", "long", "pieces", "open")
PACKINGS = {1: "zip", 2: "zlib", 3: "bzip2"}
_PIECE = 512  # octets, the fewest that a first piece may have
_OLD_TAGS = 16


def written(tag: int, body: bytes, form: str = "long") -> bytes:
    """Write one packet; where a form can't hold it, in the next that can.

    :param form: one of ``FORMS``: of the old format with as few octets or with four, of the new one with as few or
        with four, in pieces, or with a length that is left open up to the end of everything.
    """
    size = len(body)
    if form.startswith(("old", "open")) and tag < _OLD_TAGS:
        if form == "open":
            return bytes([0x80 | tag << 2 | 3]) + body
        kind = 2 if form == "old-long" else next(kind for kind in range(3) if size < 1 << (8 << kind))
        return bytes([0x80 | tag << 2 | kind]) + size.to_bytes(1 << kind, "big") + body
    head = bytes([0xC0 | tag])
    if form == "pieces":
        cut = size // _PIECE * _PIECE
        parts = (b"\xe9" + body[at : at + _PIECE] for at in range(0, cut, _PIECE))
        return head + b"".join(parts) + _shortest(size - cut) + body[cut:]
    return head + (b"\xff" + size.to_bytes(4, "big") if form == "long" else _shortest(size)) + body


def packed(algorithm: int, packets: bytes, form: str = "open") -> bytes:
    """Put packets into a compressed packet (RFC 9580 section 5.6)."""
    if algorithm == 3:  # noqa: PLR2004 - BZip2
        return written(8, b"\x03" + bz2.compress(packets), form)
    packer = zlib.compressobj(wbits={1: -15, 2: 15}[algorithm])
    return written(8, bytes([algorithm]) + packer.compress(packets) + packer.flush(), form)


def _shortest(size: int) -> bytes:
    if size < 192:  # noqa: PLR2004 - section 4.2.1
        return bytes([size])
    if size < 8384:  # noqa: PLR2004
        return (size - 192 + (192 << 8)).to_bytes(2, "big")
    return b"\xff" + size.to_bytes(4, "big")
