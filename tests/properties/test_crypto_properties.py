"""What holds for every key, place, plaintext and stream of bytes."""

import hashlib
import io
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from vault.crypto.boxes import open_key, seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.envelope import Context, seal, seal_stream, unseal, unseal_stream
from vault.crypto.frames import Feed, Message, pack, parse, read_bytes, write_bytes
from vault.crypto.keyfile import seal_keys, unseal_keys
from vault.crypto.keyservice import KINDS
from vault.errors import RefusedError, TamperedError

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
WORDS = st.text(PRINTABLE.filter(lambda letter: letter != "|"), max_size=40)
REFS = st.text(PRINTABLE.filter(lambda letter: letter != "|"), min_size=1, max_size=200)
CONTEXTS = st.builds(Context, WORDS, WORDS, WORDS, WORDS, st.integers(0, 2**63))
KEYS = st.binary(min_size=32, max_size=32)
SIZES = st.one_of(st.integers(0, 400), st.sampled_from([16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 140_000]))
MESSAGES = st.dictionaries(
    st.text(max_size=8),
    st.one_of(st.text(max_size=20), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    max_size=5,
)
CUSTODY = Custody(make_keys())
BOX = PrivateKey.generate()
FRAMES = st.lists(MESSAGES, min_size=1, max_size=4)


@given(KEYS, CONTEXTS, st.binary(max_size=64), SIZES)
def test_unseal_undoes_seal(key: bytes, context: Context, seed: bytes, size: int) -> None:
    plaintext = (seed * (size // max(len(seed), 1) + 1))[:size]

    assert unseal(key, context, seal(key, context, plaintext)) == plaintext


@given(KEYS, CONTEXTS, SIZES)
@settings(max_examples=40)
def test_streams_and_bytes_read_each_other(key: bytes, context: Context, size: int) -> None:
    sealed, opened = io.BytesIO(), io.BytesIO()

    seal_stream(key, context, io.BytesIO(bytes(size)), sealed)
    unseal_stream(key, context, io.BytesIO(seal(key, context, bytes(size))), opened)

    assert unseal(key, context, sealed.getvalue()) == opened.getvalue() == bytes(size)


@given(KEYS, CONTEXTS, st.binary(max_size=100), st.data())
def test_any_changed_bit_is_refused(key: bytes, context: Context, plaintext: bytes, data: st.DataObject) -> None:
    envelope = bytearray(seal(key, context, plaintext))
    place = data.draw(st.integers(0, len(envelope) - 1))
    envelope[place] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(RefusedError):
        unseal(key, context, bytes(envelope))


@given(KEYS, CONTEXTS, SIZES, st.data())
@settings(max_examples=60)
def test_any_cut_is_refused_and_gives_nothing(key: bytes, context: Context, size: int, data: st.DataObject) -> None:
    envelope, target = seal(key, context, bytes(size)), io.BytesIO()
    cut = envelope[: data.draw(st.integers(0, len(envelope) - 1))]

    with pytest.raises(RefusedError):
        unseal_stream(key, context, io.BytesIO(cut), target)

    assert target.getvalue() == b""


@given(KEYS, CONTEXTS, CONTEXTS)
def test_no_two_places_share_an_envelope(key: bytes, here: Context, there: Context) -> None:
    envelope = seal(key, here, b"note")

    if here == there:
        assert unseal(key, there, envelope) == b"note"
    else:
        with pytest.raises(TamperedError):
            unseal(key, there, envelope)


@given(KEYS, CONTEXTS, st.binary(max_size=200))
def test_strangers_bytes_never_open(key: bytes, context: Context, envelope: bytes) -> None:
    with pytest.raises(RefusedError):
        unseal(key, context, b"\x01" + envelope)


@given(st.sampled_from(KINDS), REFS, KEYS)
def test_unwrap_undoes_wrap(kind: str, ref: str, key: bytes) -> None:
    assert CUSTODY.unwrap(kind, ref, CUSTODY.wrap(kind, ref, key)) == key


@given(st.sampled_from(KINDS), st.text(max_size=20), st.binary(max_size=100))
def test_strangers_wrapped_keys_are_refused(kind: str, ref: str, wrapped: bytes) -> None:
    with pytest.raises(RefusedError):
        CUSTODY.unwrap(kind, ref, wrapped)


@given(REFS, KEYS)
@settings(max_examples=50)
def test_box_opens_what_was_sealed(owner: str, key: bytes) -> None:
    assert open_key(bytes(BOX), owner, seal_key(bytes(BOX.public_key), owner, key)) == key


@given(REFS, st.binary(max_size=200))
@settings(max_examples=50)
def test_strangers_sealed_keys_are_refused(owner: str, sealed: bytes) -> None:
    with pytest.raises(RefusedError):
        open_key(bytes(BOX), owner, sealed)


@given(st.text(min_size=12, max_size=40, alphabet=st.characters(exclude_categories=["Cs"])))
@settings(max_examples=30)
def test_key_file_opens_again(passphrase: str) -> None:
    keys = make_keys()

    with patch("vault.crypto.keyfile._stretch", lambda words, salt: hashlib.sha256(words.encode() + salt).digest()):
        assert unseal_keys(seal_keys(keys, passphrase), passphrase) == keys


@given(FRAMES)
def test_parse_undoes_pack(messages: list[Message]) -> None:
    (body,) = Feed().bodies(pack(messages))

    assert parse(body) == messages
    assert pack(parse(body)) == len(body).to_bytes(4, "big") + body


@given(st.lists(FRAMES, max_size=5), st.data())
def test_frames_are_cut_however_they_arrive(frames: list[list[Message]], data: st.DataObject) -> None:
    stream, feed = b"".join(map(pack, frames)), Feed()
    bodies: list[bytes] = []

    while stream:
        size = data.draw(st.integers(1, len(stream)))
        bodies += feed.bodies(stream[:size])
        stream = stream[size:]

    assert [parse(body) for body in bodies] == frames


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet='{}[]":,0123456789aeE.-+truefalsn \\', max_size=60).map(str.encode)
    )
)
def test_whatever_parses_is_canonical(body: bytes) -> None:
    try:
        messages = parse(body)
    except RefusedError:
        return
    assert pack(messages)[4:] == body


@given(st.binary(max_size=100))
def test_read_bytes_undoes_write_bytes(value: bytes) -> None:
    assert read_bytes(write_bytes(value)) == value


@given(st.text(max_size=12))
def test_whatever_base64_reads_is_canonical(text: str) -> None:
    try:
        value = read_bytes(text)
    except RefusedError:
        return
    assert write_bytes(value) == text
