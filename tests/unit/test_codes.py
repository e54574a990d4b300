"""One-time codes and passphrases: known spellings, tolerance in reading, refusals."""

import pytest

from vault.domain import codes
from vault.errors import WrongUseError


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (bytes(7), "00000-00000"),
        (b"\xff" * 7, "ZZZZZ-ZZZZZ"),
        (bytes.fromhex("0123456789abcd"), "04HMA-SW9NF"),
        (bytes.fromhex("0123456789abcdef"), "04HMA-SW9NF"),
    ],
)
def test_the_first_fifty_bits_are_spelled(raw: bytes, code: str) -> None:
    assert codes.render_code(raw) == code


@pytest.mark.parametrize("length", range(7))
def test_too_few_bytes_make_no_code(length: int) -> None:
    with pytest.raises(WrongUseError, match="too_few_random_bytes"):
        codes.render_code(bytes(length))


@pytest.mark.parametrize(
    "typed",
    [
        "04HMA-SW9NF",
        "04hma-sw9nf",
        " 04 HMA SW 9NF\n",
        "O4HMASW9NF",
        "o4hma\u2013sw9nf",
        "0-4-H-M-A-S-W-9-N-F",
        "04HMA\u00a0SW9NF",
    ],
)
def test_reading_is_tolerant(typed: str) -> None:
    assert codes.normalise_code(typed) == "04HMA-SW9NF"


def test_i_and_l_are_read_as_one() -> None:
    assert codes.normalise_code("iIlL1-00000") == "11111-00000"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "04HMA-SW9N",
        "04HMA-SW9NFF",
        "U4HMA-SW9NF",
        "04HMA_SW9NF",
        "04HMA-SW9\u00df",
        "04HMA-SW9N\u017f",
        "\uff104HMA-SW9NF",
        "!" * 10,
    ],
)
def test_what_can_be_no_code_is_none(typed: str) -> None:
    assert codes.normalise_code(typed) is None


def test_a_passphrase_has_at_least_a_hundred_bits_and_no_look_alikes() -> None:
    phrase = codes.passphrase(bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert phrase == "008j4-ct4an-k7f24-snaxw-sqfez"
    assert len(phrase.replace("-", "")) * 5 >= 100
    assert not set("ilou") & set(phrase)


def test_too_few_bytes_make_no_passphrase() -> None:
    with pytest.raises(WrongUseError, match="16 random bytes"):
        codes.passphrase(bytes(15))
