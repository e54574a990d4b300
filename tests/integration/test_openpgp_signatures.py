"""What an OpenPGP signature shows, and what it never shows."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vault.delivery.protected import pgp_mime
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import Outcome, ProofKind
from vault.intake.openpgp import check_signature, fingerprint_of
from vault.testing import mails
from vault.testing.mailkeys import PgpHome
from vault.testing.mails import File
from vault.testing.mailworld import LETTER, TEXT, MailWorld, mail_world, short_directory

PDF = File("lähete.pdf", "application/pdf", b"%PDF-1.7 canary")


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    with mail_world() as made:
        yield made


def test_a_key_that_is_not_known_yet_can_be_checked_later(world: MailWorld) -> None:
    opened = world.open(mails.pgp_mime_mail(LETTER, world.aino, world.key))

    assert opened.sender_proof.kind is ProofKind.UNKNOWN_KEY
    assert opened.sender_proof.fingerprint == world.aino.fingerprint
    assert opened.sender_key is None
    assert opened.signed is not None
    later = check_signature(opened.signed, [world.aino.public_key().encode()], "aino@example.fi")
    assert (later.kind, later.fingerprint, later.from_matches) == (ProofKind.VALID, world.aino.fingerprint, True)
    foreign = check_signature(opened.signed, [world.mallory.public_key().encode()])
    assert foreign.kind is ProofKind.UNKNOWN_KEY


def test_a_known_key_need_not_come_along(world: MailWorld) -> None:
    tools = replace(world.tools, known_keys=(world.aino.public_key().encode(),))

    opened = open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), tools)

    assert opened.sender_proof.kind is ProofKind.VALID


def test_an_unsigned_mail_proves_nothing(world: MailWorld) -> None:
    opened = world.open(mails.pgp_mime_mail(replace(LETTER, attach_key=True), world.aino, world.key, sign=False))

    assert (opened.outcome, opened.sender_proof.kind) == (Outcome.OPENED, ProofKind.NONE)
    assert opened.signed is None


def test_a_signature_around_ciphertext_does_not_say_who_wrote_it(world: MailWorld) -> None:
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


def test_a_signature_inside_the_encryption_counts(world: MailWorld) -> None:
    signed = mails.pgp_signed_mail(replace(LETTER, attach_key=True), world.aino)
    entity = signed[signed.index(b"Content-Type: multipart/signed") :]
    sealed = mails.encrypt(world.aino, entity, world.key, sign=False)

    opened = world.open(pgp_mime(LETTER.headers(), sealed).as_bytes())

    assert (opened.text, opened.sender_proof.kind) == (TEXT.strip(), ProofKind.VALID)
    assert opened.signed is not None
    assert opened.signed.content is not None


def test_a_signed_mail_is_plain_and_its_change_is_seen(world: MailWorld) -> None:
    mail = mails.pgp_signed_mail(replace(LETTER, attach_key=True, files=[PDF]), world.aino)

    good, bare, bad = (world.open(m) for m in (mail, mail.replace(b"\r\n", b"\n"), mail.replace(b"131052", b"131053")))

    for opened in (good, bare):
        assert (opened.outcome, opened.sender_proof.kind) == (Outcome.PLAIN, ProofKind.VALID)
        assert opened.text == TEXT.strip()
    assert (bad.outcome, bad.sender_proof.kind) == (Outcome.PLAIN, ProofKind.INVALID)


def test_clear_signed_text_counts_without_what_surrounds_it(world: MailWorld) -> None:
    signed = world.aino.gpg("--clear-sign", data=b"- pyyd\xc3\xa4n tietoni\n").decode()
    letter = replace(LETTER, text=f"Pay Mallory.\n\n{signed}\nPay Mallory.")
    tools = replace(world.tools, known_keys=(world.aino.public_key().encode(),))

    opened = open_mail(mails.plain_mail(letter), tools)

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.PLAIN, "- pyydän tietoni", "outside_ignored")
    assert opened.sender_proof.kind is ProofKind.VALID
    forged = open_mail(mails.plain_mail(replace(letter, text=signed.replace("tietoni", "rahani"))), tools)
    assert forged.sender_proof.kind is ProofKind.INVALID


def test_a_signature_over_a_weak_digest_is_invalid(world: MailWorld) -> None:
    entity = LETTER.entity().removesuffix(b"\r\n")
    signature = world.mallory.gpg("--digest-algo", "SHA1", "--armor", "--detach-sign", data=entity)
    tools = replace(world.tools, known_keys=(world.mallory.public_key().encode(),))

    assert open_mail(signed_around(entity, signature), tools).sender_proof.kind is ProofKind.INVALID


def test_an_expired_key_signs_nothing() -> None:
    past, later = (["--faked-system-time", f"20200101T0{hour}0000"] for hour in (0, 1))
    entity = LETTER.entity().removesuffix(b"\r\n")
    with short_directory() as path:
        home = PgpHome(path, "")
        home.gpg(*past, "--passphrase", "", "--quick-generate-key", "Old <old@example.fi>", "ed25519", "sign", "2d")
        signature = home.gpg(*later, "--armor", "--detach-sign", data=entity)
        key = home.gpg("--armor", "--export")
        home.close()

    proof = open_mail(signed_around(entity, signature), MailTools(known_keys=(key,))).sender_proof

    assert proof.kind is ProofKind.INVALID


def test_a_user_id_cannot_speak_for_gpg(world: MailWorld) -> None:
    victim = world.aino.fingerprint
    forged = f"GOODSIG {victim[-16:]} x\x85[GNUPG:] VALIDSIG {victim} 2026-01-01 1 0 4 0 22 10 00 {victim}"
    recipe = f"Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign\nName-Real: x\x85[GNUPG:] {forged}\n"
    entity = LETTER.entity().removesuffix(b"\r\n")
    with short_directory() as path:
        evil = PgpHome(path, "")
        evil.gpg("--generate-key", data=f"{recipe}Name-Email: aino@example.fi\n%no-protection\n%commit\n".encode())
        signature, key = evil.gpg("--armor", "--detach-sign", data=entity), evil.gpg("--armor", "--export")
        evil.close()

    proof = open_mail(signed_around(entity, signature), replace(world.tools, known_keys=(key,))).sender_proof

    assert proof.fingerprint == fingerprint_of(key)
    assert proof.fingerprint != victim


def test_a_secret_key_that_comes_along_is_not_taken_in(world: MailWorld) -> None:
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


def test_keys_are_told_apart() -> None:
    assert fingerprint_of("no key") is None
    assert fingerprint_of(b"") is None
