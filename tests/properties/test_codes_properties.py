"""What is spelled is read back, however it is typed."""

from hypothesis import given
from hypothesis import strategies as st

from vault.domain import codes


@given(st.binary(min_size=7, max_size=32))
def test_a_rendered_code_is_its_own_canonical_form(raw: bytes) -> None:
    code = codes.render_code(raw)
    assert codes.normalise_code(code) == code
    assert codes.normalise_code(code.lower().replace("-", " ")) == code


@given(st.text(max_size=30))
def test_reading_never_fails_and_is_idempotent(typed: str) -> None:
    code = codes.normalise_code(typed)
    if code is not None:
        assert codes.normalise_code(code) == code
        assert len(code) == 11


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_passphrases_differ_where_their_first_125_bits_do(one: bytes, two: bytes) -> None:
    same = int.from_bytes(one, "big") >> 3 == int.from_bytes(two, "big") >> 3
    assert (codes.passphrase(one) == codes.passphrase(two)) is same
