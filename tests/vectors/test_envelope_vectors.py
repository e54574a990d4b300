"""Every envelope vector is read by the product and by a second reader that knows only HKDF and AES-GCM."""

import base64
import hmac
import io
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from vault.crypto.envelope import Context, seal, unseal, unseal_stream
from vault.errors import TamperedError, UnknownFormatError

# ---- the second reader: written from docs/formats/envelope.md alone, for whoever must read a record in 120 years

CHUNK = 16_384
TAG = 16
INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


class Unreadable(Exception):  # noqa: N818 - stands apart from the product's errors
    """The envelope does not open."""


class UnknownFormat(Exception):  # noqa: N818 - stands apart from the product's errors
    """The first byte names no known format."""


def read_envelope(key: bytes, context: bytes, envelope: bytes) -> bytes:
    if envelope[:1] != b"\x01":
        raise UnknownFormat
    salt, commitment, chunks = envelope[1:25], envelope[25:57], envelope[57:]
    if len(commitment) != 32:
        raise Unreadable
    derived = HKDFExpand(SHA512(), length=76, info=INFO + salt + context).derive(key)
    message_key, base_nonce, expected = derived[:32], int.from_bytes(derived[32:44], "big"), derived[44:]
    if not hmac.compare_digest(expected, commitment):
        raise Unreadable
    return b"".join(read_chunks(AESGCM(message_key), base_nonce, chunks))


def read_chunks(cipher: AESGCM, base_nonce: int, chunks: bytes) -> list[bytes]:
    opened: list[bytes] = []
    while True:
        start = len(opened) * (CHUNK + TAG)
        chunk = chunks[start : start + CHUNK + TAG]
        if len(chunk) < TAG:
            raise Unreadable
        nonce = (base_nonce ^ len(opened)).to_bytes(12, "big")
        try:
            opened.append(cipher.decrypt(nonce, chunk, None))
        except InvalidTag:
            raise Unreadable from None
        if len(chunk) < CHUNK + TAG:
            return opened


# ---- the vectors


@dataclass(frozen=True)
class Vector:
    expect: str
    key: bytes
    context: Context
    plaintext_sha256: str
    envelope: bytes


VECTORS = sorted(Path(__file__).with_name("envelope").glob("*.txt"))
OUTCOMES: dict[str, tuple[type[Exception], type[Exception]]] = {
    "tampered": (TamperedError, Unreadable),
    "unknown format": (UnknownFormatError, UnknownFormat),
}


def read_vector(path: Path) -> Vector:
    head, _, body = path.read_text(encoding="ascii").partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    table, row, column, subject, version = fields["context"].split("|")
    context = Context(table, row, column, subject, int(version))
    key = bytes.fromhex(fields["key"])
    return Vector(fields["expect"], key, context, fields.get("plaintext sha256", ""), base64.b64decode(body))


def test_all_vectors_are_there() -> None:
    names = {path.stem for path in VECTORS}

    assert {"empty", "chunk_exact", "several_chunks", "truncated_at_a_chunk", "swapped_chunks", "other_row"} <= names
    assert len(names) == 26


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_product_reads_vector(path: Path) -> None:
    vector = read_vector(path)

    if vector.expect == "success":
        opened = unseal(vector.key, vector.context, vector.envelope)
        assert sha256(opened).hexdigest() == vector.plaintext_sha256
    else:
        with pytest.raises(OUTCOMES[vector.expect][0]):
            unseal(vector.key, vector.context, vector.envelope)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_product_streams_vector(path: Path) -> None:
    vector = read_vector(path)
    target = io.BytesIO()

    if vector.expect == "success":
        size = unseal_stream(vector.key, vector.context, io.BytesIO(vector.envelope), target)
        assert size == len(target.getvalue())
        assert sha256(target.getvalue()).hexdigest() == vector.plaintext_sha256
    else:
        with pytest.raises(OUTCOMES[vector.expect][0]):
            unseal_stream(vector.key, vector.context, io.BytesIO(vector.envelope), target)
        assert target.getvalue() == b""


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_second_reader_reads_vector(path: Path) -> None:
    vector = read_vector(path)

    if vector.expect == "success":
        opened = read_envelope(vector.key, vector.context.encode(), vector.envelope)
        assert sha256(opened).hexdigest() == vector.plaintext_sha256
    else:
        with pytest.raises(OUTCOMES[vector.expect][1]):
            read_envelope(vector.key, vector.context.encode(), vector.envelope)


@given(key=st.binary(min_size=32, max_size=32), plaintext=st.binary(max_size=300), repeat=st.integers(1, 200))
def test_second_reader_reads_what_the_product_seals(key: bytes, plaintext: bytes, repeat: int) -> None:
    context = Context("records", "R-1", "envelope", "S-1", 3)

    envelope = seal(key, context, plaintext * repeat)

    assert read_envelope(key, b"records|R-1|envelope|S-1|3", envelope) == plaintext * repeat
