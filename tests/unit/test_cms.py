"""CMS from outside: what is asked is found in DER and in BER, and nothing broken costs time or goes through."""

import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import UnreadableError
from vault.intake.ber import Ber
from vault.intake.cms import RecipientKind, decompressed, inflate, recipient_kinds
from vault.testing.cmsbytes import compressed_data, compressed_octets, tlv

MOST = 1_000_000
BOUND = MOST.to_bytes(8, "big")


@given(st.binary(max_size=5000), st.booleans())
def test_what_is_compressed_comes_back(content: bytes, streamed: bool) -> None:
    assert inflate(BOUND + compressed_data(content, streamed=streamed)) == content


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (lambda: recipient_kinds(data), lambda: inflate(BOUND + data)):
        with pytest.raises(UnreadableError, match="smime_malformed"):
            read()


@given(st.data())
def test_a_changed_message_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(compressed_data(b"hei " * 100, streamed=data.draw(st.booleans())))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))

    # content comes only when the changed octet stands where nothing is read
    assert content_or_code(bytes(whole)) in {b"hei " * 100, "smime_malformed", "mail_too_large"}


def content_or_code(der: bytes) -> bytes | str:
    try:
        return inflate(BOUND + der)
    except UnreadableError as error:
        return error.code


def test_a_bomb_is_stopped_at_its_bound() -> None:
    bomb = compressed_data(bytes(400_000_000))
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="mail_too_large"):
        inflate(BOUND + bomb)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 20_000_000


def test_the_child_gives_the_content_and_keeps_the_bound() -> None:
    assert decompressed(compressed_data(b"hei"), MOST) == b"hei"
    with pytest.raises(UnreadableError, match="mail_too_large"):
        decompressed(compressed_data(bytes(MOST + 1)), MOST)
    assert len(decompressed(compressed_data(bytes(MOST)), MOST)) == MOST


@pytest.mark.parametrize(
    "octets",
    [b"", b"no zlib", zlib.compress(b"x" * 1000)[:-5], zlib.compress(b"x") + b"more"],
    ids=["empty", "none", "cut", "longer"],
)
def test_only_one_whole_stream_is_taken(octets: bytes) -> None:
    with pytest.raises(UnreadableError, match="smime_malformed"):
        inflate(BOUND + compressed_octets(octets))


def test_another_algorithm_is_refused() -> None:
    with pytest.raises(UnreadableError, match="smime_malformed"):
        inflate(BOUND + compressed_data(b"x", algorithm=bytes.fromhex("060b2a864886f70d0109100309")))


def envelope(*recipients: int) -> bytes:
    ids = b"".join(tlv(tag, b"") for tag in recipients)
    body = tlv(0x30, bytes.fromhex("020102") + tlv(0xA0, b"") + tlv(0x31, ids))
    return tlv(0x30, bytes.fromhex("06092a864886f70d010703") + tlv(0xA0, body))


def test_kinds_of_recipients_are_told_apart() -> None:
    kinds = recipient_kinds(envelope(0x30, 0xA1, 0xA2, 0xA3, 0xA4))

    assert kinds == set(RecipientKind)
    assert recipient_kinds(envelope(0xA3)) == {RecipientKind.PASSWORD}


@pytest.mark.parametrize("piece", [b"\x30\x80", b"\x24\x80\x04\x00", b"\x30\x80\x04\x00\x00\x00"])
def test_depth_and_number_cost_no_square(piece: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(UnreadableError):
        recipient_kinds(piece * 300_000)
    with pytest.raises(UnreadableError):
        inflate(BOUND + piece * 300_000)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x05\x04\x00",
        b"\x1f\x81\x01\x00",
        b"\x30\x89" + b"\x01" * 9,
        b"\x04\x80\x00\x00",
        b"\x30\x80",
    ],
    ids=["empty", "cut", "too long", "long tag", "long length", "open string", "never closed"],
)
def test_what_is_no_ber_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="smime_malformed"):
        Ber(data).root()


def test_only_a_primitive_has_content_and_only_a_constructed_one_children() -> None:
    ber = Ber(b"\x30\x02\x04\x00")
    root = ber.root()
    child = next(ber.children(root))

    with pytest.raises(UnreadableError):
        ber.content(root)
    with pytest.raises(UnreadableError):
        list(ber.children(child))
    with pytest.raises(UnreadableError):
        Ber(b"\x24\x02\x02\x00").octets(root)
