"""Mail as programs and servers bend it: Exchange, list servers, old plug-ins, careless copying."""

import quopri
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import Encryption, OpenedMail, Outcome, ProofKind
from vault.intake.smime import Smime
from vault.intake.smimekey import load_key
from vault.testing import mails
from vault.testing.mailkeys import make_smime_identity
from vault.testing.mailworld import LETTER, TEXT, MailWorld, mail_world

HEAD = b"From: aino@example.fi\r\nMIME-Version: 1.0\r\n"
FOOTER = b"Content-Type: text/plain\r\n\r\nThis mail is confidential."


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    with mail_world() as made:
        yield made


@pytest.fixture(scope="module")
def sealed(world: MailWorld) -> bytes:
    return mails.encrypt(world.aino, LETTER.entity(), world.key, sign=True)


@pytest.fixture(scope="module")
def inline(world: MailWorld) -> bytes:
    return mails.encrypt(world.aino, TEXT.encode(), world.key, sign=False)


def mixed(*parts: bytes, kind: bytes = b"multipart/mixed") -> bytes:
    body = b"".join(b"\r\n--Z\r\n" + part for part in parts)
    return HEAD + b"Content-Type: " + kind + b"; boundary=Z\r\n" + body + b"\r\n--Z--\r\n"


def part(kind: str, content: bytes, name: str = "") -> bytes:
    disposition = f'Content-Disposition: attachment; filename="{name}"\r\n' if name else ""
    return f"Content-Type: {kind}\r\n{disposition}\r\n".encode() + content


EMPTY, VERSION = part("text/plain", b"\r\n \r\n"), b"Version: 1\r\n"
# What servers were seen to make of multipart/encrypted; each is made from the ciphertext.
SERVERS: dict[str, Callable[[bytes], bytes]] = {
    "Exchange 2007": lambda c: mixed(
        EMPTY, part("application/pgp-encrypted", VERSION), part("application/octet-stream", c, "encrypted.asc")
    ),
    "Exchange with names": lambda c: mixed(
        EMPTY,
        part("application/pgp-encrypted", VERSION, "PGPMIME version identification"),
        part("application/octet-stream", c, "encrypted.asc"),
    ),
    "Exchange without types": lambda c: mixed(
        EMPTY, part("application/octet-stream", VERSION, "v.dat"), part("application/octet-stream", c, "encrypted.asc")
    ),
    "without the empty text": lambda c: mixed(
        part("application/pgp-encrypted", VERSION), part("application/octet-stream", c, "encrypted.asc")
    ),
    "the text at the end": lambda c: mixed(
        part("application/pgp-encrypted", VERSION), part("application/octet-stream", c, "msg.asc"), EMPTY
    ),
    "the ciphertext as text": lambda c: mixed(
        EMPTY, part("application/pgp-encrypted", VERSION), part("text/plain", c, "encrypted.asc")
    ),
    "one type for both": lambda c: mixed(
        part("application/pgp-encrypted", VERSION), part("application/pgp-encrypted", c, "encrypted.asc")
    ),
    "the control part lost": lambda c: mixed(EMPTY, part("application/octet-stream", c, "encrypted.asc")),
    "the ciphertext alone": lambda c: HEAD + part("application/octet-stream", c, "encrypted.asc"),
    "the control part's type": lambda c: mixed(
        part("application/octet-stream", VERSION), part("application/octet-stream", c), kind=b"multipart/encrypted"
    ),
    "the type's case": lambda c: mixed(
        part("Application/PGP-Encrypted", VERSION), part("Application/Octet-Stream", c), kind=b"Multipart/Encrypted"
    ),
}


@pytest.mark.parametrize("server", list(SERVERS))
def test_what_servers_took_apart_is_opened(world: MailWorld, sealed: bytes, server: str) -> None:
    opened = world.open(SERVERS[server](sealed))

    assert (opened.outcome, opened.reason) == (Outcome.OPENED, "")
    assert opened.text == TEXT.strip()
    assert opened.attachments == ()
    assert opened.sender_proof.kind is ProofKind.UNKNOWN_KEY


def test_what_a_server_adds_is_not_joined(world: MailWorld, sealed: bytes) -> None:
    encrypted = SERVERS["the type's case"](sealed).removeprefix(HEAD).replace(b"--Z", b"--Y").replace(b"=Z", b"=Y")
    mail = mixed(encrypted, FOOTER)

    opened = world.open(mail)

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.OPENED, TEXT.strip(), "outside_ignored")


def test_words_beside_an_exchange_mail_are_not_dropped_in_silence(world: MailWorld, sealed: bytes) -> None:
    mail = mixed(
        FOOTER, part("application/pgp-encrypted", VERSION), part("application/octet-stream", sealed, "encrypted.asc")
    )

    opened = world.open(mail)

    assert (opened.text, opened.reason) == (TEXT.strip(), "outside_ignored")


LOOSE: dict[str, Callable[[bytes], bytes]] = {
    "indented": lambda c: b"    " + c.replace(b"\n", b"\n    "),
    "no empty line": lambda c: c.replace(b"\n\n", b"\n", 1),
    "charset and no empty line": lambda c: c.replace(b"\n\n", b"\nCharset: utf-8\nVersion: X\n", 1),
    "double-spaced": lambda c: c.replace(b"\n", b"\r\n\r\n"),
    "no-break spaces": lambda c: c.replace(b"\n", b"\xc2\xa0\n"),
    "one line": lambda c: (
        c[:28] + b"\n" + b"".join(c[28:].split(b"\n-----END")[0].split()) + b"\n-----END PGP MESSAGE-----"
    ),
    "checksum lost": lambda c: c.replace(c.rpartition(b"\n=")[2][:4], b"zzzz"),
}


@pytest.mark.parametrize("how", list(LOOSE))
def test_loose_inline_armour_is_opened(world: MailWorld, inline: bytes, how: str) -> None:
    opened = world.open(HEAD + part("text/plain; charset=utf-8", LOOSE[how](inline)))

    assert (opened.outcome, opened.encryption, opened.reason) == (Outcome.OPENED, Encryption.PGP_INLINE, "")
    assert opened.text == TEXT.strip()


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "7bit"])
def test_inline_armour_in_any_transfer_encoding_is_opened(world: MailWorld, inline: bytes, encoding: str) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "aino@example.fi"
    message.set_content(inline.decode(), cte=encoding)

    assert world.open(message.as_bytes()).text == TEXT.strip()


def test_quoted_printable_whose_header_was_lost_is_opened(world: MailWorld, inline: bytes) -> None:
    body = quopri.encodestring(inline)
    assert body != inline

    assert world.open(HEAD + part("text/plain", body)).text == TEXT.strip()


@pytest.mark.parametrize("name", ["viesti.txt.asc", "viesti.txt.pgp", "viesti.txt.gpg", "VIESTI.TXT.PGP"])
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/pgp-encrypted", "application/pgp"])
def test_a_text_that_was_encrypted_as_a_file_is_read(world: MailWorld, inline: bytes, name: str, kind: str) -> None:
    for content in (inline, world.aino.gpg("--dearmor", data=inline)):
        if content is not inline and name.endswith(".asc"):
            continue
        message = EmailMessage(policy=SMTP)
        message["From"] = "aino@example.fi"
        message.set_content("")
        message.add_attachment(content, *kind.split("/"), filename=name)

        opened = world.open(message.as_bytes())

        assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())


@pytest.mark.parametrize("order", ["OpenPGP in S/MIME", "S/MIME in OpenPGP"])
def test_one_kind_of_encryption_within_the_other_is_opened(
    world: MailWorld, sealed: bytes, tmp_path: Path, order: str
) -> None:
    clinic = make_smime_identity(tmp_path, "Clinic", "requests@clinic.example")
    key = load_key(clinic.key.read_bytes() + clinic.certificate.read_bytes(), None)
    outer = ["openssl", "cms", "-encrypt", "-aes256", "-binary", "-outform", "SMIME", "-recip", str(clinic.certificate)]
    entity = SERVERS["the type's case"](sealed).removeprefix(HEAD) if order == "OpenPGP in S/MIME" else LETTER.entity()
    enveloped = subprocess.run(outer, input=entity, check=True, capture_output=True).stdout
    if order == "S/MIME in OpenPGP":
        enveloped = SERVERS["Exchange 2007"](mails.encrypt(world.aino, enveloped, world.key, sign=False))

    opened = open_mail(HEAD + enveloped.removeprefix(HEAD), replace(world.tools, smime=Smime([key])))

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.OPENED, TEXT.strip(), "")


def clear_signed(world: MailWorld) -> tuple[bytes, MailTools]:
    signed = world.aino.gpg("--clear-sign", data=b"- pyyd\xc3\xa4n tietoni\n")
    return signed, replace(world.tools, known_keys=(world.aino.public_key().encode(),))


def test_a_signature_that_covers_a_part_is_told_and_counts_for_nothing(world: MailWorld) -> None:
    signed, tools = clear_signed(world)
    beside = [
        mixed(part("text/plain; charset=utf-8", signed), part("application/pdf", b"%PDF", "a.pdf")),
        mixed(mails.pgp_signed_mail(LETTER, world.aino).partition(b"MIME-Version: 1.0\r\n")[2], FOOTER),
        mixed(part("text/plain", b"hei"), part("application/pkcs7-signature", b"x", "smime.p7s")),
    ]

    opened = [open_mail(mail, tools) for mail in beside]

    assert [(one.outcome, one.remarks) for one in opened] == [(Outcome.PLAIN, ("signature_partial",))] * 3
    assert [one.sender_proof.kind for one in opened] == [ProofKind.NONE] * 3
    assert [one.text for one in opened] == [
        "- pyydän tietoni",
        f"{TEXT.strip()}\n\nThis mail is confidential.",
        "hei",
    ]
    assert [a.name for a in opened[0].attachments] == ["a.pdf"]


def test_a_detached_signature_whose_type_was_changed_still_counts(world: MailWorld) -> None:
    mail = mails.pgp_signed_mail(replace(LETTER, attach_key=True), world.aino)
    bent = mail.replace(
        b"Content-Type: application/pgp-signature\r\n",
        b'Content-Type: application/octet-stream; name="signature.asc"\r\n',
    )
    assert bent != mail

    assert world.open(bent).sender_proof.kind is ProofKind.VALID


def test_ciphertext_in_ciphertext_is_opened_once(world: MailWorld, sealed: bytes) -> None:
    """What stands inside as armoured text may be somebody's stolen ciphertext: it stays closed."""
    again = mails.encrypt(world.aino, b"Content-Type: text/plain\r\n\r\n" + sealed, world.key, sign=False)

    opened: OpenedMail = world.open(SERVERS["Exchange 2007"](again))

    assert opened.outcome is Outcome.OPENED
    assert "-----BEGIN PGP MESSAGE-----" in opened.text
    assert "131052" not in opened.text
