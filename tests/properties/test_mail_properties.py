"""Any bytes may arrive as mail: each gives an outcome, quickly, and never an exception."""

import json
from email.message import EmailMessage
from email.policy import SMTP

from hypothesis import given, settings
from hypothesis import strategies as st

from vault.domain.request import Request
from vault.errors import UnreadableError
from vault.intake.contents import public_keys, read_contents
from vault.intake.headers import decode_text, decode_words, file_name, mailbox, parameters
from vault.intake.mail import MailTools, open_mail
from vault.intake.mailheaders import read_headers
from vault.intake.mime import MimeLimits, parse
from vault.intake.opened import Outcome
from vault.intake.understand import understand

LIMITS = MimeLimits(size=200_000, parts=30, depth=5, headers=20_000)
WORDS = st.sampled_from(
    [
        *(b"From: a@b.example", b"Subject: =?utf-8?Q?=E4?=", b"Content-Type: multipart/mixed; boundary=X"),
        *(b'Content-Type: multipart/alternative; boundary="Y"', b"Content-Type: multipart/signed; boundary=X"),
        *(b"Content-Type: multipart/encrypted; boundary=X", b"Content-Type: application/pkcs7-mime", b"--X", b"--X--"),
        *(b"--Y", b"--Y--", b"Content-Type: text/html", b"Content-Transfer-Encoding: base64", b"<p>hei</p>", b"MIAG"),
        *(b"Content-Type: application/pgp-encrypted", b"Content-Type: text/plain; charset=utf-16", b"", b"", b" fold"),
        *(b"Content-Disposition: attachment; filename*0*=a'b'c; filename*=d", b"-----BEGIN PGP MESSAGE-----"),
        *(b"-----END PGP MESSAGE-----", b"-----BEGIN PGP SIGNED MESSAGE-----", b"\x00\xff\xfe", b"=?=?=?", b"w6TDtg=="),
        *(b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----", b"Date: 99"),
    ]
)
MAILISH = st.lists(st.one_of(WORDS, st.binary(max_size=20)), max_size=40).map(b"\r\n".join)


def read_all(data: bytes) -> None:
    """Read everything that needs no program."""
    try:
        root = parse(data, LIMITS)
    except UnreadableError:
        return
    assert root.raw == data[root.start :]
    for part in root.walk():
        assert part.source[part.start : part.stop] == part.raw
        assert all(part.start <= child.start <= child.stop <= part.stop for child in part.parts)
        part.text.encode("utf-8", "surrogatepass")
        part.name.encode("utf-8")
    read_headers(root).subject.encode("utf-8")
    public_keys(root)


@given(st.binary(max_size=2000))
@settings(deadline=None)  # the machine may be busy
def test_random_bytes_are_walked(data: bytes) -> None:
    read_all(data)


@given(MAILISH)
@settings(max_examples=300, deadline=None)
def test_mail_like_bytes_are_walked(data: bytes) -> None:
    read_all(b"From: a@b.example\r\n" + data)


@given(st.data())
@settings(deadline=None)  # the machine may be busy
def test_a_mutated_mail_is_walked(data: st.DataObject) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"] = "Aino <a@b.example>", "Tietopyyntö ä"
    message.set_content("Hei,\npyydän tietoni.\n")
    message.add_attachment(b"%PDF-1.7", "application", "pdf", filename="äiti.pdf")
    raw = bytearray(message.as_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    read_all(bytes(raw))


@given(MAILISH)
@settings(max_examples=25, deadline=None)  # each example may run gpg and openssl
def test_opening_gives_an_outcome_whatever_comes(data: bytes) -> None:
    opened = open_mail(b"From: a@b.example\r\n" + data, MailTools(limits=LIMITS))

    assert opened.reason != "mail_reader_failed"
    assert opened.outcome in Outcome
    assert (opened.outcome in {Outcome.PLAIN, Outcome.OPENED}) or opened.reason
    json.dumps(opened.to_json()).encode()


@given(st.text(max_size=60), st.binary(max_size=200))
@settings(deadline=None)  # the machine may be busy
def test_what_was_composed_is_read_back(text: str, data: bytes) -> None:
    plain = "".join(c for c in text if c.isalnum() or c == " ")
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"] = "a@b.example", plain
    message.set_content(plain or "x")
    message.add_attachment(data, "application", "octet-stream", filename="a.bin")

    contents = read_contents(parse(message.as_bytes()))

    assert contents.text.split() == (plain or "x").split()
    assert [a.data for a in contents.attachments] == [data]


@given(st.text(max_size=200))
@settings(deadline=None)  # the machine may be busy
def test_header_values_never_fail(value: str) -> None:
    parameters(value)
    decode_words(value).encode("utf-8")
    assert "/" not in file_name(value)
    address = mailbox(value)
    assert address is None or (address.isascii() and address.count("@") == 1)


@given(st.binary(max_size=200), st.text(max_size=20))
@settings(deadline=None)  # the machine may be busy
def test_decoding_never_fails(data: bytes, charset: str) -> None:
    decode_text(data, charset)


@given(st.text(max_size=400), st.text(max_size=60))
@settings(deadline=None)
def test_understanding_never_fails(text: str, subject: str) -> None:
    request = understand(text, subject=subject)

    assert Request.from_json(request.to_json()) == request
