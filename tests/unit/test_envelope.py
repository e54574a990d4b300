"""The envelope opens whole, unchanged and in its own place, or not at all."""

import io

import pytest

from vault.crypto.envelope import PIECE, Context, new_key, seal, seal_stream, unseal, unseal_stream
from vault.errors import RefusedError, TamperedError, UnknownFormatError

PLACE = Context("records", "R-1", "envelope", "S-1", 1)
SIZES = [0, 1, 200, 16_383, 16_384, 16_385, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7]


class Trickle(io.BytesIO):
    """A source that gives fewer bytes than asked for, as a socket does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 1000))


def sealed_stream(key: bytes, plaintext: bytes) -> bytes:
    target = io.BytesIO()
    seal_stream(key, PLACE, io.BytesIO(plaintext), target)
    return target.getvalue()


def test_context_is_written_as_the_format_says() -> None:
    assert Context("case_events", "4", "detail", "", 0).encode() == b"case_events|4|detail||0"


@pytest.mark.parametrize(
    "context",
    [
        PLACE._replace(row="R|1"),
        PLACE._replace(row="\ud800"),
        PLACE._replace(subject="S\n1"),
        PLACE._replace(column="nämä"),
        PLACE._replace(table="\x00"),
        PLACE._replace(version=-1),
    ],
    ids=ascii,
)
def test_malformed_context_is_refused(context: Context) -> None:
    with pytest.raises(RefusedError, match="context_malformed"):
        seal(new_key(), context, b"note")


@pytest.mark.parametrize("size", SIZES)
def test_seal_and_stream_agree(size: int) -> None:
    key, plaintext = new_key(), bytes(size)

    whole, streamed = seal(key, PLACE, plaintext), sealed_stream(key, plaintext)

    assert len(whole) == len(streamed)
    assert unseal(key, PLACE, streamed) == plaintext
    target = io.BytesIO()
    assert unseal_stream(key, PLACE, io.BytesIO(whole), target) == size
    assert target.getvalue() == plaintext


def test_stream_tells_how_much_it_sealed() -> None:
    assert seal_stream(new_key(), PLACE, Trickle(b"x" * 70_000), io.BytesIO()) == 70_000


def test_stream_reads_sources_that_trickle() -> None:
    key, target = new_key(), io.BytesIO()

    unseal_stream(key, PLACE, Trickle(seal(key, PLACE, b"y" * 70_000)), target)

    assert target.getvalue() == b"y" * 70_000


def test_large_stream_goes_through_the_spool_on_disk() -> None:
    key, target, plaintext = new_key(), io.BytesIO(), b"scan" * 600_000

    unseal_stream(key, PLACE, io.BytesIO(seal(key, PLACE, plaintext)), target)

    assert target.getvalue() == plaintext


@pytest.mark.parametrize(
    "other",
    [
        PLACE._replace(table="drafts"),
        PLACE._replace(row="R-2"),
        PLACE._replace(column="body"),
        PLACE._replace(subject="S-2"),
        PLACE._replace(version=2),
        PLACE._replace(row="", column="R-1envelope"),
    ],
    ids=str,
)
def test_another_place_opens_nothing(other: Context) -> None:
    key = new_key()
    envelope = seal(key, PLACE, b"note")

    with pytest.raises(TamperedError):
        unseal(key, other, envelope)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(TamperedError):
        unseal(new_key(), PLACE, seal(new_key(), PLACE, b"note"))


@pytest.mark.parametrize("first", [b"\x00", b"\x02", b"{", b""])
def test_unknown_format_is_refused(first: bytes) -> None:
    key = new_key()
    envelope = first + seal(key, PLACE, b"note")[1:] if first else b""

    with pytest.raises(UnknownFormatError):
        unseal(key, PLACE, envelope)
    with pytest.raises(UnknownFormatError):
        unseal_stream(key, PLACE, io.BytesIO(envelope), io.BytesIO())


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_of_another_size_is_refused(size: int) -> None:
    key = bytes(size)

    with pytest.raises(RefusedError, match="key_malformed"):
        seal(key, PLACE, b"note")
    with pytest.raises(RefusedError, match="key_malformed"):
        unseal(key, PLACE, b"\x01" + bytes(100))
    with pytest.raises(RefusedError, match="key_malformed"):
        seal_stream(key, PLACE, io.BytesIO(b"note"), io.BytesIO())


@pytest.mark.parametrize("cut", [1, 16, 17, 16_400, 100_000])
def test_target_gets_nothing_before_the_end_is_proved(cut: int) -> None:
    key, target = new_key(), io.BytesIO()
    envelope = seal(key, PLACE, bytes(10 * PIECE))

    with pytest.raises(TamperedError):
        unseal_stream(key, PLACE, io.BytesIO(envelope[:-cut]), target)

    assert target.getvalue() == b""


def test_equal_plaintexts_look_different() -> None:
    key = new_key()

    assert seal(key, PLACE, b"note") != seal(key, PLACE, b"note")
    assert new_key() != new_key()


def test_no_plaintext_stands_in_the_envelope() -> None:
    plaintext = b"CANARY-1f0c" * 9_000

    assert b"CANARY" not in seal(new_key(), PLACE, plaintext)
    assert b"CANARY" not in sealed_stream(new_key(), plaintext)
