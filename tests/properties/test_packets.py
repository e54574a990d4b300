"""Packets that are written are found again, whole and in their order; of anything else nothing is made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.intake.packets import UnsureError, walk
from vault.testing.packetforms import FORMS, written

SIZES = st.sampled_from([0, 1, 191, 192, 193, 255, 256, 511, 512, 513, 1024, 8383, 8384, 65535, 65536])
BODIES = st.one_of(st.binary(max_size=40), SIZES.map(lambda size: bytes([size % 251]) * size))
PARTS = st.lists(st.tuples(st.integers(1, 63), BODIES, st.sampled_from(FORMS[:5])), max_size=6)
ALL = frozenset(range(64))


def found(data: bytes, open_tags: frozenset[int] = frozenset()) -> list[tuple[int, bytes, bytes]]:
    return [(one.tag, bytes(one.whole), b"".join(one.pieces)) for one in walk(data, open_tags)]


@given(PARTS)
def test_what_is_written_is_found(parts: list[tuple[int, bytes, str]]) -> None:
    data = [(tag, written(tag, body, form), body) for tag, body, form in parts]

    assert found(b"".join(whole for _, whole, _ in data), ALL) == data


@given(PARTS, st.integers(1, 15), BODIES)
def test_a_length_is_left_open_up_to_the_end(parts: list[tuple[int, bytes, str]], tag: int, body: bytes) -> None:
    before, last = b"".join(written(*part) for part in parts), written(tag, body, "open")

    assert found(before + last, ALL)[-1] == (tag, last, body)
    with pytest.raises(UnsureError):
        found(before + last, ALL - {tag})


@given(st.integers(1, 63), st.binary(min_size=512, max_size=3000))
def test_pieces_are_found_where_they_are_allowed(tag: int, body: bytes) -> None:
    whole = written(tag, body, "pieces")

    (packet,) = walk(whole, frozenset({tag}))

    assert [len(piece) for piece in packet.pieces[:-1]] == [512] * (len(body) // 512)
    with pytest.raises(UnsureError):
        found(whole, ALL - {tag})


@given(PARTS, st.data())
def test_what_is_cut_off_is_no_packet(parts: list[tuple[int, bytes, str]], data: st.DataObject) -> None:
    wholes = [written(*part) for part in parts]
    whole = b"".join(wholes)
    ends = {len(b"".join(wholes[:number])) for number in range(len(wholes) + 1)}
    at = data.draw(st.integers(0, len(whole)))

    if at in ends:
        assert b"".join(one for _, one, _ in found(whole[:at], ALL)) == whole[:at]
    else:
        with pytest.raises(UnsureError):
            found(whole[:at], ALL)


@given(st.binary(max_size=700), st.frozensets(st.integers(0, 63)))
def test_no_bytes_break_the_walk(data: bytes, open_tags: frozenset[int]) -> None:
    """Whatever the bytes are, what was found stands in them without a gap."""
    seen = b""
    try:
        for packet in walk(data, open_tags):
            seen += bytes(packet.whole)
            assert packet.tag
            assert sum(map(len, packet.pieces)) < len(packet.whole)
    except UnsureError:
        assert data.startswith(seen)
        assert seen != data
    else:
        assert seen == data


@pytest.mark.parametrize("first", [*range(0x80), 0x80, 0x81, 0x82, 0xC0])
def test_what_has_no_first_bit_or_no_type_is_no_packet(first: int) -> None:
    with pytest.raises(UnsureError):
        found(bytes([first, 0, 0, 0, 0, 0]), ALL)


@pytest.mark.parametrize("first", range(224, 255))
def test_a_piece_is_as_long_as_it_says(first: int) -> None:
    size = 1 << (first & 31)
    piece = bytes([0xCB, first]) + bytes(min(size, 1 << 16))

    if size in {1 << number for number in range(9, 17)}:
        assert found(piece + b"\0", ALL) == [(11, piece + b"\0", piece[2:])]
    for cut in (piece[:-1], piece[:6]):
        with pytest.raises(UnsureError):
            found(cut, ALL)


@pytest.mark.parametrize("tag", [8, 11])
@pytest.mark.parametrize("size", range(9))
def test_small_pieces_are_unsure(tag: int, size: int) -> None:
    """The first piece of a body has 512 octets at least (RFC 9580 section 4.2.1.4)."""
    with pytest.raises(UnsureError):
        found(bytes([0xC0 | tag, 0xE0 | size]) + bytes(1 << size) + b"\0", ALL)
