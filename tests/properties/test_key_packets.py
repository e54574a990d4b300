"""A key is left out without gpg only where it certainly names somebody else."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.intake.keypackets import may_name

AINO = "aino@example.fi"
BEGIN, END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", b"-----END PGP PUBLIC KEY BLOCK-----\n"
TAGS = (2, 12, 13, 14, 17)


def packet(tag: int, body: bytes, form: str = "new") -> bytes:
    """Write a packet in one of the forms of its length (RFC 9580 section 4.2)."""
    size = len(body)
    if form == "old" and tag < 16:
        kind, width = next((kind, 1 << kind) for kind in range(3) if size < 1 << (8 << kind))
        return bytes([0x80 | tag << 2 | kind]) + size.to_bytes(width, "big") + body
    if form == "long" or size >= 8384:
        return bytes([0xC0 | tag, 255]) + size.to_bytes(4, "big") + body
    if size < 192:
        return bytes([0xC0 | tag, size]) + body
    return bytes([0xC0 | tag, 192 + (size - 192 >> 8), size - 192 & 0xFF]) + body


def armoured(data: bytes, head: bytes = b"", end: bytes = b"=abcd\n") -> bytes:
    return BEGIN + head + b"\n" + base64.encodebytes(data) + end + END


FORMS = st.sampled_from(["new", "old", "long"])
OTHERS = st.lists(st.builds(packet, st.sampled_from(TAGS), st.binary(max_size=400), FORMS), max_size=6)
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bytes,
    "armoured": armoured,
    "with a header": lambda data: armoured(data, b"Version: x\n"),
    "without a checksum": lambda data: armoured(data, end=b""),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [AINO, AINO.upper(), f"Äinö <{AINO}>"], ids=len)
@given(first=st.binary(max_size=300), before=OTHERS, after=OTHERS, form=FORMS)
def test_a_key_that_names_the_address_is_never_left_out(  # noqa: PLR0917 - a test's values
    way: str, name: str, first: bytes, before: list[bytes], after: list[bytes], form: str
) -> None:
    user = packet(13, name.encode(), form)
    assert may_name(WAYS[way](b"".join([packet(6, first, form), *before, user, *after])), AINO)


@pytest.mark.parametrize("way", WAYS)
@given(first=st.binary(max_size=300), others=OTHERS, form=FORMS)
def test_a_whole_key_of_others_is_left_out(way: str, first: bytes, others: list[bytes], form: str) -> None:
    assert not may_name(WAYS[way](b"".join([packet(6, first, form), *others])), AINO)


OTHER = packet(6, bytes(40)) + packet(13, b"Other <other@example.fi>")
UNSURE = {
    "nothing": b" ",
    "text": b"hei",
    "cut": OTHER[:-1],
    "longer than it says": OTHER + b"\x01",
    "compressed": packet(8, OTHER),
    "secret": packet(5, bytes(40)),
    "no key first": packet(13, b"x") + OTHER,
    "unknown packet": OTHER + packet(63, b""),
    "in pieces": OTHER + b"\xcd\xe1" + b"xx" + b"\x00",
    "without an end": OTHER + b"\xb7xx",
    "two armours": armoured(OTHER) * 2,
    "words around": b"my key\n" + armoured(OTHER),
    "words behind": armoured(OTHER) + b"x",
    "armour without an empty line": armoured(OTHER).replace(b"\n\n", b"\n", 1),
    "no base64": armoured(OTHER).replace(b"A", b"%", 1),
    "quoted-printable": armoured(OTHER).replace(b"=abcd", b"=3Dabcd").replace(b"\n=3D", b"=3D"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_is_not_certain_is_left_to_gpg(name: str) -> None:
    assert may_name(UNSURE[name], AINO)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(data: bytes) -> None:
    assert isinstance(may_name(data, AINO), bool)
    assert isinstance(may_name(armoured(data), AINO), bool)
