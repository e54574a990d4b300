"""Whatever holds the root keys keeps the same promises: a key file, a PKCS#11 token and AWS KMS, one suite."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.crypto.boxes import seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.holder import Holder, Roots
from vault.crypto.keyservice import BOXES, KINDS, LABELS, SIGNERS
from vault.crypto.kms import KmsHolder
from vault.crypto.pkcs11 import Pkcs11Holder
from vault.crypto.pkcs11_setup import add_root, init_token
from vault.errors import NotAllowedError, RefusedError, TamperedError, UnknownFormatError
from vault.testing.moto_kms import moto_kms
from vault.testing.softhsm import softhsm

KEY = bytes(range(32))
REF = "S-1/2026"
WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"


@dataclass(frozen=True, slots=True)
class Pair:
    """One custody seen twice: before and after its second root was made primary."""

    mark: int
    before: Holder
    after: Holder


def local(_stack: ExitStack) -> Pair:
    keys = make_keys()
    keys = replace(keys, roots={**keys.roots, 2: os.urandom(32)})
    return Pair(1, Custody(keys), Custody(replace(keys, primary=2)))


def kms(stack: ExitStack) -> Pair:
    settings = stack.enter_context(moto_kms())
    before = KmsHolder(settings)
    assert before.make_bundle()
    return Pair(2, before, KmsHolder(settings.model_copy(update={"primary": 2})))


def pkcs11(stack: ExitStack) -> Pair:
    settings = stack.enter_context(softhsm()).settings
    init_token(settings)
    assert add_root(settings) == 2
    return Pair(3, Pkcs11Holder(settings), Pkcs11Holder(settings.model_copy(update={"primary": 2})))


@pytest.fixture(scope="module", params=[local, kms, pkcs11], ids=lambda make: make.__name__)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    make: Callable[[ExitStack], Pair] = request.param
    with ExitStack() as stack:
        yield make(stack)


@pytest.fixture
def holder(pair: Pair) -> Holder:
    return pair.before


def header(mark: int, root: int) -> bytes:
    return bytes([mark]) + root.to_bytes(4, "big")


def flipped(wrapped: bytes, bit: int) -> bytes:
    changed = bytearray(wrapped)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapped_key_opens_in_its_place_and_says_its_root(pair: Pair, kind: str) -> None:
    wrapped = pair.before.wrap(kind, REF, KEY)

    assert pair.before.unwrap(kind, REF, wrapped) == KEY
    assert wrapped[:5] == header(pair.mark, 1)
    assert KEY not in wrapped


def test_wrapping_twice_looks_different(holder: Holder) -> None:
    assert holder.wrap("log", REF, KEY) != holder.wrap("log", REF, KEY)


@pytest.mark.parametrize(
    ("kind", "ref"), [("identity", REF), ("log", REF), ("record", "S-1/2025"), ("record", "S-1/202")]
)
@pytest.mark.parametrize("verb", ["unwrap", "rotate"])
def test_a_wrapped_key_opens_nowhere_else(pair: Pair, verb: str, kind: str, ref: str) -> None:
    wrapped = pair.before.wrap("record", REF, KEY)

    with pytest.raises(TamperedError, match="wrapped_key_tampered"):
        getattr(pair.before, verb)(kind, ref, wrapped)
    with pytest.raises(TamperedError, match="wrapped_key_tampered"):
        getattr(pair.after, verb)(kind, ref, wrapped)


@pytest.mark.parametrize("verb", ["unwrap", "rotate"])
@pytest.mark.parametrize("root", [2, 3, 0, 2**32 - 1])
def test_another_root_does_not_open_it(pair: Pair, verb: str, root: int) -> None:
    wrapped = header(pair.mark, root) + pair.before.wrap("record", REF, KEY)[5:]

    with pytest.raises(TamperedError):
        getattr(pair.before, verb)("record", REF, wrapped)


def test_bytes_of_another_wrapped_key_do_not_mix(holder: Holder) -> None:
    one, other = holder.wrap("record", REF, KEY), holder.wrap("record", REF, bytes(32))

    mixed = {one[:cut] + other[cut:] for cut in range(5, len(one))} - {one, other}

    assert len(mixed) > 40
    for wrapped in mixed:
        with pytest.raises(TamperedError):
            holder.unwrap("record", REF, wrapped)


def test_every_truncation_is_refused(holder: Holder) -> None:
    wrapped = holder.wrap("record", REF, KEY)

    for length in range(1, len(wrapped)):
        with pytest.raises(TamperedError):
            holder.unwrap("record", REF, wrapped[:length])
    for longer in (wrapped + b"\0", wrapped + wrapped, wrapped + bytes(10_000)):
        with pytest.raises(TamperedError):
            holder.unwrap("record", REF, longer)


def test_flipped_bits_are_refused(pair: Pair) -> None:
    """Every bit in `make fuzz`; else every bit of the header and a sample that walks through all bit positions."""
    wrapped = pair.before.wrap("record", REF, KEY)
    stride = 1 if WHOLE or pair.mark == 1 else 5

    for bit in [*range(8, 40), *range(40, len(wrapped) * 8, stride)]:
        with pytest.raises(TamperedError):
            pair.before.unwrap("record", REF, flipped(wrapped, bit))
    for bit in range(0, len(wrapped) * 8, 1 if WHOLE else 41):
        with pytest.raises((TamperedError, UnknownFormatError)):
            pair.after.rotate("record", REF, flipped(wrapped, bit))
    assert pair.before.unwrap("record", REF, wrapped) == KEY


def test_every_other_format_byte_is_refused(pair: Pair) -> None:
    wrapped = pair.before.wrap("record", REF, KEY)

    for mark in {*range(256)} - {pair.mark}:
        for verb in ("unwrap", "rotate"):
            with pytest.raises(UnknownFormatError, match="wrapped_key_format"):
                getattr(pair.before, verb)("record", REF, bytes([mark]) + wrapped[1:])
    with pytest.raises(UnknownFormatError):
        pair.before.unwrap("record", REF, b"")


def test_rotating_keeps_the_key_and_changes_its_root(pair: Pair) -> None:
    wrapped = pair.before.wrap("record", REF, KEY)

    moved = pair.after.rotate("record", REF, wrapped)

    assert moved[:5] == header(pair.mark, 2)
    assert pair.after.unwrap("record", REF, moved) == pair.before.unwrap("record", REF, moved) == KEY
    assert pair.after.rotate("record", REF, moved) == moved
    assert pair.before.unwrap("record", REF, wrapped) == KEY


def test_new_keys_stand_under_the_primary_root(pair: Pair) -> None:
    assert pair.after.wrap("record", REF, KEY)[:5] == header(pair.mark, 2)
    assert pair.before.roots() == Roots(1, (1, 2))
    assert pair.after.roots() == Roots(2, (1, 2))


@pytest.mark.parametrize("verb", ["wrap", "unwrap", "rotate"])
@pytest.mark.parametrize("ref", ["", "a|b", "Äijö", "a\n", "x" * 201])
def test_a_malformed_reference_is_refused(holder: Holder, verb: str, ref: str) -> None:
    with pytest.raises(RefusedError, match="ref_malformed"):
        getattr(holder, verb)("record", ref, KEY)


def test_the_longest_reference_is_not(holder: Holder) -> None:
    assert holder.unwrap("record", "x" * 200, holder.wrap("record", "x" * 200, KEY)) == KEY


@pytest.mark.parametrize("size", [0, 31, 33, 5_000])
def test_only_keys_are_wrapped(holder: Holder, size: int) -> None:
    with pytest.raises(RefusedError, match="key_malformed"):
        holder.wrap("record", REF, bytes(size))


UNKNOWN: dict[str, Callable[[Holder], bytes]] = {
    "wrap": lambda holder: holder.wrap("case", REF, KEY),
    "wrap-box": lambda holder: holder.wrap("box", "case", KEY),
    "unwrap": lambda holder: holder.unwrap("", REF, b"\x01"),
    "unwrap-box": lambda holder: holder.unwrap("box", "case", b"\x03"),
    "rotate": lambda holder: holder.rotate("signer", "log", b"\x01"),
    "unseal": lambda holder: holder.unseal("log", REF, b"\x01"),
    "mac": lambda holder: holder.mac("record", b"x"),
    "sign": lambda holder: holder.sign("case", b"x"),
    "public": lambda holder: holder.public("subject"),
}


@pytest.mark.parametrize("verb", UNKNOWN)
def test_unknown_names_are_refused(holder: Holder, verb: str) -> None:
    with pytest.raises(NotAllowedError, match="key_name_unknown"):
        UNKNOWN[verb](holder)


@pytest.mark.parametrize("box", BOXES)
def test_a_box_opens_what_its_public_half_sealed_for_its_owner(pair: Pair, box: str) -> None:
    sealed = seal_key(pair.before.public(box), "DSR-1", KEY)

    assert pair.before.unseal(box, "DSR-1", sealed) == pair.after.unseal(box, "DSR-1", sealed) == KEY
    with pytest.raises(TamperedError):
        pair.before.unseal(box, "DSR-2", sealed)
    with pytest.raises(TamperedError):
        pair.before.unseal(BOXES[1 - BOXES.index(box)], "DSR-1", sealed)
    with pytest.raises(UnknownFormatError):
        pair.before.unseal(box, "DSR-1", b"\x02" + sealed[1:])


def test_a_mac_is_the_same_every_time_and_another_for_each_label(pair: Pair) -> None:
    macs = [pair.before.mac(label, b"131052-308T") for label in LABELS]

    assert macs == [pair.after.mac(label, b"131052-308T") for label in LABELS]
    assert len({*macs, pair.before.mac("subject", b"131052-308X")}) == len(LABELS) + 1
    assert {len(mac) for mac in macs} == {hashlib.sha256().digest_size}


@pytest.mark.parametrize("name", SIGNERS)
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_signature_verifies_with_the_public_half(holder: Holder, name: str, size: int) -> None:
    public = Ed25519PublicKey.from_public_bytes(holder.public(name))
    signature = holder.sign(name, bytes(size))

    public.verify(signature, bytes(size))
    with pytest.raises(InvalidSignature):
        public.verify(signature, bytes(size) + b"x")
    other = Ed25519PublicKey.from_public_bytes(holder.public(SIGNERS[1 - SIGNERS.index(name)]))
    with pytest.raises(InvalidSignature):
        other.verify(signature, bytes(size))


def test_no_holder_shows_a_key(holder: Holder) -> None:
    assert f"{holder!r} {holder}" == f"{type(holder).__name__}() {type(holder).__name__}()"
