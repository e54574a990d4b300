"""A box takes a key from anybody and gives it back to its holder, for the same owner only."""

import pytest
from nacl.public import PrivateKey, SealedBox

from vault.crypto.boxes import open_key, seal_key
from vault.errors import RefusedError, TamperedError

BOX = PrivateKey.generate()
PUBLIC = bytes(BOX.public_key)
KEY = bytes(range(32))


def test_holder_opens_for_the_owner() -> None:
    assert open_key(bytes(BOX), "DSR-1", seal_key(PUBLIC, "DSR-1", KEY)) == KEY


@pytest.mark.parametrize("owner", ["DSR-2", "DSR-", "DSR-11", "D"])
def test_another_owner_is_refused(owner: str) -> None:
    with pytest.raises(TamperedError):
        open_key(bytes(BOX), owner, seal_key(PUBLIC, "DSR-1", KEY))


def test_sealing_twice_looks_different_and_hides_the_key() -> None:
    sealed = seal_key(PUBLIC, "DSR-1", KEY)

    assert sealed != seal_key(PUBLIC, "DSR-1", KEY)
    assert KEY not in sealed


@pytest.mark.parametrize("owner", ["", "x" * 201, "Äijö", "a\nb"])
def test_malformed_owner_is_refused(owner: str) -> None:
    with pytest.raises(RefusedError, match="owner_malformed"):
        seal_key(PUBLIC, owner, KEY)


@pytest.mark.parametrize(
    ("public", "key"),
    [(PUBLIC[:31], KEY), (b"", KEY), (PUBLIC, KEY + b"\0"), (PUBLIC, b"")],
    ids=["short public", "no public", "long key", "no key"],
)
def test_sizes_are_checked(public: bytes, key: bytes) -> None:
    with pytest.raises(RefusedError, match="key_malformed"):
        seal_key(public, "DSR-1", key)


@pytest.mark.parametrize("inside", [b"", b"\x00", b"\x00\x05DSR-1", b"\x00\x05DSR-1" + KEY + b"\0", KEY])
def test_strangers_framing_is_refused(inside: bytes) -> None:
    sealed = b"\x01" + SealedBox(BOX.public_key).encrypt(inside)

    with pytest.raises(TamperedError):
        open_key(bytes(BOX), "DSR-1", sealed)
