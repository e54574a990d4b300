"""The key of one envelope opens that envelope and no other, and nothing leads from it to the key that made it."""

import json

import pytest

from vault.crypto.envelope import Context, new_key, seal
from vault.crypto.opening import Opening, open_with, opening_of
from vault.errors import TamperedError
from vault.testing.secondreader import derive

PLACE = Context("log_leaves", "2026-11-20T08:30:15Z", "entry", "P-4F7Q", 1)
OTHER = Context("log_leaves", "2026-11-20T08:30:15Z", "staff", "P-4F7Q", 1)
SAID = json.dumps({"purpose": "review"}).encode()


@pytest.mark.parametrize("length", [0, 1, 300, 16_383])
def test_an_opening_opens_its_envelope(length: int) -> None:
    key, plain = new_key(), bytes(range(256)) * 64
    envelope = seal(key, PLACE, plain[:length])

    assert open_with(opening_of(key, PLACE, envelope), envelope) == plain[:length]


def test_it_is_what_the_formats_page_derives() -> None:
    key = new_key()
    envelope = seal(key, PLACE, SAID)

    message_key, nonce, _ = derive(key, envelope[1:25], PLACE.encode())

    assert opening_of(key, PLACE, envelope) == Opening(message_key, nonce)


@pytest.mark.parametrize("same", ["place", "another place"])
def test_it_opens_no_other_envelope_of_the_same_key(same: str) -> None:
    key = new_key()
    opening = opening_of(key, PLACE, seal(key, PLACE, SAID))

    with pytest.raises(TamperedError, match="envelope_tampered"):
        open_with(opening, seal(key, PLACE if same == "place" else OTHER, SAID))


def test_it_is_not_the_key() -> None:
    key = new_key()
    opening = opening_of(key, PLACE, seal(key, PLACE, SAID))

    with pytest.raises(TamperedError):
        opening_of(opening.key, PLACE, seal(key, PLACE, SAID))
    assert key not in opening.key + opening.nonce


@pytest.mark.parametrize(
    "kind", ["key", "place", "changed", "cut", "empty", "format", "commitment", "two chunks", "no end"]
)
def test_what_is_not_sealed_there_has_no_opening(kind: str) -> None:
    key = new_key()
    envelope = seal(key, PLACE, SAID)
    made = {
        "key": (new_key(), PLACE, envelope),
        "place": (key, OTHER, envelope),
        "changed": (key, PLACE, envelope[:-20] + bytes([envelope[-20] ^ 1]) + envelope[-19:]),
        "cut": (key, PLACE, envelope[:60]),
        "empty": (key, PLACE, b""),
        "format": (key, PLACE, b"\x02" + envelope[1:]),
        "commitment": (key, PLACE, envelope[:30] + bytes([envelope[30] ^ 1]) + envelope[31:]),
        "two chunks": (key, PLACE, seal(key, PLACE, bytes(16_384))),
        "no end": (key, PLACE, seal(key, PLACE, bytes(16_384))[:-16]),
    }[kind]

    with pytest.raises(TamperedError, match="envelope_tampered"):
        opening_of(*made)


def test_an_opening_says_nothing() -> None:
    key = new_key()
    opening = opening_of(key, PLACE, seal(key, PLACE, SAID))

    assert opening.key.hex() not in repr(opening)
    assert str(opening.key) not in f"{opening}"
