"""A key is read out of gpg's ring packet by packet, or not at all; whatever the ring holds, nothing breaks."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.intake.armour import public_key_armour
from vault.intake.keyrings import KeyRing

FINGERPRINT = "0123456789ABCDEF" * 2 + "01234567"
LISTING = f"pub::255:22:x:1::::::scESC:::::ed25519:::0:\nfpr:::::::::{FINGERPRINT}:\n".encode()
PRIMARY, TRUST = 6, 12
BODIES = st.one_of(st.binary(max_size=30), st.sampled_from([191, 192, 255, 256, 8383, 8384, 70000]).map(bytes))
PARTS = st.lists(st.tuples(st.sampled_from([2, 13, 14, 17, TRUST]), BODIES, st.booleans()), max_size=6)


def packet(kind: int, body: bytes, *, new: bool) -> bytes:
    """Write a packet with the shortest length of its format (RFC 9580 section 4.2)."""
    size = len(body)
    if new or kind > 15:
        if size < 192:
            length = bytes([size])
        elif size < 8384:
            length = (size - 192 + (192 << 8)).to_bytes(2, "big")
        else:
            length = b"\xff" + size.to_bytes(4, "big")
        return bytes([0xC0 | kind]) + length + body
    octets, code = (1, 0) if size < 1 << 8 else (2, 1) if size < 1 << 16 else (4, 2)
    return bytes([0x80 | kind << 2 | code]) + size.to_bytes(octets, "big") + body


def packets_of(key: str | None) -> bytes | None:
    return None if key is None else base64.b64decode("".join(key.splitlines()[2:-2]))


@given(BODIES, PARTS, st.booleans())
def test_a_key_comes_out_whole_and_without_notes(
    primary: bytes, parts: list[tuple[int, bytes, bool]], new: bool
) -> None:
    written = [(PRIMARY, packet(PRIMARY, primary, new=new)), *((k, packet(k, b, new=n)) for k, b, n in parts)]
    ring = KeyRing(b"".join(one for _, one in written), LISTING)

    assert packets_of(ring.only_key(FINGERPRINT)) == b"".join(one for kind, one in written if kind != TRUST)
    assert ring.only_key(FINGERPRINT[::-1]) is None
    assert KeyRing(ring.packets * 2, LISTING).only_key(FINGERPRINT) is None
    assert KeyRing(ring.packets[:-1], LISTING).only_key(FINGERPRINT) is None


@given(st.binary(max_size=60))
def test_no_ring_breaks_the_reader(data: bytes) -> None:
    found = packets_of(KeyRing(data, LISTING).only_key(FINGERPRINT))

    assert found is None or len(found) <= len(data)


@pytest.mark.parametrize(
    "head", [b"\x9b", b"\xc6\xe0", b"\xc6\xfe", b"\x18\x00"], ids=["indeterminate", "partial", "longest", "none"]
)
def test_what_gpg_never_writes_is_no_key(head: bytes) -> None:
    assert KeyRing(head + bytes(300), LISTING).only_key(FINGERPRINT) is None


def test_the_checksum_is_that_of_the_standard() -> None:
    """The check value of CRC-24/OPENPGP over the digits 1 to 9 is 21CF02."""
    assert public_key_armour(b"123456789").splitlines()[-2] == "=" + base64.b64encode(bytes.fromhex("21cf02")).decode()
