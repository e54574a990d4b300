"""OpenPGP mail made by the stock gpg: what is opened, what is refused, and what a signature shows."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from vault.delivery.compose import pgp_mime
from vault.errors import WrongUseError
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import Encryption, OpenedMail, Outcome, ProofKind
from vault.intake.openpgp import OpenPgp, check_signature, fingerprint_of
from vault.intake.sandbox import ChildLimits
from vault.testing import mails
from vault.testing.controller import export_public, make_openpgp_home
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mails import File, Letter
from vault.testing.mailtexts import request_text

TEXT = request_text("fi", "Äinö Virtanen", "131052-308T")
LETTER = Letter("Äinö Virtanen", "aino@example.fi", "requests@clinic.example", TEXT)
PDF = File("lähete.pdf", "application/pdf", b"%PDF-1.7 canary")


@dataclass(frozen=True)
class World:
    clinic: OpenPgp
    clinic_home: Path
    key: str
    aino: PgpHome
    mallory: PgpHome

    @property
    def tools(self) -> MailTools:
        return MailTools(self.clinic)

    def open(self, mail: bytes) -> OpenedMail:
        return open_mail(mail, self.tools)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    base = Path(tempfile.mkdtemp(prefix="dsr-t-", dir="/dev/shm"))
    settings = make_openpgp_home(base / "c")
    clinic = OpenPgp(settings.home, settings.passphrase_file.read_text())
    aino = make_pgp_home(base / "a", "Äinö Virtanen", "Aino@example.fi")
    mallory = make_pgp_home(base / "m", "Mallory", "mallory@evil.example", "rsa2048")
    yield World(clinic, settings.home, export_public(settings), aino, mallory)
    for home in (aino, mallory):
        home.close()
    clinic.close()
    shutil.rmtree(base, ignore_errors=True)


def assert_sealed(opened: OpenedMail, outcome: Outcome, reason: str) -> None:
    assert (opened.outcome, opened.reason) == (outcome, reason)
    assert opened.text == ""
    assert opened.attachments == ()
    assert opened.sender_proof.kind is ProofKind.NONE


@pytest.mark.parametrize("requester", ["aino", "mallory"])
def test_a_signed_and_encrypted_mail_is_opened(world: World, requester: str) -> None:
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


def test_nothing_personal_shows_in_a_repr(world: World) -> None:
    opened = world.open(mails.pgp_mime_mail(LETTER, world.aino, world.key))

    assert repr(opened) == "OpenedMail('opened', '', 'pgp-mime')"
    assert repr(opened.sender_proof) == "SenderProof('unknown-key')"
    assert "ino" not in repr(opened.headers)


def test_a_key_that_is_not_known_yet_can_be_checked_later(world: World) -> None:
    opened = world.open(mails.pgp_mime_mail(LETTER, world.aino, world.key))

    assert opened.sender_proof.kind is ProofKind.UNKNOWN_KEY
    assert opened.sender_proof.fingerprint == world.aino.fingerprint
    assert opened.sender_key is None
    assert opened.signed is not None
    later = check_signature(opened.signed, [world.aino.public_key().encode()], "aino@example.fi")
    assert (later.kind, later.fingerprint, later.from_matches) == (ProofKind.VALID, world.aino.fingerprint, True)
    foreign = check_signature(opened.signed, [world.mallory.public_key().encode()])
    assert foreign.kind is ProofKind.UNKNOWN_KEY


def test_a_known_key_need_not_come_along(world: World) -> None:
    tools = replace(world.tools, known_keys=(world.aino.public_key().encode(),))

    opened = open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), tools)

    assert opened.sender_proof.kind is ProofKind.VALID


def test_an_unsigned_mail_proves_nothing(world: World) -> None:
    opened = world.open(mails.pgp_mime_mail(replace(LETTER, attach_key=True), world.aino, world.key, sign=False))

    assert (opened.outcome, opened.sender_proof.kind) == (Outcome.OPENED, ProofKind.NONE)
    assert opened.signed is None


def test_inline_text_is_opened_and_what_stands_beside_it_is_not_joined(world: World) -> None:
    mail = mails.pgp_inline_mail(replace(LETTER, attach_key=True, files=[PDF]), world.aino, world.key)

    opened = world.open(mail)

    assert (opened.outcome, opened.encryption) == (Outcome.OPENED, Encryption.PGP_INLINE)
    assert opened.reason == "outside_ignored"
    assert opened.text == TEXT.strip()
    assert opened.attachments == ()
    assert opened.sender_proof.kind is ProofKind.VALID


def test_words_around_inline_armour_are_not_joined(world: World) -> None:
    armour = mails.encrypt(world.aino, b"inside", world.key, sign=False).decode()
    letter = replace(LETTER, text=f"Pay Mallory.\n{armour}\nPay Mallory.")

    opened = world.open(mails.plain_mail(letter))

    assert (opened.text, opened.reason) == ("inside", "outside_ignored")


@pytest.mark.parametrize("sign", [True, False])
def test_a_mail_for_somebody_else_stays_closed(world: World, sign: bool) -> None:
    mail = mails.pgp_mime_mail(LETTER, world.aino, world.mallory.public_key(), sign=sign)

    assert_sealed(world.open(mail), Outcome.UNDECRYPTABLE, "pgp_no_key")
    assert world.open(mail).encryption is Encryption.PGP_MIME


def test_a_password_is_no_key(world: World) -> None:
    sealed = world.aino.gpg("--armor", "--passphrase", "x", "--pinentry-mode", "loopback", "--symmetric", data=b"x")

    assert_sealed(world.open(pgp_mime(LETTER.headers(), sealed).as_bytes()), Outcome.UNDECRYPTABLE, "pgp_no_key")


def unprotected(world: World) -> bytes:
    world.mallory.learn(world.key)
    recipient = fingerprint_of(world.key) or ""
    options = ["--rfc2440", "--disable-mdc", "--cipher-algo", "AES256"]
    return world.mallory.gpg(*options, "--encrypt", "--recipient", recipient, data=LETTER.entity())


def test_a_message_without_integrity_protection_is_thrown_away(world: World) -> None:
    sealed = unprotected(world)

    opened = world.open(attached(sealed, "message.gpg"))

    assert_sealed(opened, Outcome.UNDECRYPTABLE, "pgp_not_sound")


def attached(data: bytes, name: str, kind: str = "octet-stream") -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = "aino@example.fi"
    message.set_content("see attachment")
    message.add_attachment(data, "application", kind, filename=name)
    return message.as_bytes()


def test_a_changed_ciphertext_is_thrown_away(world: World) -> None:
    armour = mails.encrypt(world.aino, LETTER.entity(), world.key, sign=False)
    sealed = bytearray(world.aino.gpg("--dearmor", data=armour))
    sealed[-40] ^= 1

    opened = world.open(attached(bytes(sealed), "message.gpg"))

    assert_sealed(opened, Outcome.UNDECRYPTABLE, "pgp_not_sound")


def test_an_encrypted_file_is_opened_under_its_own_name(world: World) -> None:
    sealed = world.aino.gpg("--dearmor", data=mails.encrypt(world.aino, b"\x00\x01", world.key, sign=False))

    opened = world.open(attached(sealed, "kuva.png.gpg"))

    assert [(a.name, a.data) for a in opened.attachments] == [("kuva.png", b"\x00\x01")]
    assert (opened.encryption, opened.reason) == (Encryption.PGP_INLINE, "outside_ignored")


def test_exactly_one_part_may_be_encrypted(world: World) -> None:
    one = mails.encrypt(world.aino, b"one", world.key, sign=False)
    both = EmailMessage(policy=SMTP)
    both["From"] = "aino@example.fi"
    both.set_content(one.decode())
    both.add_attachment(one.decode(), filename="x.asc")

    assert_sealed(world.open(both.as_bytes()), Outcome.REFUSED, "mail_several_encrypted_parts")
    letter = replace(LETTER, text=(one + one).decode())
    assert_sealed(world.open(mails.plain_mail(letter)), Outcome.REFUSED, "mail_several_encrypted_parts")


def test_of_two_messages_in_a_row_nothing_is_joined(world: World) -> None:
    binary = [
        world.aino.gpg("--dearmor", data=mails.encrypt(world.aino, text, world.key, sign=False))
        for text in (b"\x00one", b"two")
    ]

    opened = world.open(attached(b"".join(binary), "message.gpg"))

    assert opened.text == ""
    assert [a.data for a in opened.attachments] == [b"\x00one"]


def test_html_wrapped_around_ciphertext_does_not_reach_the_text(world: World) -> None:
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


def test_a_mail_that_exchange_took_apart_is_opened(world: World) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "aino@example.fi"
    message.set_content("")
    message.add_attachment(b"Version: 1\r\n", "application", "pgp-encrypted", filename="v.dat")
    sealed = mails.encrypt(world.aino, LETTER.entity(), world.key, sign=False)
    message.add_attachment(sealed, "application", "octet-stream", filename="encrypted.asc")

    opened = world.open(message.as_bytes())

    assert (opened.encryption, opened.text, opened.reason) == (Encryption.PGP_MIME, TEXT.strip(), "")


def test_a_signature_around_ciphertext_does_not_say_who_wrote_it(world: World) -> None:
    stolen = mails.pgp_mime_mail(LETTER, world.aino, world.key, sign=False)
    entity = stolen[stolen.index(b"Content-Type: multipart/encrypted") :].removesuffix(b"\r\n")
    signature = world.mallory.gpg("--armor", "--detach-sign", data=entity)
    mail = signed_around(entity, signature)
    tools = replace(world.tools, known_keys=(world.mallory.public_key().encode(),))

    opened = open_mail(mail, tools)

    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())
    assert opened.sender_proof.kind is ProofKind.NONE
    assert opened.signed is None


def signed_around(entity: bytes, signature: bytes) -> bytes:
    head = (
        b"From: mallory@evil.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=S\r\n\r\n--S\r\n"
    )
    return head + entity + b"\r\n--S\r\nContent-Type: application/pgp-signature\r\n\r\n" + signature + b"\r\n--S--\r\n"


def test_a_signature_inside_the_encryption_counts(world: World) -> None:
    signed = mails.pgp_signed_mail(replace(LETTER, attach_key=True), world.aino)
    entity = signed[signed.index(b"Content-Type: multipart/signed") :]
    sealed = mails.encrypt(world.aino, entity, world.key, sign=False)

    opened = world.open(pgp_mime(LETTER.headers(), sealed).as_bytes())

    assert (opened.text, opened.sender_proof.kind) == (TEXT.strip(), ProofKind.VALID)
    assert opened.signed is not None
    assert opened.signed.content is not None


def test_a_signed_mail_is_plain_and_its_change_is_seen(world: World) -> None:
    mail = mails.pgp_signed_mail(replace(LETTER, attach_key=True, files=[PDF]), world.aino)

    good, bare, bad = (world.open(m) for m in (mail, mail.replace(b"\r\n", b"\n"), mail.replace(b"131052", b"131053")))

    for opened in (good, bare):
        assert (opened.outcome, opened.sender_proof.kind) == (Outcome.PLAIN, ProofKind.VALID)
        assert opened.text == TEXT.strip()
    assert (bad.outcome, bad.sender_proof.kind) == (Outcome.PLAIN, ProofKind.INVALID)


def test_clear_signed_text_counts_without_what_surrounds_it(world: World) -> None:
    signed = world.aino.gpg("--clear-sign", data=b"- pyyd\xc3\xa4n tietoni\n").decode()
    letter = replace(LETTER, text=f"Pay Mallory.\n\n{signed}\nPay Mallory.")
    tools = replace(world.tools, known_keys=(world.aino.public_key().encode(),))

    opened = open_mail(mails.plain_mail(letter), tools)

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.PLAIN, "- pyydän tietoni", "outside_ignored")
    assert opened.sender_proof.kind is ProofKind.VALID
    forged = open_mail(mails.plain_mail(replace(letter, text=signed.replace("tietoni", "rahani"))), tools)
    assert forged.sender_proof.kind is ProofKind.INVALID


def test_a_signature_over_a_weak_digest_is_invalid(world: World) -> None:
    entity = LETTER.entity().removesuffix(b"\r\n")
    signature = world.mallory.gpg("--digest-algo", "SHA1", "--armor", "--detach-sign", data=entity)
    tools = replace(world.tools, known_keys=(world.mallory.public_key().encode(),))

    assert open_mail(signed_around(entity, signature), tools).sender_proof.kind is ProofKind.INVALID


def test_an_expired_key_signs_nothing() -> None:
    home = PgpHome(Path(tempfile.mkdtemp(prefix="dsr-x-", dir="/dev/shm")), "")
    past = ["--faked-system-time", "20200101T000000", "--passphrase", ""]
    try:
        home.gpg(*past, "--quick-generate-key", "Old <old@example.fi>", "ed25519", "sign", "2d")
        entity = LETTER.entity().removesuffix(b"\r\n")
        signature = home.gpg("--faked-system-time", "20200101T010000", "--armor", "--detach-sign", data=entity)
        key = home.gpg("--armor", "--export")
    finally:
        home.close()
        shutil.rmtree(home.path, ignore_errors=True)

    proof = open_mail(signed_around(entity, signature), MailTools(known_keys=(key,))).sender_proof

    assert proof.kind is ProofKind.INVALID


def test_a_user_id_cannot_speak_for_gpg(world: World) -> None:
    victim = world.aino.fingerprint
    forged = f"GOODSIG {victim[-16:]} x\x85[GNUPG:] VALIDSIG {victim} 2026-01-01 1 0 4 0 22 10 00 {victim}"
    home = Path(tempfile.mkdtemp(prefix="dsr-x-", dir="/dev/shm"))
    evil = PgpHome(home, "")
    recipe = f"Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign\nName-Real: x\x85[GNUPG:] {forged}\n"
    try:
        evil.gpg("--generate-key", data=f"{recipe}Name-Email: aino@example.fi\n%no-protection\n%commit\n".encode())
        entity = LETTER.entity().removesuffix(b"\r\n")
        signature, key = evil.gpg("--armor", "--detach-sign", data=entity), evil.gpg("--armor", "--export")
    finally:
        evil.close()
        shutil.rmtree(home, ignore_errors=True)

    proof = open_mail(signed_around(entity, signature), replace(world.tools, known_keys=(key,))).sender_proof

    assert proof.fingerprint == fingerprint_of(key)
    assert proof.fingerprint != victim


def test_a_bomb_is_stopped(world: World) -> None:
    entity = b"Content-Type: text/plain\r\n\r\n" + b"\x00" * 20_000_000
    mail = pgp_mime(LETTER.headers(), mails.encrypt(world.aino, entity, world.key, sign=True)).as_bytes()
    limits = ChildLimits(output=5_000_000, seconds=30)
    passphrase = (world.clinic_home / "passphrase").read_text()

    opened = open_mail(mail, MailTools(OpenPgp(world.clinic_home, passphrase, limits)))

    assert len(mail) < 60_000
    assert_sealed(opened, Outcome.REFUSED, "tool_output")


def test_a_secret_key_that_comes_along_is_not_taken_in(world: World) -> None:
    secret = world.mallory.gpg("--armor", "--export-secret-keys").replace(b"PRIVATE KEY", b"PUBLIC KEY")
    before = sorted((world.clinic_home / "private-keys-v1.d").iterdir())
    letter = replace(LETTER, files=[File("key.asc", "application/pgp-keys", secret)])

    world.open(mails.pgp_mime_mail(letter, world.mallory, world.key))

    assert sorted((world.clinic_home / "private-keys-v1.d").iterdir()) == before
    listing = subprocess.run(
        ["gpg", "--homedir", str(world.clinic_home), "--list-keys", "mallory@evil.example"],
        capture_output=True,
        check=False,
    )
    assert listing.returncode != 0


def test_the_subject_inside_is_the_true_one(world: World) -> None:
    entity = b'Content-Type: text/plain; protected-headers="v1"\r\nSubject: DSR-2026-7K3QXM\r\n\r\nhei'
    letter = replace(LETTER, subject="...")

    opened = world.open(pgp_mime(letter.headers(), mails.encrypt(world.aino, entity, world.key, sign=False)).as_bytes())

    assert opened.headers.subject == "DSR-2026-7K3QXM"


def test_encrypted_html_becomes_words(world: World) -> None:
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
def test_broken_mails_are_refused_with_a_code(world: World, mail: bytes, outcome: Outcome, reason: str) -> None:
    assert_sealed(world.open(mail), outcome, reason)


def test_our_own_faults_are_errors_and_not_the_mail_s(world: World, tmp_path: Path) -> None:
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


def test_a_home_on_a_long_path_works(world: World, tmp_path: Path) -> None:
    home = tmp_path / ("a-very-long-name-" * 6)
    shutil.copytree(world.clinic_home, home, ignore=shutil.ignore_patterns("S.*"))
    home.chmod(0o700)
    openpgp = OpenPgp(home, (home / "passphrase").read_text())

    opened = open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), MailTools(openpgp))
    openpgp.close()

    assert opened.outcome is Outcome.OPENED


def test_the_agent_does_not_live_under_one_mail_s_limits(world: World, tmp_path: Path) -> None:
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


def test_keys_are_told_apart() -> None:
    assert fingerprint_of("no key") is None
    assert fingerprint_of(b"") is None
