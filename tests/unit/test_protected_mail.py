"""The protected payload: every header inside, nothing but the way outside, and containers that others can read."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.delivery.protected import outer_headers, protected_payload, smime_enveloped, smime_signed

WAYS = ("From", "To", "Reply-To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted")


def plain(
    subject: str = "Case DSR-2026-7K3QXM", text: str = "Hyvä vastaanottaja\r\n", *, file: bytes = b""
) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    for name in WAYS:
        message[name] = {"Date": "Sun, 22 Nov 2026 09:00:00 +0000", "Auto-Submitted": "auto-replied"}.get(
            name, "a@b.example" if name in WAYS[:3] else "<1@b.example>"
        )
    message.replace_header("From", '"Päijänteen Terapia, Oy" <a@b.example>')
    message["Subject"] = subject
    message.set_content(text, cte="quoted-printable")
    if file:
        message.add_attachment(file, "application", "pgp-keys", filename="key.asc")
    return message


def read(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=policy.default)


@pytest.mark.parametrize("file", [b"", bytes(range(256))], ids=["text", "with a file"])
def test_the_payload_says_what_the_mail_says(file: bytes) -> None:
    message = plain(file=file)
    inner = read(protected_payload(message))
    assert {name: inner[name] for name in (*WAYS, "Subject")} == {name: message[name] for name in (*WAYS, "Subject")}
    body, wanted = inner.get_body(("plain",)), message.get_body(("plain",))
    assert body is not None
    assert wanted is not None
    assert body.get_content().split() == wanted.get_content().split() != []
    assert [part.get_content() for part in inner.iter_attachments()] == ([file] if file else [])
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner.get_content_type() == message.get_content_type()


def test_each_outer_field_is_repeated_and_the_subject_is_not() -> None:
    message = plain()
    outer, inner = outer_headers(message), read(protected_payload(message))
    repeated = [str(value) for value in inner.get_all("HP-Outer", [])]
    assert [line.partition(":")[0] for line in repeated] == list(outer.keys())
    assert "Subject: [...]" in repeated
    assert outer["Subject"] == "[...]"
    assert not any("7K3QXM" in line for line in repeated)
    assert str(outer["From"]) == str(message["From"])


def test_what_stands_around_the_ciphertext_has_no_content() -> None:
    outer = outer_headers(plain(file=b"x"))
    assert [name for name in outer if name.lower().startswith("content-")] == []
    assert b"Hyv" not in outer.as_bytes()


@given(
    subject=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=200),
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=500),
)
def test_no_subject_and_no_text_breaks_out(subject: str, text: str) -> None:
    payload = protected_payload(plain(subject, f"{text}\n"))
    inner = read(payload)
    assert inner["Subject"] == subject
    assert inner.get_content().rstrip("\r\n") == text.rstrip("\r\n")
    assert payload.isascii()
    assert payload.count(b"\n") == payload.count(b"\r\n")


def test_a_signed_entity_holds_the_exact_bytes() -> None:
    entity = protected_payload(plain())
    signed = smime_signed(entity, b"\x30\x00signature")
    assert signed.count(entity) == 1
    parts = list(read(signed).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "application/pkcs7-signature"]
    assert parts[1].get_content() == b"\x30\x00signature"
    assert read(signed)["Content-Type"].params["micalg"] == "sha-256"


def test_an_enveloped_mail_is_named_as_rfc_8551_says() -> None:
    message = read(smime_enveloped(outer_headers(plain()), bytes(300)).as_bytes())
    assert message.get_content_type() == "application/pkcs7-mime"
    assert message["Content-Type"].params["smime-type"] == "enveloped-data"
    assert (message.get_filename(), message.get_content()) == ("smime.p7m", bytes(300))
    assert message["Subject"] == "[...]"
