"""Armour comes off whatever a program did to its blanks and lines, and nothing else is taken for it."""

import base64
import quopri

import pytest

from vault.errors import UnreadableError
from vault.intake.armour import armour_blocks, clear_signed_text, message_packets, starts_armour

RAW = bytes(range(200))
LETTERS = base64.encodebytes(RAW)
BEGIN, END = b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----"
GOOD = BEGIN + b"\nVersion: X\nComment: a: b\n\n" + LETTERS + b"=AbCd\n" + END + b"\n"
BENT = {
    "as it should be": GOOD,
    "with CRLF": GOOD.replace(b"\n", b"\r\n"),
    "with CR alone": GOOD.replace(b"\n", b"\r"),
    "without headers": GOOD.replace(b"Version: X\nComment: a: b\n", b""),
    "without the empty line": GOOD.replace(b"a: b\n\n", b"a: b\n"),
    "without headers and empty line": BEGIN + b"\n" + LETTERS + END,
    "with a charset": GOOD.replace(b"Version: X", b"Charset: utf-8"),
    "with blanks in the empty line": GOOD.replace(b"\n\n", b"\n \t \n"),
    "indented": GOOD.replace(b"\n", b"\n    ").rstrip(b" "),
    "padded": GOOD.replace(b"\n", b"  \t\n"),
    "with no-break spaces": GOOD.replace(b"\n", b"\xc2\xa0\n\xc2\xa0").removesuffix(b"\xc2\xa0"),
    "with Latin-1 no-break spaces": GOOD.replace(b"\n", b"\xa0\n"),
    "an empty line after each": GOOD.replace(b"\n", b"\r\n\r\n"),
    "without a checksum": GOOD.replace(b"=AbCd\n", b""),
    "with a wrong checksum": GOOD.replace(b"=AbCd", b"=zzzz"),
    "the checksum on the last line": GOOD.replace(b"\n=AbCd", b"=AbCd"),
    "in one long line": BEGIN + b"\n\n" + LETTERS.replace(b"\n", b"") + b"\n" + END,
    "in quoted-printable that nobody named": quopri.encodestring(GOOD),
    "after a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "among words": b"Hei,\n\n" + GOOD + b"\nterveisin\n",
}


@pytest.mark.parametrize("how", list(BENT))
def test_bent_armour_comes_off(how: str) -> None:
    assert message_packets(BENT[how]) == RAW


@pytest.mark.parametrize("width", [1, 7, 76, 1000])
def test_armour_may_be_wrapped_at_any_width(width: int) -> None:
    letters = LETTERS.replace(b"\n", b"") + b"=AbCd"
    lines = b"\n".join(letters[at : at + width] for at in range(0, len(letters), width))

    assert message_packets(BEGIN + b"\n\n" + lines + b"\n" + END) == RAW


@pytest.mark.parametrize("size", range(1, 12))
def test_every_length_of_padding_is_told_from_the_checksum(size: int) -> None:
    letters = base64.b64encode(RAW[:size])

    assert message_packets(BEGIN + b"\n\n" + letters + b"\n=AbCd\n" + END) == RAW[:size]
    assert message_packets(BEGIN + b"\n\n" + letters + b"\n" + END) == RAW[:size]


def test_what_is_bare_stays_as_it_is() -> None:
    assert message_packets(b"\x85\x01\x02") == b"\x85\x01\x02"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BEGIN, "pgp_malformed"),
        (BEGIN + b"\n" + END, "pgp_malformed"),
        (BEGIN + b"\n\nAAA!\n" + END, "pgp_malformed"),
        (BEGIN + b"\n\nAAAAA\n" + END, "pgp_malformed"),
        (BEGIN + b"\n\nAA==AAAA\n" + END, "pgp_malformed"),
        (BEGIN + b"\n<br>AAAA\n" + END, "pgp_malformed"),
        (BEGIN + b"\na: b\n" + END, "pgp_malformed"),
        (GOOD + GOOD, "mail_several_encrypted_parts"),
    ],
)
def test_what_is_no_armour_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableError, match=code):
        message_packets(data)


@pytest.mark.parametrize("before", [b"> ", b"x ", b"-", b"x" * 100 + b" ", b" " * 200])
def test_words_or_too_many_blanks_before_it_make_it_no_armour(before: bytes) -> None:
    data = before + GOOD.replace(b"\n" + END, b"\n" + before + END)

    assert not starts_armour(data, b"PGP MESSAGE")
    assert list(armour_blocks(data, b"PGP MESSAGE")) == []


def test_clear_signed_words_are_shown_without_dashes() -> None:
    block = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- -----BEGIN x\nhei\n"
        b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"
    )

    assert clear_signed_text(block) == b"-----BEGIN x\nhei\n"
    assert clear_signed_text(b"-----BEGIN PGP SIGNED MESSAGE-----\n") == b""
