"""The digest of a mail's body is that of the plain rule, however large the mail and wherever its pieces end."""

from collections.abc import Iterator
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from vault.steps.mail_identity import body_digest, digest_of_body

_BITS = st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"a", b"\r\n\r\n", b"\n\n", b"\t", b"bc", b"\0"])


def plainly(data: bytes) -> bytes:
    return sha256(data.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()).digest()


@given(bits=st.lists(_BITS, max_size=40), piece=st.integers(1, 9))
def test_the_digest_is_the_plain_rule_s(bits: list[bytes], piece: int) -> None:
    data = b"".join(bits)

    def message() -> Iterator[bytes]:
        return (data[at : at + piece] for at in range(0, len(data), piece))

    assert digest_of_body(message) == body_digest(data) == plainly(data)


def test_a_large_body_of_blanks_is_none() -> None:
    assert body_digest(b"A: b\r\n\r\n" + b" " * 300_000) == sha256().digest()


def test_a_large_body_counts_to_its_end() -> None:
    data = b"A: b\r\n\r\n" + b"word\r\n" * 50_000 + b"end\r\n\r\n"

    assert body_digest(data) == plainly(data) != body_digest(data.replace(b"end", b"and"))
