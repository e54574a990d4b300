"""Reads the outside of CMS messages (RFC 5652), where openssl does not: for whom they are, and compressed content.

The platform's openssl has no zlib, so CompressedData (RFC 3274) is opened here: in a child process whose
output is bounded while it grows.
"""

import zlib
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice

from vault.errors import UnreadableError
from vault.intake.ber import CONTEXT, OBJECT, OCTETS, SEQUENCE, SET, Ber, Element
from vault.intake.sandbox import ChildLimits, run_child

_KINDS = {  # the ContentInfo's object identifiers (RFC 5652, 5083, 3274), as DER
    bytes.fromhex("06092a864886f70d010703"): "enveloped",
    bytes.fromhex("060b2a864886f70d0109100117"): "enveloped",  # AuthEnvelopedData
    bytes.fromhex("06092a864886f70d010702"): "signed",
    bytes.fromhex("060b2a864886f70d0109100109"): "compressed",
}
_HEAD = 32  # bytes in which the object identifier must stand
_COMPRESSED = bytes.fromhex("2a864886f70d0109100109")
_ZLIB = bytes.fromhex("2a864886f70d0109100308")  # id-alg-zlibCompress
_LENGTH = 8  # octets in front of a child's payload
_PIECE = 1 << 20
_ADVICE = "the S/MIME message can't be read; a person must look at the original"


class RecipientKind(StrEnum):
    """How a recipient of an encrypted CMS message gets its key (RFC 5652 section 6.2)."""

    KEY_TRANSPORT = "key_transport"
    KEY_AGREEMENT = "key_agreement"
    SHARED_KEY = "shared_key"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    OTHER = "other"


_RECIPIENTS = {
    SEQUENCE: RecipientKind.KEY_TRANSPORT,
    CONTEXT | 1: RecipientKind.KEY_AGREEMENT,
    CONTEXT | 2: RecipientKind.SHARED_KEY,
    CONTEXT | 3: RecipientKind.PASSWORD,
    CONTEXT | 4: RecipientKind.OTHER,
}


def content_kind(der: bytes) -> str | None:
    """Say what a CMS message holds by its own object identifier: ``enveloped``, ``signed``, ``compressed`` or None."""
    found = [(der.find(oid, 0, _HEAD), kind) for oid, kind in _KINDS.items()]
    return min(((at, kind) for at, kind in found if at > 0), default=(0, None))[1] if der[:1] == b"0" else None


def recipient_kinds(der: bytes) -> frozenset[RecipientKind]:
    """Say for what kinds of recipients a message is encrypted.

    :raises UnreadableError: ``smime_malformed``.
    """
    ber = Ber(der)
    _, content = _content_info(ber, ber.root())
    for element in ber.children(_only_child(ber, content)):
        if element.tag == SET:
            return frozenset(_RECIPIENTS.get(one.tag, RecipientKind.OTHER) for one in ber.children(element))
    raise UnreadableError("smime_malformed", _ADVICE)


def decompressed(der: bytes, most: int) -> bytes:
    """Return the content of CompressedData (RFC 3274), decompressed in a child.

    :param most: bytes that it may become.
    :raises UnreadableError: ``smime_malformed``, ``mail_too_large`` (a bomb), or ``child_...``.
    """
    limits = ChildLimits(memory=1_000_000_000, seconds=30.0, output=most)
    payload = most.to_bytes(_LENGTH, "big") + der
    return run_child("vault.intake.cms:inflate", payload, limits=limits)


def inflate(payload: bytes) -> bytes:
    """Do the work inside the child: the bound and CMS in, the content out.

    :raises UnreadableError: ``smime_malformed`` or ``mail_too_large``.
    """
    most = int.from_bytes(payload[:_LENGTH], "big")
    try:
        return _inflated(_compressed_octets(payload[_LENGTH:]), most)
    except zlib.error:
        raise UnreadableError("smime_malformed", _ADVICE) from None


def _inflated(data: bytes, most: int) -> bytes:
    stream, found = zlib.decompressobj(), bytearray()
    for at in range(0, len(data), _PIECE):
        found += stream.decompress(data[at : at + _PIECE], most + 1 - len(found))
        if len(found) > most:
            raise UnreadableError("mail_too_large", "the mail becomes too large when it is decompressed")
    if not stream.eof or stream.unused_data:
        raise UnreadableError("smime_malformed", _ADVICE)
    return bytes(found)


def _compressed_octets(der: bytes) -> bytes:
    """Return what is compressed: ``version, algorithm, {type, [0] OCTET STRING}`` (RFC 3274 section 1.1)."""
    ber = Ber(der)
    kind, content = _content_info(ber, ber.root())
    elements = list(ber.children(_only_child(ber, content)))
    if kind != _COMPRESSED or [element.tag for element in elements[1:]] != [SEQUENCE, SEQUENCE]:
        raise UnreadableError("smime_malformed", _ADVICE)
    algorithm = next(ber.children(elements[1]), None)
    if algorithm is None or algorithm.tag != OBJECT or ber.content(algorithm) != _ZLIB:
        raise UnreadableError("smime_malformed", _ADVICE)
    _, wrapped = _content_info(ber, elements[2])
    octets = _only_child(ber, wrapped)
    if octets.tag != OCTETS:
        raise UnreadableError("smime_malformed", _ADVICE)
    return ber.octets(octets)


def _content_info(ber: Ber, element: Element) -> tuple[bytes, Element]:
    """Read ``type OBJECT IDENTIFIER, content [0] EXPLICIT`` (RFC 5652 section 3)."""
    found = _first(ber.children(element), 2)
    if [one.tag for one in found] != [OBJECT, CONTEXT]:
        raise UnreadableError("smime_malformed", _ADVICE)
    return ber.content(found[0]), found[1]


def _only_child(ber: Ber, element: Element) -> Element:
    found = _first(ber.children(element), 2)
    if len(found) != 1:
        raise UnreadableError("smime_malformed", _ADVICE)
    return found[0]


def _first(elements: Iterator[Element], most: int) -> list[Element]:
    return list(islice(elements, most))
