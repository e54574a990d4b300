"""Writes the envelope vectors, one fault each, out of HKDF and AES-GCM alone: the same bytes at every run.

``python -m vault.testing.envelopevectors FOLDER``. The files look like the test kits of C2SP's CCTV.
"""

import base64
import sys
import textwrap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.testing.secondreader import CHUNK, COMMITMENT, FORMAT, INFO, KEY, SALT, TAG, Fault, derive, nonce

PLACE = "records|R-7|envelope|S-3|1"
SECRET = sha256(b"the key of the envelope vectors").digest()
NAME = "Lumi Koivisto, Sörnäinen".encode()  # nobody's
ERRORS = {  # how the product calls each fault
    Fault.FORMAT: ("UnknownFormatError", "envelope_format"),
    Fault.KEY: ("RefusedError", "key_malformed"),
    Fault.CONTEXT: ("RefusedError", "context_malformed"),
    Fault.HEADER: ("TamperedError", "envelope_tampered"),
    Fault.COMMITMENT: ("TamperedError", "envelope_tampered"),
    Fault.CHUNK: ("TamperedError", "envelope_tampered"),
    Fault.END: ("TamperedError", "envelope_tampered"),
}
_HEAD = SALT + COMMITMENT
_WHOLE = CHUNK + TAG


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector.

    :param fault: at what it must fail, or None where it opens.
    :param proof: SHA-256 of what it opens to, in hexadecimal.
    """

    comment: str
    envelope: bytes
    fault: Fault | None = None
    proof: str = ""
    key: bytes = SECRET
    context: str = PLACE

    def render(self) -> str:
        """Write the file: a head of lines, an empty line, the bytes packed by zlib, in base64."""
        expect, error = ERRORS[self.fault] if self.fault else ("success", "")
        head = {"expect": expect, "error": error, "fault": self.fault or "", "comment": self.comment}
        head |= {"key": self.key.hex(), "context": self.context, "plaintext sha256": self.proof, "compressed": "zlib"}
        lines = [f"{name}: {value}" for name, value in head.items() if value]
        return "\n".join([*lines, "", *textwrap.wrap(base64.b64encode(zlib.compress(self.envelope, 9)).decode()), ""])


def read_vector(text: str) -> Vector:
    """Read what :meth:`Vector.render` wrote."""
    head, _, body = text.partition("\n\n")
    told = dict(line.split(": ", 1) for line in head.splitlines())
    fault = Fault(told["fault"]) if "fault" in told else None
    packed = zlib.decompress(base64.b64decode(body))
    key, proof = bytes.fromhex(told["key"]), told.get("plaintext sha256", "")
    return Vector(told["comment"], packed, fault, proof, key, told["context"])


@dataclass(frozen=True, slots=True)
class _Message:
    """A message under construction; what it says in full chunks is the key stream, so that it packs well."""

    salt: bytes
    context: str = PLACE
    keys: tuple[bytes, bytes, bytes] = field(default=(b"", b"", b""))

    def head(self) -> bytes:
        return self.salt + self.keys[2]

    def stream(self, number: int, size: int) -> bytes:
        return AESGCM(self.keys[0]).encrypt(nonce(self.keys[1], number), bytes(size), None)[:size]

    def chunk(self, number: int, plaintext: bytes) -> bytes:
        return AESGCM(self.keys[0]).encrypt(nonce(self.keys[1], number), plaintext, None)

    def full(self, number: int) -> bytes:
        return self.chunk(number, self.stream(number, CHUNK))

    def envelope(self, *chunks: bytes) -> bytes:
        return b"".join((FORMAT, self.head(), *chunks))


def _message(name: str, context: str = PLACE, *, odd: bool = False) -> _Message:
    """Begin a message; an odd base nonce tells exclusive or from addition."""
    for attempt in count():
        salt = sha256(f"{name} {attempt}".encode()).digest()[:SALT]
        keys = derive(SECRET, salt, context.encode("utf-8"))
        if not odd or keys[1][-1] & 1:
            return _Message(salt, context, keys)
    raise AssertionError


def _good(name: str, comment: str, size: int, context: str = PLACE) -> Vector:
    message = _message(name, context, odd=True)
    sizes = [CHUNK] * (size // CHUNK) + [size % CHUNK]
    parts = [message.stream(number, size) for number, size in enumerate(sizes)]
    chunks = [message.chunk(number, part) for number, part in enumerate(parts)]
    proof = sha256(b"".join(parts)).hexdigest()
    return Vector(comment, message.envelope(*chunks), None, proof, context=context)


def _words(name: str, context: str = PLACE) -> Vector:
    message = _message(name, context)
    return Vector("", message.envelope(message.chunk(0, NAME)), None, sha256(NAME).hexdigest(), context=context)


def _good_ones() -> Iterator[tuple[str, Vector]]:
    yield "name", replace(_words("name"), comment="a short field in UTF-8")
    yield "no_subject", replace(_words("no_subject", "case_events|4|detail||0"), comment="an empty part and version 0")
    sizes = {
        "empty": (0, "no plaintext: one empty chunk"),
        "one_byte": (1, "one byte"),
        "chunk_less_one": (CHUNK - 1, "the longest single chunk"),
        "chunk_exact": (CHUNK, "a full chunk and an empty one"),
        "chunk_and_one": (CHUNK + 1, "a full chunk and one byte"),
        "several_chunks": (3 * CHUNK + 5, "four chunks; base nonce odd"),
        "rollover": (257 * CHUNK + 5, "chunk numbers that need a second byte"),
    }
    for name, (size, comment) in sizes.items():
        yield name, _good(name, comment, size)


def _moved_ones() -> Iterator[tuple[str, Vector]]:
    places = {
        "other_table": "drafts|R-7|envelope|S-3|1",
        "other_row": "records|R-8|envelope|S-3|1",
        "other_column": "records|R-7|body|S-3|1",
        "other_subject": "records|R-7|envelope|S-4|1",
        "other_version": "records|R-7|envelope|S-3|2",
        "shifted_place": "records|R-7envelope||S-3|1",
        "longer_version": "records|R-7|envelope|S-3|11",
    }
    for name, place in places.items():
        yield name, Vector(f"stands elsewhere: {place}", _words(name).envelope, Fault.COMMITMENT, context=place)
    other = sha256(b"another key").digest()
    yield "other_key", Vector("another key", _words("other_key").envelope, Fault.COMMITMENT, key=other)


def _changed_ones() -> Iterator[tuple[str, Vector]]:
    whole = _words("changed").envelope
    flips = {
        "flipped_salt": (1, Fault.COMMITMENT),
        "flipped_commitment": (1 + SALT, Fault.COMMITMENT),
        "flipped_commitment_end": (SALT + COMMITMENT, Fault.COMMITMENT),
        "flipped_ciphertext": (1 + _HEAD, Fault.CHUNK),
        "flipped_tag": (len(whole) - 1, Fault.CHUNK),
    }
    for name, (at, fault) in flips.items():
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        yield name, Vector(f"one bit of byte {at}", changed, fault)
    cuts = {
        "no_bytes": (0, Fault.FORMAT),
        "format_only": (1, Fault.HEADER),
        "cut_salt": (SALT, Fault.HEADER),
        "cut_commitment": (_HEAD, Fault.HEADER),
        "header_only": (1 + _HEAD, Fault.END),
        "cut_first_tag": (_HEAD + TAG, Fault.END),
        "cut_tag": (len(whole) - 1, Fault.CHUNK),
    }
    for name, (size, fault) in cuts.items():
        yield name, Vector(f"only the first {size} bytes", whole[:size], fault)
    for byte in (0, 2, 255):
        yield f"format_{byte}", Vector("a format of another day", bytes([byte]) + whole[1:], Fault.FORMAT)
    yield "format_missing", Vector("a bare message", _message("bare").envelope()[1:], Fault.FORMAT)
    yield "added_byte", Vector("one byte too many", whole + b"\0", Fault.CHUNK)
    yield "added_in_front", Vector("a second format byte", FORMAT + whole, Fault.COMMITMENT)


def _reordered_ones() -> Iterator[tuple[str, Vector]]:
    one, two = _message("chunks"), _message("other chunks")
    full, last = [one.full(number) for number in range(2)], one.chunk(2, NAME)
    foreign = two.full(1)
    layouts = {
        "swapped_chunks": ("the first two chunks change places", [full[1], full[0], last], Fault.CHUNK),
        "repeated_chunk": ("the first chunk stands twice", [full[0], full[0], last], Fault.CHUNK),
        "dropped_chunk": ("the middle chunk is missing", [full[0], last], Fault.CHUNK),
        "foreign_chunk": ("a chunk of another message under this key", [full[0], foreign, last], Fault.CHUNK),
        "truncated_at_a_chunk": ("ends with a full chunk", full, Fault.END),
        "truncated_in_a_tag": ("ends inside the last tag", [*full, last[: TAG - 1]], Fault.END),
        "added_chunk": ("an empty chunk after the last one", [*full, last, one.chunk(3, b"")], Fault.CHUNK),
        "early_end": ("a short chunk, then a full one", [full[0], one.chunk(1, NAME), one.full(2)], Fault.CHUNK),
    }
    for name, (comment, chunks, fault) in layouts.items():
        yield name, Vector(comment, one.envelope(*chunks), fault)
    yield "other_head", Vector("chunks under another message's head", two.envelope(*full, last), Fault.CHUNK)


def _misread_ones() -> Iterator[tuple[str, Vector]]:
    """Yield what a writer makes who misreads the page."""
    message = _message("misread", odd=True)
    place = PLACE.encode()
    salt, (_, base, _) = message.salt, message.keys
    sha_256 = HKDFExpand(SHA256(), length=76, info=INFO + salt + place).derive(SECRET)
    unseparated = HKDFExpand(SHA512(), length=76, info=INFO[:-1] + salt + place).derive(SECRET)
    first = message.full(0)
    cipher = AESGCM(message.keys[0])
    added = (int.from_bytes(base, "big") + 1).to_bytes(len(base), "big")
    little = bytes([base[0] ^ 1]) + base[1:]
    for name, derived in {"sha_256": sha_256, "no_separator": unseparated}.items():
        wrong = replace(message, keys=(derived[:KEY], derived[KEY:-COMMITMENT], derived[-COMMITMENT:]))
        yield name, Vector(f"derived otherwise: {name}", wrong.envelope(wrong.chunk(0, NAME)), Fault.COMMITMENT)
    seconds = {
        "nonce_added": ("the number is added to the base nonce", cipher.encrypt(added, NAME, None)),
        "nonce_little_endian": ("the number is laid over the first byte", cipher.encrypt(little, NAME, None)),
        "context_as_data": ("the context is additional data too", cipher.encrypt(nonce(base, 1), NAME, place)),
    }
    for name, (comment, second) in seconds.items():
        yield name, Vector(comment, message.envelope(first, second), Fault.CHUNK)
    no_base = AESGCM(message.keys[0]).encrypt(bytes(12), NAME, None)
    yield "nonce_of_zeros", Vector("no base nonce", message.envelope(no_base), Fault.CHUNK)


def _malformed_ones() -> Iterator[tuple[str, Vector]]:
    whole = _words("malformed").envelope
    for size in (16, 31, 33, 64):
        key = (SECRET + SECRET)[:size]
        yield f"key_of_{size}", Vector(f"a key of {size} bytes", whole, Fault.KEY, key=key)
    places = {
        "negative_version": "records|R-7|envelope|S-3|-1",
        "place_beyond_ascii": "records|R-7|envelope|S-3\x7f|1",
    }
    for name, place in places.items():
        yield name, Vector("a malformed context", _words(name, place).envelope, Fault.CONTEXT, context=place)


def vectors() -> dict[str, Vector]:
    """Make every vector, by name."""
    groups = (_good_ones, _moved_ones, _changed_ones, _reordered_ones, _misread_ones, _malformed_ones)
    return {name: vector for group in groups for name, vector in group()}


def main(folder: Path) -> None:
    """Write every vector into a folder."""
    for name, vector in vectors().items():
        (folder / f"{name}.txt").write_text(vector.render(), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
