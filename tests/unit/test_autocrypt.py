"""The Autocrypt header: one valid header that names the sender brings a key, anything else none."""

import base64

import pytest

from vault.intake.autocrypt import autocrypt_key
from vault.intake.mailheaders import read_headers
from vault.intake.mime import parse

KEY = bytes(range(256)) * 8
CODED = base64.b64encode(KEY).decode()
FOLDED = "\r\n ".join(CODED[at : at + 70] for at in range(0, len(CODED), 70))


def mail(*headers: str, kind: str = "text/plain") -> bytes:
    lines = ["From: Aino <Aino@Example.fi>", f"Content-Type: {kind}", *(f"Autocrypt: {value}" for value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\ntext").encode()


@pytest.mark.parametrize(
    "value",
    [
        f"addr=aino@example.fi; keydata={CODED}",
        f"addr=AINO@example.fi; prefer-encrypt=mutual; keydata=\r\n {FOLDED}",
        f"addr=aino@example.fi; _monkey=do; keydata={CODED}",
        f" addr = aino@example.fi ;prefer-encrypt=nopreference; keydata={CODED};",
    ],
    ids=["shortest", "folded", "unknown but not critical", "blanks"],
)
def test_a_valid_header_brings_the_key(value: str) -> None:
    assert read_headers(parse(mail(value))).autocrypt == KEY


@pytest.mark.parametrize(
    "value",
    [
        f"addr=mallory@evil.example; keydata={CODED}",
        f"keydata={CODED}",
        "addr=aino@example.fi",
        "addr=aino@example.fi; keydata=",
        "addr=aino@example.fi; keydata=%%%%",
        f"addr=aino@example.fi; monkey=do; keydata={CODED}",
        f"addr=aino@example.fi; addr=aino@example.fi; keydata={CODED}",
        f"addr=aino@example.fi; keydata={'A' * 200_000}",
        "",
    ],
    ids=["other", "nobody", "no key", "empty key", "no base64", "critical", "twice", "gigantic", "empty"],
)
def test_an_invalid_header_brings_none(value: str) -> None:
    assert read_headers(parse(mail(value))).autocrypt is None


def test_two_valid_headers_bring_none_and_an_invalid_one_beside_does_no_harm() -> None:
    good = f"addr=aino@example.fi; keydata={CODED}"
    assert read_headers(parse(mail(good, good))).autocrypt is None
    assert read_headers(parse(mail(good, f"addr=other@example.fi; keydata={CODED}"))).autocrypt == KEY


def test_a_report_and_a_mail_without_one_sender_bring_none() -> None:
    good = f"addr=aino@example.fi; keydata={CODED}"
    report = mail(good, kind='multipart/report; boundary="b"').replace(b"text", b"--b\r\n\r\nx\r\n--b--")
    assert read_headers(parse(report)).autocrypt is None
    assert read_headers(parse(b"From: b@example.fi\r\n" + mail(good))).autocrypt is None
    assert autocrypt_key(parse(mail(good)), None) is None
