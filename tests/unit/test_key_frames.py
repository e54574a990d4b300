"""The wire is strict: one spelling, one size, flat objects only."""

import pytest

from vault.crypto.frames import LARGEST, LARGEST_HELLO, Feed, pack, parse, read_bytes, write_bytes
from vault.errors import LimitError, RefusedError


def test_frame_is_length_and_canonical_json() -> None:
    assert pack([{"verb": "mac", "data": "é"}]) == b'\x00\x00\x00 [{"data":"\\u00e9","verb":"mac"}]'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'[{"a": 1}]',
        b'[{"a":1}] ',
        b'[{"b":1,"a":1}]',
        b'[{"a":1,"a":1}]',
        b'[{"a":null}]',
        b'[{"a":[]}]',
        b'[{"a":{}}]',
        b'[{"a":NaN}]',
        b'[{"a":1e999}]',
        b'[{"a":1.0e0}]',
        b'[{"a":"\xc3\xa9"}]',
        b'[{"a":"\\u0041"}]',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'[{"a":' + b"9" * 5_000 + b"}]",
        b'{"a":1}',
        b'[[{"a":1}]]',
        b'[{"a":1},2]',
        b'[{"a":1}, {"a":1}]',
        b"[" + b",".join([b'{"a":1}'] * 1_001) + b"]",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_any_other_spelling_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="key_request_malformed"):
        parse(body)


@pytest.mark.parametrize("text", ["A", "AAA", "AA=", "AA==A", "AA==\n", " AA==", "AB==", "é", "A-_="])
def test_base64_is_canonical(text: str) -> None:
    with pytest.raises(RefusedError, match="key_request_malformed"):
        read_bytes(text)


def test_largest_body_passes_and_one_more_byte_does_not() -> None:
    room = LARGEST - len(b'[{"data":""}]')

    (body,) = Feed().bodies(pack([{"data": "x" * room}]))

    assert parse(body) == [{"data": "x" * room}]
    with pytest.raises(LimitError, match="key_request_too_large"):
        pack([{"data": "x" * (room + 1)}])


def test_oversize_frame_is_refused_by_its_announcement() -> None:
    with pytest.raises(RefusedError, match="key_request_too_large"):
        list(Feed(LARGEST_HELLO).bodies((LARGEST_HELLO + 1).to_bytes(4, "big")))


def test_nothing_comes_before_a_frame_is_whole() -> None:
    feed, frame = Feed(), pack([{"verb": "status"}])

    early = [body for byte in frame[:-1] for body in feed.bodies(bytes([byte]))]

    assert early == []
    assert list(feed.bodies(frame[-1:])) == [b'[{"verb":"status"}]']


def test_bytes_survive() -> None:
    assert read_bytes(write_bytes(b"\x00\xff")) == b"\x00\xff"
