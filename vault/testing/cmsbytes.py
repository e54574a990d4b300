"""CMS messages that this platform's openssl does not make, written byte by byte: CompressedData (RFC 3274)."""

import base64
import zlib

_DATA = bytes.fromhex("06092a864886f70d010701")
_COMPRESSED = bytes.fromhex("060b2a864886f70d0109100109")
_ZLIB = bytes.fromhex("060b2a864886f70d0109100308")
_VERSION = bytes.fromhex("020100")
_PIECE = 1000  # octets of one piece of a streamed string
_SHORT = 0x80


def tlv(tag: int, content: bytes, *, streamed: bool = False) -> bytes:
    """Write one element; a streamed one leaves its length open and is closed by two zero octets."""
    if streamed:
        return bytes([tag, 0x80]) + content + b"\x00\x00"
    if len(content) < _SHORT:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def compressed_data(content: bytes, *, streamed: bool = False, algorithm: bytes = _ZLIB) -> bytes:
    """Compress content as CMS, in DER or as a program writes it that streams (BER)."""
    return compressed_octets(zlib.compress(content), streamed=streamed, algorithm=algorithm)


def compressed_octets(octets: bytes, *, streamed: bool = False, algorithm: bytes = _ZLIB) -> bytes:
    """Wrap octets, compressed or not, as CompressedData."""
    if streamed:
        pieces = b"".join(tlv(0x04, octets[at : at + _PIECE]) for at in range(0, len(octets), _PIECE))
        string = tlv(0x24, pieces, streamed=True)
    else:
        string = tlv(0x04, octets)
    inner = tlv(0x30, _DATA + tlv(0xA0, string, streamed=streamed), streamed=streamed)
    body = tlv(0x30, _VERSION + tlv(0x30, algorithm) + inner, streamed=streamed)
    return tlv(0x30, _COMPRESSED + tlv(0xA0, body, streamed=streamed), streamed=streamed)


def smime_entity(
    der: bytes, smime_type: str, *, kind: str = "application/pkcs7-mime", name: str = "smime.p7m"
) -> bytes:
    """Write CMS as a MIME entity (RFC 8551 section 3.2)."""
    head = f'Content-Type: {kind}; smime-type={smime_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
    disposition = f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    return (head + disposition).encode() + base64.encodebytes(der).replace(b"\n", b"\r\n")
