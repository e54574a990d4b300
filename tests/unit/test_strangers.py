"""Whatever is not put together exactly as a stranger's signature should be is left to gpg."""

import base64
import tracemalloc
import zlib

import pytest

from vault.intake.armour import public_key_armour
from vault.intake.keyrings import KeyRing
from vault.intake.opened import SignedContent
from vault.intake.strangers import only_strangers
from vault.testing.packetforms import packed, written

KEY, OTHER = bytes(range(1, 21)), bytes(range(101, 121))
TEXT = b"hello\r\nworld\r\n"


def sub(kind: int, value: bytes) -> bytes:
    """Write a subpacket (RFC 9580 section 5.2.3.7)."""
    size = 1 + len(value)
    length = bytes([size]) if size < 192 else (size - 192 + (192 << 8)).to_bytes(2, "big")
    return length + bytes([kind]) + value


def issuer(key: bytes = KEY, version: int = 4) -> bytes:
    return sub(33, bytes([version]) + key)


def signature(  # noqa: PLR0917 - the fields of RFC 9580 section 5.2.3
    kind: int = 0,
    algorithm: int = 22,
    digest: int = 8,
    hashed: bytes = issuer() + sub(2, bytes(4)),
    unhashed: bytes = sub(16, KEY[-8:]),
    numbers: bytes = b"\x00\x09\x01\xff\x00\x01\x01",
    version: int = 4,
) -> bytes:
    areas = b"".join(len(area).to_bytes(2, "big") + area for area in (hashed, unhashed))
    return written(2, bytes([version, kind, algorithm, digest]) + areas + b"\x12\x34" + numbers)


def once(  # noqa: PLR0917 - the fields of RFC 9580 section 5.4
    kind: int = 0, algorithm: int = 22, digest: int = 8, key: bytes = KEY, last: int = 1, version: int = 3
) -> bytes:
    return written(4, bytes([version, kind, digest, algorithm]) + key[-8:] + bytes([last]))


def literal(form: bytes = b"b", name: bytes = b"x.txt", text: bytes = TEXT) -> bytes:
    return written(11, form + bytes([len(name)]) + name + bytes(4) + text)


def other(**fields: object) -> bytes:
    """Make a signature by somebody else."""
    return signature(hashed=issuer(OTHER), unhashed=sub(16, OTHER[-8:]), **fields)  # type: ignore[arg-type] # of one


def said(message: bytes, beside: bytes | None = None, ours: frozenset[str] = frozenset()) -> tuple[bytes, str] | None:
    return only_strangers(SignedContent(message, beside), ours)


def armour(packets: bytes) -> bytes:
    return public_key_armour(packets).replace("PUBLIC KEY BLOCK", "SIGNATURE").encode()


NAME, OTHERS = KEY.hex().upper(), OTHER.hex().upper()
ID = NAME[-16:]
PLAIN = once() + literal() + signature()
ROOM = 512 - len(b"\2" + zlib.compress(once() + literal(text=b"") + signature(), 0))
PIECE = b"\2" + zlib.compress(once() + literal(text=bytes(ROOM)) + signature(), 0)  # it ends where a piece ends
READ = {
    "plain": (PLAIN, TEXT, NAME),
    "a text": (once(kind=1) + literal(b"t") + signature(kind=1), b"hello\nworld\n", NAME),
    "a text in UTF-8": (once() + literal(b"u") + signature(), b"hello\nworld\n", NAME),
    "nothing": (once() + literal(text=b"", name=b"") + signature(), b"", NAME),
    "RSA": (once(algorithm=1) + literal() + signature(algorithm=1, numbers=b"\x00\x01\x01"), TEXT, NAME),
    "only a key id": (once() + literal() + signature(hashed=b""), TEXT, ID),
    "only a fingerprint": (once() + literal() + signature(unhashed=b""), TEXT, NAME),
    "critical times": (once() + literal() + signature(hashed=sub(0x82, bytes(4)) + issuer()), TEXT, NAME),
    "many notations": (once() + literal() + signature(unhashed=sub(20, bytes(200)) * 49), TEXT, NAME),
    "a long notation": (once() + literal() + signature(unhashed=sub(20, bytes(8000))), TEXT, NAME),
    "a long length": (once() + literal() + signature(unhashed=b"\xff\0\0\0\x09\x10" + KEY[-8:]), TEXT, NAME),
    "ZIP": (packed(1, PLAIN), TEXT, NAME),
    "ZLIB": (packed(2, PLAIN, "pieces"), TEXT, NAME),
    "ZLIB in one piece": (written(8, PIECE, "pieces"), bytes(ROOM), NAME),
    "two": (once(key=OTHER, last=0) + once() + literal() + signature() + other(), TEXT, NAME),
    "two turned": (once(last=0) + once(key=OTHER) + literal() + other() + signature(), TEXT, OTHERS),
}


@pytest.mark.parametrize("name", READ)
def test_a_strangers_signature_is_read(name: str) -> None:
    message, text, key = READ[name]

    assert said(message) == (text, key)


def one(**fields: object) -> bytes:
    """Make a message that is plain but for its signature."""
    return once() + literal() + signature(**fields)  # type: ignore[arg-type] # fields of a signature


LARGE = once() + literal(text=bytes(1_000_000)) + signature()
UNSURE = {
    "no bytes": b"",
    "words": b"hello",
    "an unsigned text": literal(),
    "a signature in front": signature() + literal(),
    "a signature alone": signature(),
    "no signature": once() + literal(),
    "nobody announced": literal() + signature(),
    "two texts": once() + literal() + literal() + signature(),
    "something behind": PLAIN + b"\xca\x03PGP",
    "rubbish behind": PLAIN + b"\0",
    "something before": b"\xca\x03PGP" + PLAIN,
    "cut": PLAIN[:-1],
    "two messages": PLAIN * 2,
    "nine signers": once(last=0) * 8 + once() + literal() + signature() * 9,
    "the last is not the last": once(last=0) + literal() + signature(),
    "nested": once(last=1) + once(key=OTHER) + literal() + other() + signature(),
    "two last ones": once(last=2) + literal() + signature(),
    "in the wrong order": once(last=0) + once(key=OTHER) + literal() + signature() + other(),
    "another is announced": once(key=OTHER) + literal() + signature(),
    "another kind is announced": once(kind=1) + literal() + signature(),
    "another digest is announced": once(digest=10) + literal() + signature(),
    "another algorithm is announced": once(algorithm=19) + literal() + signature(),
    "announced in version 6": once(version=6) + literal() + signature(),
    "announced at length": written(4, bytes([3, 0, 8, 22]) + KEY[-8:] + b"\1\0") + literal() + signature(),
    "announced too briefly": written(4, bytes([3, 0, 8, 22]) + KEY[-8:]) + literal() + signature(),
    "version 3": one(version=3),
    "version 6": one(version=6),
    "a certificate's kind": once(kind=0x10) + literal() + signature(kind=0x10),
    "an unknown algorithm": once(algorithm=27) + literal() + signature(algorithm=27),
    "no algorithm": once(algorithm=0) + literal() + signature(algorithm=0, numbers=b""),
    "a weak digest": once(digest=2) + literal() + signature(digest=2),
    "an unknown digest": once(digest=12) + literal() + signature(digest=12),
    "no issuer": one(hashed=b"", unhashed=b""),
    "an anonymous issuer": once(key=bytes(20)) + literal() + signature(hashed=b"", unhashed=sub(16, bytes(8))),
    "issuers that disagree": one(unhashed=sub(16, OTHER[-8:])),
    "two key ids": one(unhashed=sub(16, KEY[-8:]) + sub(16, OTHER[-8:])),
    "two fingerprints of one key id": one(hashed=issuer() + issuer(OTHER[:12] + KEY[-8:])),
    "a fingerprint that nobody signed": one(hashed=b"", unhashed=issuer() + sub(16, KEY[-8:])),
    "a fingerprint of version 6": one(hashed=issuer(version=6)),
    "a short fingerprint": one(hashed=issuer(KEY[1:])),
    "a long fingerprint": one(hashed=issuer(bytes(12) + KEY)),
    "an empty fingerprint": one(hashed=sub(33, b"")),
    "a short key id": one(hashed=issuer() + sub(16, KEY[-7:])),
    "a critical notation": one(hashed=issuer() + sub(0x94, bytes(8))),
    "a key in it": one(hashed=issuer() + sub(38, bytes(60))),
    "an unknown subpacket": one(unhashed=sub(101, b"") + sub(16, KEY[-8:])),
    "a subpacket without a type": one(unhashed=sub(16, KEY[-8:]) + b"\0"),
    "a subpacket that is cut": one(unhashed=sub(16, KEY[-8:]) + b"\x05\x02\0\0"),
    "a subpacket whose length is cut": one(unhashed=sub(16, KEY[-8:]) + b"\xff\0\0"),
    "a subpacket whose second octet is missing": one(unhashed=sub(16, KEY[-8:]) + b"\xc0"),
    "too many notations": one(unhashed=sub(16, KEY[-8:]) + sub(20, bytes(200)) * 50),
    "no number": one(numbers=b""),
    "one number of two": one(numbers=b"\x00\x01\x01"),
    "three numbers of two": one(numbers=b"\x00\x01\x01" * 3),
    "a number that is cut": one(numbers=b"\x00\x01\x01\x00\x10\x01"),
    "a number of no bits": one(numbers=b"\x00\x01\x01\x00\x00"),
    "a huge number": one(numbers=b"\x00\x01\x01\x40\x01" + bytes(2049)),
    "a signature of one octet": once() + literal() + written(2, b"\4"),
    "an empty signature": once() + literal() + written(2, b""),
    "another form of text": once() + literal(b"m") + signature(),
    "a local form of text": once() + literal(b"l") + signature(),
    "a text without its date": once() + written(11, b"b\0\0\0\0") + signature(),
    "a text whose name is cut": once() + written(11, b"b\x09hi\0\0\0\0") + signature(),
    "an empty literal": once() + written(11, b"") + signature(),
    "a text without an end": once() + written(11, b"b\0\0\0\0\0" + TEXT, "open") + signature(),
    "large": LARGE,
    "large when unpacked": packed(2, LARGE),
    "packed twice": packed(2, packed(2, PLAIN, "long")),
    "packed not at all": written(8, b"\0" + PLAIN),
    "BZip2": packed(3, PLAIN),
    "packed in an unknown way": written(8, b"\4" + PLAIN),
    "packed and empty": written(8, b""),
    "packed nothing": packed(2, b""),
    "packed and something behind": packed(2, PLAIN, "long") + signature(),
    "packed and rubbish inside": written(8, b"\2" + zlib.compress(PLAIN) + b"\0"),
    "packed and rubbish in a piece": written(8, b"\2" + zlib.compress(PLAIN).ljust(511, b"\0") + b"\0", "pieces"),
    "packed and a piece more": written(8, PIECE + b"\0", "pieces"),
    "packed and cut": written(8, b"\2" + zlib.compress(PLAIN)[:-1]),
    "packed and spoilt": written(8, b"\2" + zlib.compress(PLAIN)[:-1] + b"\0"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_is_not_certain_is_left_to_gpg(name: str) -> None:
    assert said(UNSURE[name]) is None


@pytest.mark.parametrize("form", ["open", "long", "pieces"])
def test_a_bomb_is_not_unpacked(form: str) -> None:
    bomb = packed(2, once() + literal(text=bytes(30_000_000)) + signature(), form)
    tracemalloc.start()

    assert said(bomb) is None

    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_what_names_a_key_of_ours_is_left_to_gpg(key: bytes) -> None:
    ours = frozenset({key.hex().upper()[-16:]})
    both = READ["two"][0]

    assert said(both, None, ours) is None
    assert said(signature() + other(), TEXT, ours) is None
    assert said(both, None, frozenset({"00" * 8})) is not None


BESIDE = {
    "bare": signature(),
    "armoured": armour(signature()),
    "with line ends of mail": armour(signature()).replace(b"\n", b"\r\n"),
    "without a checksum": b"\n".join(line for line in armour(signature()).split(b"\n") if line[:1] != b"="),
    "with headers": armour(signature()).replace(b"\n\n", b"\nVersion: x\nComment: y: z\n\n", 1),
    "with empty lines behind": armour(signature()) + b"\r\n\n",
    "two": armour(signature() + other()),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_signature_beside_its_text_is_read(name: str) -> None:
    assert said(BESIDE[name], TEXT) == (b"", NAME)


GOOD = armour(signature())
UNSURE_BESIDE = {
    "nothing": b"",
    "a whole message": PLAIN,
    "packed": packed(2, signature()),
    "another packet that is made like one": signature() + bytes([0xC0 | 4]) + signature()[1:],
    "a text along": signature() + literal(),
    "a short key id": signature(hashed=b"", unhashed=sub(16, KEY[-7:])),
    "two kinds": signature() + other(kind=1),
    "nine": signature() * 18,
    "large": signature(unhashed=sub(16, KEY[-8:]) + sub(20, bytes(150)) * 60) * 3,
    "large armour": GOOD + b"\n" * 40_000,
    "words before": b"hello\n" + GOOD,
    "words behind": GOOD + b"hello\n",
    "two armours": GOOD * 2,
    "another armour": GOOD.replace(b"SIGNATURE", b"MESSAGE"),
    "another header": GOOD.replace(b"\n\n", b"\nHash: SHA256\n\n", 1),
    "no empty line": GOOD.replace(b"\n\n", b"\n", 1),
    "a wrong checksum": GOOD[: GOOD.rindex(b"\n=")] + b"\n=AAAA\n-----END PGP SIGNATURE-----\n",
    "padding inside": GOOD.replace(b"\n\n", b"\n\nAA==\n", 1),
    "bits left over": armour(b"").replace(b"\n\n", b"\n\n" + base64.b64encode(signature())[:-2] + b"9=\n", 1),
    "no letters": armour(b""),
    "a blank in it": GOOD.replace(b"A", b" A", 1),
    "cut": GOOD[:-12],
}


@pytest.mark.parametrize("name", UNSURE_BESIDE)
def test_a_signature_that_is_not_certain_is_left_to_gpg(name: str) -> None:
    assert said(UNSURE_BESIDE[name], TEXT) is None


def test_a_ring_without_a_list_names_nobody() -> None:
    listing = f"pub:::::\nfpr:::::::::{NAME}:\nsub:::::\nfpr:::::::::{OTHERS}:\n".encode()

    assert KeyRing().key_ids == frozenset()
    assert KeyRing(b"packets").key_ids is None
    assert {ID, OTHERS[-16:]} <= (KeyRing(b"packets", listing).key_ids or frozenset())
