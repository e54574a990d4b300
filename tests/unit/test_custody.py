"""What the keys in custody do, and that they never show themselves."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.crypto.boxes import seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.keyservice import BOXES, KINDS, LABELS, SIGNERS
from vault.errors import NotAllowedError, RefusedError, TamperedError, UnknownFormatError

KEYS = make_keys()
CUSTODY = Custody(KEYS)
KEY = bytes(range(32))


@pytest.mark.parametrize("kind", KINDS)
def test_wrapped_key_opens_in_its_place(kind: str) -> None:
    wrapped = CUSTODY.wrap(kind, "S-1/2026", KEY)

    assert CUSTODY.unwrap(kind, "S-1/2026", wrapped) == KEY
    assert KEY not in wrapped


def test_wrapping_twice_looks_different() -> None:
    assert CUSTODY.wrap("log", "S-1", KEY) != CUSTODY.wrap("log", "S-1", KEY)


@pytest.mark.parametrize(("kind", "ref"), [("identity", "S-1"), ("record", "S-2"), ("log", "S-1")])
def test_wrapped_key_opens_nowhere_else(kind: str, ref: str) -> None:
    wrapped = CUSTODY.wrap("record", "S-1", KEY)

    with pytest.raises(TamperedError):
        CUSTODY.unwrap(kind, ref, wrapped)


def test_old_root_unwraps_after_a_rotation() -> None:
    wrapped = CUSTODY.wrap("record", "S-1", KEY)
    rotated = Custody(replace(KEYS, primary=2, roots={**KEYS.roots, 2: bytes(32)}))

    assert rotated.unwrap("record", "S-1", wrapped) == KEY
    assert rotated.wrap("record", "S-1", KEY)[:5] == b"\x01\x00\x00\x00\x02"


@pytest.mark.parametrize("wrapped", [b"\x01", b"\x01" + bytes(64), b"\x01\x00\x00\x00\x01", b"\x01" + bytes(1000)])
def test_junk_is_refused(wrapped: bytes) -> None:
    with pytest.raises(TamperedError):
        CUSTODY.unwrap("record", "S-1", wrapped)


@pytest.mark.parametrize("wrapped", [b"", b"\x00", b"\x02" + bytes(64)])
def test_unknown_format_is_refused(wrapped: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        CUSTODY.unwrap("record", "S-1", wrapped)


@pytest.mark.parametrize("ref", ["", "a|b", "Äijö", "a\n", "x" * 201])
def test_malformed_reference_is_refused(ref: str) -> None:
    with pytest.raises(RefusedError, match="ref_malformed"):
        CUSTODY.wrap("record", ref, KEY)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_only_keys_are_wrapped(size: int) -> None:
    with pytest.raises(RefusedError, match="key_malformed"):
        CUSTODY.wrap("record", "S-1", bytes(size))


UNKNOWN: dict[str, Callable[[], bytes]] = {
    "wrap": lambda: CUSTODY.wrap("case", "S-1", KEY),
    "unwrap": lambda: CUSTODY.unwrap("", "S-1", b"\x01"),
    "unseal": lambda: CUSTODY.unseal("log", "S-1", b"\x01"),
    "mac": lambda: CUSTODY.mac("record", b""),
    "sign": lambda: CUSTODY.sign("case", b""),
    "public": lambda: CUSTODY.public("subject"),
}


@pytest.mark.parametrize("verb", UNKNOWN)
def test_unknown_names_are_refused(verb: str) -> None:
    with pytest.raises(NotAllowedError, match="key_name_unknown"):
        UNKNOWN[verb]()


@pytest.mark.parametrize("box", BOXES)
def test_box_opens_what_its_public_half_sealed(box: str) -> None:
    assert CUSTODY.unseal(box, "DSR-1", seal_key(CUSTODY.public(box), "DSR-1", KEY)) == KEY


def test_boxes_are_apart() -> None:
    with pytest.raises(TamperedError):
        CUSTODY.unseal("print", "DSR-1", seal_key(CUSTODY.public("case"), "DSR-1", KEY))


def test_mac_is_hmac_sha256_under_a_key_per_label() -> None:
    macs = {label: CUSTODY.mac(label, b"131052-308T") for label in LABELS}

    assert macs["subject"] == hmac.new(KEYS.macs["subject"], b"131052-308T", hashlib.sha256).digest()
    assert len(set(macs.values())) == len(LABELS)


@pytest.mark.parametrize("name", SIGNERS)
def test_signature_verifies_with_the_public_half(name: str) -> None:
    public = Ed25519PublicKey.from_public_bytes(CUSTODY.public(name))

    public.verify(CUSTODY.sign(name, b"checkpoint"), b"checkpoint")
    with pytest.raises(InvalidSignature):
        public.verify(CUSTODY.sign(name, b"checkpoint"), b"another")


def test_keys_are_never_shown() -> None:
    shown = f"{KEYS!r} {KEYS} {CUSTODY!r}"

    secrets = [*KEYS.roots.values(), *KEYS.boxes.values(), *KEYS.macs.values(), *KEYS.signers.values()]
    assert shown == "Keys() Keys() Custody()"
    assert not any(repr(secret) in shown or secret.hex() in shown for secret in secrets)


def test_all_keys_are_fresh() -> None:
    keys, others = make_keys(), make_keys()
    secrets = [
        secret
        for made in (keys, others)
        for part in (made.roots, made.boxes, made.macs, made.signers)
        for secret in part.values()
    ]

    assert len(secrets) == len(set(secrets)) == 16
    assert {len(secret) for secret in secrets} == {32}
