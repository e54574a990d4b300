"""OpenPGP mail made by the stock gpg: what is opened, what is refused, and what is never joined."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from vault.delivery.protected import pgp_mime
from vault.errors import WrongUseError
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import Encryption, OpenedMail, Outcome, ProofKind
from vault.intake.openpgp import OpenPgp, fingerprint_of
from vault.intake.sandbox import ChildLimits
from vault.testing import mails
from vault.testing.mailkeys import PgpHome
from vault.testing.mails import File
from vault.testing.mailworld import LETTER, TEXT, MailWorld, mail_world

PDF = File("lähete.pdf", "application/pdf", b"%PDF-1.7 canary")


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    with mail_world() as made:
        yield made


def assert_sealed(opened: OpenedMail, outcome: Outcome, reason: str) -> None:
    assert (opened.outcome, opened.reason) == (outcome, reason)
    assert opened.text == ""
    assert opened.attachments == ()
    assert opened.sender_proof.kind is ProofKind.NONE


@pytest.mark.parametrize("requester", ["aino", "mallory"])
def test_a_signed_and_encrypted_mail_is_opened(world: MailWorld, requester: str) -> None:
    home: PgpHome = getattr(world, requester)
    letter = replace(LETTER, files=[PDF], attach_key=True, message_id="<1@example.fi>", answers="<0@clinic.example>")

    opened = world.open(mails.pgp_mime_mail(letter, home, world.key))

    assert (opened.outcome, opened.reason, opened.encryption) == (Outcome.OPENED, "", Encryption.PGP_MIME)
    assert opened.text == TEXT.strip()
    assert next((a.name, a.type, a.data) for a in opened.attachments) == ("lähete.pdf", "application/pdf", PDF.data)
    assert opened.sender_proof.kind is ProofKind.VALID
    assert opened.sender_proof.fingerprint == home.fingerprint
    assert opened.sender_proof.from_matches is (requester == "aino")
    assert fingerprint_of(opened.sender_key or "") == home.fingerprint
    headers = opened.headers
    assert (headers.from_address, headers.message_id) == ("aino@example.fi", "<1@example.fi>")
    assert headers.references == ("<0@clinic.example>",)
    assert not headers.auto


def test_nothing_personal_shows_in_a_repr(world: MailWorld) -> None:
    opened = world.open(mails.pgp_mime_mail(LETTER, world.aino, world.key))

    assert repr(opened) == "OpenedMail(outcome='opened', reason='', encryption='pgp-mime')"
    assert repr(opened.sender_proof) == "SenderProof(kind='unknown-key')"
    assert "ino" not in repr(opened.headers)


def test_inline_text_is_opened_and_what_stands_beside_it_is_not_joined(world: MailWorld) -> None:
    mail = mails.pgp_inline_mail(replace(LETTER, attach_key=True, files=[PDF]), world.aino, world.key)

    opened = world.open(mail)

    assert (opened.outcome, opened.encryption) == (Outcome.OPENED, Encryption.PGP_INLINE)
    assert opened.reason == "outside_ignored"
    assert opened.text == TEXT.strip()
    assert opened.attachments == ()
    assert opened.sender_proof.kind is ProofKind.VALID


def test_words_around_inline_armour_are_not_joined(world: MailWorld) -> None:
    armour = mails.encrypt(world.aino, b"inside", world.key, sign=False).decode()
    letter = replace(LETTER, text=f"Pay Mallory.\n{armour}\nPay Mallory.")

    opened = world.open(mails.plain_mail(letter))

    assert (opened.text, opened.reason) == ("inside", "outside_ignored")


@pytest.mark.parametrize("sign", [True, False])
def test_a_mail_for_somebody_else_stays_closed(world: MailWorld, sign: bool) -> None:
    mail = mails.pgp_mime_mail(LETTER, world.aino, world.mallory.public_key(), sign=sign)

    assert_sealed(world.open(mail), Outcome.UNDECRYPTABLE, "pgp_no_key")
    assert world.open(mail).encryption is Encryption.PGP_MIME


def test_a_password_is_no_key(world: MailWorld) -> None:
    sealed = world.aino.gpg("--armor", "--passphrase", "x", "--pinentry-mode", "loopback", "--symmetric", data=b"x")

    opened = world.open(pgp_mime(LETTER.headers(), sealed).as_bytes())
    assert_sealed(opened, Outcome.UNDECRYPTABLE, "pgp_password_only")


def unprotected(world: MailWorld) -> bytes:
    world.mallory.learn(world.key)
    recipient = fingerprint_of(world.key) or ""
    options = ["--rfc2440", "--disable-mdc", "--cipher-algo", "AES256"]
    return world.mallory.gpg(*options, "--encrypt", "--recipient", recipient, data=LETTER.entity())


def test_a_message_without_integrity_protection_is_thrown_away(world: MailWorld) -> None:
    sealed = unprotected(world)

    assert_sealed(world.open(attached(sealed, "message.gpg")), Outcome.UNDECRYPTABLE, "pgp_unprotected")


def attached(data: bytes, name: str, kind: str = "octet-stream") -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = "aino@example.fi"
    message.set_content("see attachment")
    message.add_attachment(data, "application", kind, filename=name)
    return message.as_bytes()


def test_a_changed_ciphertext_is_thrown_away(world: MailWorld) -> None:
    armour = mails.encrypt(world.aino, LETTER.entity(), world.key, sign=False)
    sealed = bytearray(world.aino.gpg("--dearmor", data=armour))
    sealed[-40] ^= 1

    opened = world.open(attached(bytes(sealed), "message.gpg"))

    assert_sealed(opened, Outcome.UNDECRYPTABLE, "pgp_not_sound")


def test_an_encrypted_file_is_opened_under_its_own_name(world: MailWorld) -> None:
    sealed = world.aino.gpg("--dearmor", data=mails.encrypt(world.aino, b"\x00\x01", world.key, sign=False))

    opened = world.open(attached(sealed, "kuva.png.gpg"))

    assert [(a.name, a.data) for a in opened.attachments] == [("kuva.png", b"\x00\x01")]
    assert (opened.encryption, opened.reason) == (Encryption.PGP_INLINE, "outside_ignored")


def test_exactly_one_part_may_be_encrypted(world: MailWorld) -> None:
    one = mails.encrypt(world.aino, b"one", world.key, sign=False)
    both = EmailMessage(policy=SMTP)
    both["From"] = "aino@example.fi"
    both.set_content(one.decode())
    both.add_attachment(one.decode(), filename="x.asc")

    assert_sealed(world.open(both.as_bytes()), Outcome.REFUSED, "mail_several_encrypted_parts")
    letter = replace(LETTER, text=(one + one).decode())
    assert_sealed(world.open(mails.plain_mail(letter)), Outcome.REFUSED, "mail_several_encrypted_parts")


def test_of_two_messages_in_a_row_nothing_is_joined(world: MailWorld) -> None:
    binary = [
        world.aino.gpg("--dearmor", data=mails.encrypt(world.aino, text, world.key, sign=False))
        for text in (b"\x00one", b"two")
    ]

    opened = world.open(attached(b"".join(binary), "message.gpg"))

    assert opened.text == ""
    assert [a.data for a in opened.attachments] == [b"\x00one"]


def test_html_wrapped_around_ciphertext_does_not_reach_the_text(world: MailWorld) -> None:
    inner = mails.pgp_mime_mail(LETTER, world.aino, world.key)
    entity = inner[inner.index(b"Content-Type: multipart/encrypted") :]
    html = b'Content-Type: text/html\r\n\r\n<img src="http://evil.example/'
    mail = (
        b"From: aino@example.fi\r\nContent-Type: multipart/mixed; boundary=Z\r\n\r\n--Z\r\n"
        + html
        + b"\r\n--Z\r\n"
        + entity
        + b'\r\n--Z\r\nContent-Type: text/html\r\n\r\n"> Pay Mallory\r\n--Z--\r\n'
    )

    opened = world.open(mail)

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.OPENED, TEXT.strip(), "outside_ignored")


def test_a_mail_that_exchange_took_apart_is_opened(world: MailWorld) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "aino@example.fi"
    message.set_content("")
    message.add_attachment(b"Version: 1\r\n", "application", "pgp-encrypted", filename="v.dat")
    sealed = mails.encrypt(world.aino, LETTER.entity(), world.key, sign=False)
    message.add_attachment(sealed, "application", "octet-stream", filename="encrypted.asc")

    opened = world.open(message.as_bytes())

    assert (opened.encryption, opened.text, opened.reason) == (Encryption.PGP_MIME, TEXT.strip(), "")


def test_a_bomb_is_stopped(world: MailWorld) -> None:
    entity = b"Content-Type: text/plain\r\n\r\n" + b"\x00" * 20_000_000
    mail = pgp_mime(LETTER.headers(), mails.encrypt(world.aino, entity, world.key, sign=True)).as_bytes()
    limits = ChildLimits(output=5_000_000, seconds=30)
    passphrase = (world.clinic_home / "passphrase").read_text()

    opened = open_mail(mail, MailTools(OpenPgp(world.clinic_home, passphrase, limits)))

    assert len(mail) < 60_000
    assert_sealed(opened, Outcome.REFUSED, "tool_output")


def test_the_subject_inside_is_the_true_one(world: MailWorld) -> None:
    entity = b'Content-Type: text/plain; protected-headers="v1"\r\nSubject: DSR-2026-7K3QXM\r\n\r\nhei'
    letter = replace(LETTER, subject="...")

    opened = world.open(pgp_mime(letter.headers(), mails.encrypt(world.aino, entity, world.key, sign=False)).as_bytes())

    assert opened.headers.subject == "DSR-2026-7K3QXM"


def test_encrypted_html_becomes_words(world: MailWorld) -> None:
    html = (
        b"<html><head><title>t</title><style>p{}</style></head><body><p>Hei,<br>tiedot</p><script>x()</script></body>"
    )
    entity = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html

    opened = world.open(pgp_mime(LETTER.headers(), mails.encrypt(world.aino, entity, world.key, sign=False)).as_bytes())

    assert opened.text == "Hei,\ntiedot"


@pytest.mark.parametrize(
    ("mail", "outcome", "reason"),
    [
        (
            b"From: a@b.example\r\nContent-Type: multipart/encrypted; boundary=X\r\n\r\n--X\r\n\r\nx\r\n--X--\r\n",
            Outcome.REFUSED,
            "mail_encryption_malformed",
        ),
        (
            b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<pre>\n-----BEGIN PGP MESSAGE-----\n</pre>",
            Outcome.REFUSED,
            "mail_encrypted_html",
        ),
        (
            b"From: a@b.example\r\n\r\n-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n",
            Outcome.UNDECRYPTABLE,
            "pgp_malformed",
        ),
        (
            b"From: a@b.example\r\nContent-Type: multipart/signed; boundary=X\r\n\r\n--X\r\n\r\nx\r\n--X--\r\n",
            Outcome.REFUSED,
            "mail_signature_malformed",
        ),
        (b"", Outcome.REFUSED, "mail_empty"),
        (b"\x00\x01\x02", Outcome.REFUSED, "mail_not_a_mail"),
    ],
)
def test_broken_mails_are_refused_with_a_code(world: MailWorld, mail: bytes, outcome: Outcome, reason: str) -> None:
    assert_sealed(world.open(mail), outcome, reason)


def test_our_own_faults_are_errors_and_not_the_mail_s(world: MailWorld, tmp_path: Path) -> None:
    mail = mails.pgp_mime_mail(LETTER, world.aino, world.key)
    home = tmp_path / "copy"  # another agent: the first remembers the passphrase
    shutil.copytree(world.clinic_home, home, ignore=shutil.ignore_patterns("S.*"))
    wrong = OpenPgp(home, "wrong passphrase")

    with pytest.raises(WrongUseError, match="openpgp_passphrase"):
        open_mail(mail, MailTools(wrong))
    wrong.close()
    with pytest.raises(WrongUseError, match="openpgp_home_missing"):
        OpenPgp(tmp_path / "absent")
    assert_sealed(open_mail(mail, MailTools()), Outcome.UNDECRYPTABLE, "key_not_configured")


def test_a_home_on_a_long_path_works(world: MailWorld, tmp_path: Path) -> None:
    home = tmp_path / ("a-very-long-name-" * 6)
    shutil.copytree(world.clinic_home, home, ignore=shutil.ignore_patterns("S.*"))
    home.chmod(0o700)
    openpgp = OpenPgp(home, (home / "passphrase").read_text())

    opened = open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), MailTools(openpgp))
    openpgp.close()

    assert opened.outcome is Outcome.OPENED


def test_the_agent_does_not_live_under_one_mail_s_limits(world: MailWorld, tmp_path: Path) -> None:
    home = tmp_path / "copy"
    shutil.copytree(world.clinic_home, home, ignore=shutil.ignore_patterns("S.*"))
    openpgp = OpenPgp(home, (home / "passphrase").read_text())

    open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), MailTools(openpgp))
    asks = ["gpg-connect-agent", "--homedir", str(home), "--no-autostart", "GETINFO pid", "/bye"]
    process = Path("/proc", subprocess.run(asks, capture_output=True, text=True, check=True).stdout.split()[1])
    limits, network = (process / "limits").read_text(), (process / "ns" / "net").readlink()
    openpgp.close()

    assert "unlimited" in next(line for line in limits.splitlines() if line.startswith("Max cpu time"))
    assert network == Path("/proc/self/ns/net").readlink()
