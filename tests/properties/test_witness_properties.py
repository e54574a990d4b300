"""Whatever bytes a witness or its publisher is sent: one canonical spelling or a refusal, and no other error."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.cosign import (
    Cosignature,
    WitnessKey,
    parse_cosignature,
    parse_witness_vkey,
    render_cosignature,
    render_witness_vkey,
)
from vault.accesslog.witness.keys import Signer, parse_signer, render_signer
from vault.accesslog.witness.protocol import AddCheckpoint, Asked, Head, judge, parse_request, render_request
from vault.errors import RefusedError, TamperedError, WrongUseError
from vault.testing.witness import SignedLog, days_of_looks

SIZE = 40
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1, max_size=40)
HASHES = st.binary(min_size=32, max_size=32)


@cache
def log() -> SignedLog:
    return SignedLog(days_of_looks(1, SIZE, 3))


@cache
def asked(old: int, size: int) -> bytes:
    return render_request(AddCheckpoint(old, tuple(log().prove(old, size)), log().note(size)))


@given(NAMES, HASHES)
def test_witness_keys_round_trip(name: str, seed: bytes) -> None:
    signer = Signer(name, seed)

    assert parse_signer(render_signer(signer)) == signer
    assert parse_witness_vkey(render_witness_vkey(signer.key)) == signer.key


@given(st.text() | NAMES.map(lambda name: f"{name}+00000000+{'A' * 44}"))
def test_what_is_no_key_is_refused(text: str) -> None:
    for parse in (parse_witness_vkey, parse_signer):
        with pytest.raises(WrongUseError):
            parse(text)


@given(st.text(min_size=1), HASHES)
def test_a_name_that_is_written_can_be_read(name: str, key: bytes) -> None:
    try:
        text = render_witness_vkey(WitnessKey(name, key))
    except WrongUseError:
        return
    assert parse_witness_vkey(text) == WitnessKey(name, key)


@given(TIMES, st.binary(min_size=64, max_size=64))
def test_cosignatures_round_trip(time: datetime, value: bytes) -> None:
    one = Cosignature(time.replace(microsecond=0), value)

    assert parse_cosignature(render_cosignature(one)) == one


@given(st.binary(max_size=100))
def test_any_bytes_are_one_cosignature_or_none(data: bytes) -> None:
    try:
        found = parse_cosignature(data)
    except TamperedError:
        return
    assert render_cosignature(found) == data


@given(st.integers(0, 1 << 62), st.lists(HASHES, max_size=63), st.binary(max_size=200))
def test_requests_round_trip(old: int, proof: Sequence[bytes], note: bytes) -> None:
    request = AddCheckpoint(old, tuple(proof), note)

    assert parse_request(render_request(request)) == request


@given(st.data())
def test_no_changed_request_is_accepted(data: st.DataObject) -> None:
    old = data.draw(st.integers(0, SIZE))
    body = asked(old, data.draw(st.integers(old, SIZE)))
    at = data.draw(st.integers(0, len(body) - 1))
    change = data.draw(st.sampled_from(["cut", "drop", "flip", "insert"]))
    changed = {
        "cut": body[:at],
        "drop": body[:at] + body[at + 1 :],
        "flip": body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :],
        "insert": body[:at] + data.draw(st.binary(min_size=1, max_size=3)) + body[at:],
    }[change]

    judged = judge(changed, (log().key,), Head(old, log().root(old)))

    assert changed == body or not isinstance(judged, Asked)


@given(st.binary(max_size=300), st.integers(0, SIZE))
def test_any_bytes_are_answered(data: bytes, size: int) -> None:
    assert not isinstance(judge(data, (log().key,), Head(size, log().root(size))), Asked)
    with pytest.raises(RefusedError):
        parse_request(b"x" + data)


@given(st.data())
def test_only_what_continues_the_last_tree_is_accepted(data: st.DataObject) -> None:
    sizes = st.integers(0, SIZE)
    old, size, claimed, held = (data.draw(sizes) for _ in range(4))
    low, high = sorted((old, size))
    proof = tuple(log().prove(low, high))
    body = render_request(AddCheckpoint(claimed, proof, log().note(size)))

    judged = judge(body, (log().key,), Head(held, log().root(held)))

    assert isinstance(judged, Asked) == (claimed == held <= size and tuple(log().prove(held, size)) == proof)
