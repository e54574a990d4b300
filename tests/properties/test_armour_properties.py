"""Armour is found and taken off whatever programs did to its lines, and nothing else is taken for it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import UnreadableError
from vault.intake.armour import armour_blocks, clear_signed_text, message_packets, starts_armour

BEGIN, END = b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----"
WIDTH = 64
BLANKS = st.sampled_from([b"", b" ", b"\t", b"  ", b"\xc2\xa0"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n"])
HEADERS = st.lists(st.sampled_from([b"Version: x", b"Comment: a b", b"Charset: utf-8", b"Hash: SHA256"]), max_size=3)
PIECES = st.sampled_from(
    [BEGIN, END, b"\n", b"\r\n", b" ", b"> ", b"=", b"=3D", b"Version: x\n", b"AAAA", b"=abcd", b"\xa0"]
)


def armoured(data: bytes, headers: list[bytes], *, empty: bool) -> list[bytes]:
    letters = base64.b64encode(data)
    lines = [letters[at : at + WIDTH] for at in range(0, len(letters), WIDTH)]
    return [BEGIN, *headers, *([b""] if empty or not headers else []), *lines, b"=AAAA", END]


@given(st.binary(min_size=1, max_size=400), HEADERS, st.booleans(), st.tuples(BLANKS, BLANKS), ENDS)
def test_what_programs_do_to_armour_changes_nothing(
    data: bytes, headers: list[bytes], empty: bool, around: tuple[bytes, bytes], end: bytes
) -> None:
    before, after = around
    block = end.join(before + line + after for line in armoured(data, headers, empty=empty)) + end

    assert message_packets(b"Hei,\n\n" + block + b"\nTerveisin") == data


@given(st.binary(min_size=1, max_size=200).filter(lambda data: base64.b64encode(data).endswith(b"=")))
def test_quoted_printable_may_be_left_in_it(data: bytes) -> None:
    block = b"\n".join(armoured(data, [], empty=True)).replace(b"=", b"=3D")

    assert message_packets(block) == data


@given(st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=60).map(b"".join))
def test_whatever_comes_is_packets_or_refused(data: bytes) -> None:
    blocks = list(armour_blocks(data, b"PGP MESSAGE"))

    assert all(BEGIN in block and block.endswith(END + b"\n") for block in blocks)
    assert not blocks or starts_armour(data, b"PGP MESSAGE")
    assert sum(map(len, blocks)) <= len(data) + len(blocks)
    clear_signed_text(data)
    try:
        found = message_packets(data)
    except UnreadableError:
        return
    assert found == data or (found and len(blocks) == 1)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_of_two_messages_none_is_taken(one: bytes, other: bytes) -> None:
    both = b"\n".join([*armoured(one + b"x", [], empty=True), *armoured(other + b"y", [], empty=True)])

    with pytest.raises(UnreadableError, match="mail_several_encrypted_parts"):
        message_packets(both)


@given(st.binary(min_size=1, max_size=40), st.sampled_from([b"> ", b"x ", b"- ", b"| "]))
def test_quoted_armour_is_a_quotation(data: bytes, mark: bytes) -> None:
    quoted = b"\n".join(mark + line for line in armoured(data, [], empty=True))

    assert not starts_armour(quoted, b"PGP MESSAGE")
    assert list(armour_blocks(quoted, b"PGP MESSAGE")) == []
