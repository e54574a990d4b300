"""S/MIME made by ``openssl cms`` in every form that people's mail programs use."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from vault.errors import WrongUseError
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import Encryption, OpenedMail, Outcome, ProofKind
from vault.intake.smime import Smime
from vault.intake.smimekey import load_any_key, load_key
from vault.testing import mails
from vault.testing.mailkeys import SmimeIdentity, make_smime_identity
from vault.testing.mails import File, Letter
from vault.testing.mailtexts import request_text

TEXT = request_text("sv", "Ärla Öberg", "131052-308T")
LETTER = Letter(
    "Ärla Öberg", "arla@example.fi", "requests@clinic.example", TEXT, "sv", files=[File("a.bin", "a/b", b"\x00")]
)


@dataclass(frozen=True)
class World:
    clinic: SmimeIdentity
    curve: SmimeIdentity
    arla: SmimeIdentity
    tools: MailTools

    def open(self, mail: bytes) -> OpenedMail:
        return open_mail(mail, self.tools)

    def fingerprint(self) -> str:
        certificate = x509.load_pem_x509_certificate(self.arla.certificate.read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex().upper()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    base = tmp_path_factory.mktemp("smime")
    clinic = make_smime_identity(base / "clinic", "Clinic", "requests@clinic.example")
    curve = make_smime_identity(base / "curve", "Clinic", "requests@clinic.example", elliptic=True)
    arla = make_smime_identity(base / "arla", "Ärla Öberg", "Arla@example.fi")
    keys = [load_key(i.key.read_bytes() + i.certificate.read_bytes(), None) for i in (curve, clinic)]
    return World(clinic, curve, arla, MailTools(smime=Smime(keys)))


def assert_opened(world: World, opened: OpenedMail) -> None:
    assert (opened.outcome, opened.reason, opened.encryption) == (Outcome.OPENED, "", Encryption.SMIME)
    assert opened.text == TEXT.strip()
    assert [a.data for a in opened.attachments] == [b"\x00"]
    proof = opened.sender_proof
    assert (proof.kind, proof.fingerprint, proof.from_matches) == (ProofKind.VALID, world.fingerprint(), True)
    assert opened.certificate == world.arla.certificate.read_bytes()


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("cipher", ["-des3", "-aes-128-cbc", "-aes-256-cbc", "-aes-128-gcm", "-aes-256-gcm"])
def test_every_cipher_and_form_is_opened(world: World, cipher: str, opaque: bool) -> None:
    mail = mails.smime_mail(LETTER, world.clinic.certificate, world.arla, cipher=cipher, opaque=opaque)

    assert_opened(world, world.open(mail))


def test_oaep_and_elliptic_curves_are_opened(world: World) -> None:
    oaep = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]

    assert_opened(
        world, world.open(mails.smime_mail(LETTER, world.clinic.certificate, world.arla, recipient_options=oaep))
    )
    assert_opened(world, world.open(mails.smime_mail(LETTER, world.curve.certificate, world.arla)))


def test_without_its_certificate_our_key_still_opens(world: World) -> None:
    tools = MailTools(smime=Smime([load_key(world.clinic.key.read_bytes(), None)]))

    assert_opened(world, open_mail(mails.smime_mail(LETTER, world.clinic.certificate, world.arla), tools))


def test_nested_encryption_is_opened_to_the_innermost_signature(world: World) -> None:
    inner = mails.smime_mail(LETTER, world.clinic.certificate, world.arla)
    entity = inner[inner.index(b"MIME-Version: 1.0\nContent-Disposition") :]
    outer = [
        "openssl",
        "cms",
        "-encrypt",
        "-aes-256-cbc",
        "-binary",
        "-outform",
        "SMIME",
        str(world.clinic.certificate),
    ]
    sealed = subprocess.run(outer, input=entity, check=True, capture_output=True).stdout

    assert_opened(world, world.open(b"From: arla@example.fi\r\n" + sealed))


def test_a_triple_wrapped_mail_counts_the_inner_signature(world: World, tmp_path: Path) -> None:
    mallory = make_smime_identity(tmp_path, "Mallory", "arla@example.fi")
    inner = mails.smime_mail(LETTER, world.clinic.certificate, world.arla)
    entity = inner[inner.index(b"MIME-Version: 1.0\nContent-Disposition") :].replace(b"\n", b"\r\n").rstrip() + b"\r\n"
    wrapped = mails.smime_signed(entity, mallory, opaque=True)

    assert_opened(world, world.open(b"From: arla@example.fi\r\n" + wrapped))


def test_a_signature_around_ciphertext_does_not_say_who_wrote_it(world: World) -> None:
    inner = mails.smime_mail(LETTER, world.clinic.certificate)
    entity = inner[inner.index(b"MIME-Version: 1.0\nContent-Disposition") :].replace(b"\n", b"\r\n").rstrip() + b"\r\n"

    opened = world.open(b"From: arla@example.fi\r\n" + mails.smime_signed(entity, world.arla, opaque=True))

    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())
    assert (opened.sender_proof.kind, opened.certificate) == (ProofKind.NONE, None)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_signed_mail_is_plain(world: World, opaque: bool) -> None:
    opened = world.open(mails.smime_signed_mail(LETTER, world.arla, opaque=opaque))

    assert (opened.outcome, opened.encryption, opened.text) == (Outcome.PLAIN, Encryption.NONE, TEXT.strip())
    assert opened.sender_proof.kind is ProofKind.VALID


def test_a_changed_text_spoils_the_signature(world: World) -> None:
    mail = mails.smime_signed_mail(LETTER, world.arla)

    opened = world.open(mail.replace(b"131052", b"131053"))

    assert (opened.outcome, opened.sender_proof.kind) == (Outcome.PLAIN, ProofKind.INVALID)
    assert "131053" in opened.text


def test_a_changed_opaque_text_is_shown_as_not_proved(world: World) -> None:
    signed = mails.smime_signed(LETTER.entity(), world.arla, opaque=True)
    to_der = ["openssl", "cms", "-cmsout", "-inform", "SMIME", "-outform", "DER"]
    der = subprocess.run(to_der, input=signed, check=True, capture_output=True).stdout
    forged = der.replace(b"131052", b"131053")
    assert forged != der

    found = Smime().read_signed(forged, None)

    assert found.proof.kind is ProofKind.INVALID
    assert b"131053" in found.content


def test_the_sender_must_stand_in_the_certificate(world: World) -> None:
    opened = world.open(mails.smime_signed_mail(replace(LETTER, email="mallory@evil.example"), world.arla))

    assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, False)


def test_an_expired_certificate_proves_nothing(world: World, tmp_path: Path) -> None:
    old = make_smime_identity(tmp_path, "Ärla", "arla@example.fi", expired=True)

    proof = world.open(mails.smime_signed_mail(LETTER, old)).sender_proof

    assert (proof.kind, proof.from_matches) == (ProofKind.INVALID, False)


def test_a_signature_without_its_certificate_is_by_an_unknown_key(world: World) -> None:
    keys = ["-nocerts", "-signer", str(world.arla.certificate), "-inkey", str(world.arla.key)]
    command = ["openssl", "cms", "-sign", "-binary", "-outform", "SMIME", *keys]
    signed = subprocess.run(command, input=LETTER.entity(), check=True, capture_output=True).stdout

    opened = world.open(b"From: arla@example.fi\r\n" + signed)

    assert (opened.text, opened.sender_proof.kind) == (TEXT.strip(), ProofKind.UNKNOWN_KEY)


def test_a_mail_for_another_certificate_stays_closed(world: World) -> None:
    opened = world.open(mails.smime_mail(LETTER, world.arla.certificate, world.arla))

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.UNDECRYPTABLE, "smime_no_key", "")
    assert opened.sender_proof.kind is ProofKind.NONE


@pytest.mark.parametrize("cipher", ["-aes-256-gcm", "-aes-256-cbc"])
def test_a_changed_ciphertext_never_gives_its_text(world: World, cipher: str) -> None:
    mail = mails.smime_mail(replace(LETTER, files=[]), world.clinic.certificate, cipher=cipher)
    lines = mail.split(b"\n")
    lines[-5] = lines[-5][::-1]  # inside the encrypted content

    opened = world.open(b"\n".join(lines))

    assert opened.text != TEXT.strip()
    if cipher == "-aes-256-gcm":
        assert (opened.outcome, opened.reason) == (Outcome.UNDECRYPTABLE, "smime_not_sound")


def test_broken_messages_are_refused(world: World) -> None:
    head = b"From: arla@example.fi\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n"
    compressed = b"\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09\xa0\x80"
    enveloped = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80"

    found = [world.open(head + b"\r\n" + der) for der in (compressed, enveloped, b"no CMS at all")]

    assert [(o.outcome, o.reason) for o in found] == [
        (Outcome.REFUSED, "smime_malformed"),
        (Outcome.UNDECRYPTABLE, "smime_not_sound"),
        (Outcome.PLAIN, ""),
    ]


def test_keys_come_as_pem_or_pkcs12_with_or_without_a_password(world: World) -> None:
    ours = load_key(world.clinic.key.read_bytes() + world.clinic.certificate.read_bytes(), None)
    key = serialization.load_der_private_key(ours.key, None)
    certificate = x509.load_pem_x509_certificate(ours.certificate or b"")
    secret = serialization.BestAvailableEncryption(b"salasana")
    p12 = pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, secret)  # type: ignore[arg-type]  # RSA

    assert load_any_key(p12, ["wrong", "salasana"]) == ours
    assert load_any_key(world.clinic.key.read_bytes(), []).certificate is None
    for data, password in ((p12, "wrong"), (p12, None), (b"junk", None), (b"-----BEGIN X-----", None)):
        with pytest.raises(WrongUseError):
            load_key(data, password)


def test_without_a_key_nothing_is_opened(world: World) -> None:
    opened = open_mail(mails.smime_mail(LETTER, world.clinic.certificate), MailTools())

    assert (opened.outcome, opened.reason) == (Outcome.UNDECRYPTABLE, "key_not_configured")
