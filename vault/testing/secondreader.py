"""A second reader of envelopes, written from `docs/formats/envelope.md` alone: HKDF, AES-GCM, nothing of the product.

It is for tests, and for whoever must read a record in 120 years. It says at what a message failed, so that
a test vector can show that it fails for the reason it was made for, and it knows no second way to try.
"""

import hmac
import re
from collections.abc import Iterator
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FORMAT, SALT, COMMITMENT, CHUNK, TAG, KEY = b"\x01", 24, 32, 16_384, 16, 32
INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
PLACE = re.compile(r"([ -{}~]*\|){4}[0-9]+")  # five parts of printable ASCII, the last one a number


class Fault(StrEnum):
    """At what an envelope failed."""

    FORMAT = "format"
    KEY = "key"
    CONTEXT = "context"
    HEADER = "header"  # too short for salt and commitment
    COMMITMENT = "commitment"
    CHUNK = "chunk"  # one does not open under its number
    END = "end"  # it stops after a full chunk, or inside a tag


class UnreadableEnvelopeError(Exception):
    """The envelope does not open here; ``fault`` says at what it failed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def read_envelope(key: bytes, context: str, envelope: bytes) -> bytes:
    """Open an envelope.

    :param context: ``table|row|column|subject|version``.
    :raises UnreadableEnvelopeError: it does not open.
    """
    _demand(envelope[:1] == FORMAT, Fault.FORMAT)
    _demand(PLACE.fullmatch(context) is not None, Fault.CONTEXT)
    return read_message(key, context.encode("ascii"), envelope[1:])


def read_message(key: bytes, context: bytes, message: bytes) -> bytes:
    """Open a Cobblestone-256 message (c2sp.org/chunked-encryption).

    :raises UnreadableEnvelopeError: it does not open.
    """
    _demand(len(key) == KEY, Fault.KEY)
    salt, commitment, chunks = message[:SALT], message[SALT : SALT + COMMITMENT], message[SALT + COMMITMENT :]
    _demand(len(commitment) == COMMITMENT, Fault.HEADER)
    chunk_key, base_nonce, expected = derive(key, salt, context)
    _demand(hmac.compare_digest(expected, commitment), Fault.COMMITMENT)
    return b"".join(_opened(AESGCM(chunk_key), base_nonce, chunks))


def derive(key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes, bytes]:
    """Derive a message's key (32 bytes), base nonce (12) and commitment (32)."""
    derived = HKDFExpand(SHA512(), length=KEY + 12 + COMMITMENT, info=INFO + salt + context).derive(key)
    return derived[:KEY], derived[KEY:-COMMITMENT], derived[-COMMITMENT:]


def nonce(base: bytes, number: int) -> bytes:
    """Give a chunk's nonce: its number, counted from 0, laid over the base nonce by exclusive or."""
    return (int.from_bytes(base, "big") ^ number).to_bytes(len(base), "big")


def _opened(cipher: AESGCM, base_nonce: bytes, chunks: bytes) -> Iterator[bytes]:
    number, size = 0, CHUNK
    while size == CHUNK:
        chunk, chunks = chunks[: CHUNK + TAG], chunks[CHUNK + TAG :]
        _demand(len(chunk) >= TAG, Fault.END)
        try:
            opened = cipher.decrypt(nonce(base_nonce, number), chunk, None)
        except InvalidTag:
            raise UnreadableEnvelopeError(Fault.CHUNK) from None
        yield opened
        number, size = number + 1, len(opened)  # a chunk that isn't full is the last one


def _demand(holds: bool, fault: Fault) -> None:
    if not holds:
        raise UnreadableEnvelopeError(fault)
