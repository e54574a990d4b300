"""S/MIME in the orders, names and strengths that mail programs use; and each reason for which it stays closed."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from vault.errors import WrongUseError
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import OpenedMail, Outcome, ProofKind
from vault.intake.smime import Smime
from vault.intake.smimekey import load_key
from vault.testing import mails
from vault.testing.cmsbytes import compressed_data, smime_entity
from vault.testing.mailkeys import SmimeIdentity, make_smime_identity
from vault.testing.mails import Letter
from vault.testing.mailtexts import request_text

TEXT = request_text("en", "Ärla Öberg", "131052-308T")
LETTER = Letter("Ärla Öberg", "arla@example.fi", "requests@clinic.example", TEXT, "en")
ENTITY = LETTER.entity()
HEAD = b"From: arla@example.fi\r\nMIME-Version: 1.0\r\n"


@dataclass(frozen=True)
class World:
    current: SmimeIdentity
    older: SmimeIdentity
    curve: SmimeIdentity
    arla: SmimeIdentity
    tools: MailTools

    def open(self, entity: bytes) -> OpenedMail:
        return open_mail(HEAD + entity, self.tools)

    def sign(self, entity: bytes, *, opaque: bool = False) -> bytes:
        return crlf(mails.smime_signed(entity, self.arla, opaque=opaque))

    def encrypt(self, entity: bytes, *options: str, to: SmimeIdentity | None = None, cipher: str = "-aes256") -> bytes:
        recipient = ["-recip", str((to or self.current).certificate), *options]
        return crlf(cms("-encrypt", cipher, "-binary", "-outform", "SMIME", *recipient, data=entity))


def cms(*arguments: str, data: bytes) -> bytes:
    return subprocess.run(["openssl", "cms", *arguments], input=data, check=True, capture_output=True).stdout


def crlf(entity: bytes) -> bytes:
    return entity.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").rstrip() + b"\r\n"


def compressed(entity: bytes, *, streamed: bool = False) -> bytes:
    return smime_entity(compressed_data(entity, streamed=streamed), "compressed-data", name="smime.p7z")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    base = tmp_path_factory.mktemp("smime")
    ours = ("Clinic", "requests@clinic.example")
    current = make_smime_identity(base / "current", *ours)
    older = make_smime_identity(base / "older", *ours, expired=True)
    curve = make_smime_identity(base / "curve", *ours, elliptic=True)
    arla = make_smime_identity(base / "arla", "Ärla Öberg", "arla@example.fi")
    keys = [load_key(i.key.read_bytes() + i.certificate.read_bytes(), None) for i in (current, older, curve)]
    return World(current, older, curve, arla, MailTools(smime=Smime(keys)))


Make = Callable[[World], bytes]
ORDERS: dict[str, tuple[Make, ProofKind]] = {
    "signed, then encrypted": (lambda w: w.encrypt(w.sign(ENTITY)), ProofKind.VALID),
    "signed opaquely, then encrypted": (lambda w: w.encrypt(w.sign(ENTITY, opaque=True)), ProofKind.VALID),
    "encrypted, then signed": (lambda w: w.sign(w.encrypt(ENTITY)), ProofKind.NONE),
    "encrypted, then signed opaquely": (lambda w: w.sign(w.encrypt(ENTITY), opaque=True), ProofKind.NONE),
    "signed, encrypted, signed": (lambda w: w.sign(w.encrypt(w.sign(ENTITY))), ProofKind.VALID),
    "signed, encrypted, signed opaquely": (lambda w: w.sign(w.encrypt(w.sign(ENTITY)), opaque=True), ProofKind.VALID),
    "encrypted twice": (lambda w: w.encrypt(w.encrypt(w.sign(ENTITY)), to=w.curve), ProofKind.VALID),
    "compressed, then encrypted": (lambda w: w.encrypt(compressed(ENTITY)), ProofKind.NONE),
    "streamed, then encrypted": (lambda w: w.encrypt(compressed(ENTITY, streamed=True)), ProofKind.NONE),
    "signed, compressed, encrypted": (lambda w: w.encrypt(compressed(w.sign(ENTITY))), ProofKind.VALID),
    "compressed, signed, encrypted": (lambda w: w.encrypt(w.sign(compressed(ENTITY), opaque=True)), ProofKind.VALID),
    "encrypted, then compressed": (lambda w: compressed(w.encrypt(w.sign(ENTITY))), ProofKind.VALID),
}


@pytest.mark.parametrize("order", list(ORDERS))
def test_layers_in_every_order_come_off(world: World, order: str) -> None:
    make, proof = ORDERS[order]

    opened = world.open(make(world))

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.OPENED, "", TEXT.strip())
    assert opened.sender_proof.kind is proof


@pytest.mark.parametrize("streamed", [False, True])
def test_a_mail_that_is_only_compressed_is_plain(world: World, streamed: bool) -> None:
    opened = world.open(compressed(ENTITY, streamed=streamed))

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.PLAIN, "", TEXT.strip())


def test_a_compressed_bomb_is_refused(world: World) -> None:
    bomb = compressed(b"Content-Type: text/plain\r\n\r\n" + bytes(100_000_000))

    opened = world.open(bomb)

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.REFUSED, "mail_too_large", "")


def oaep(digest: str) -> tuple[str, ...]:
    return ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", f"rsa_oaep_md:{digest}")


KEYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "PKCS #1 v1.5": ("current", ()),
    "OAEP with SHA-1": ("current", oaep("sha1")),
    "OAEP with SHA-256": ("current", oaep("sha256")),
    "named by its key identifier": ("current", ("-keyid",)),
    "ECDH": ("curve", ()),
    "ECDH with SHA-256": ("curve", ("-keyopt", "ecdh_kdf_md:sha256")),
    "ECDH with a cofactor": ("curve", ("-keyopt", "ecdh_cofactor_mode:1")),
}


@pytest.mark.parametrize("cipher", ["-des3", "-aes-256-gcm"])
@pytest.mark.parametrize("how", list(KEYS))
def test_every_way_to_our_key_is_opened(world: World, how: str, cipher: str) -> None:
    name, options = KEYS[how]
    if options == ("-keyid",):
        entity = crlf(
            cms(
                "-encrypt",
                cipher,
                "-binary",
                "-outform",
                "SMIME",
                "-keyid",
                "-recip",
                str(world.current.certificate),
                data=ENTITY,
            )
        )
    else:
        entity = world.encrypt(ENTITY, *options, to=getattr(world, name), cipher=cipher)

    assert world.open(entity).text == TEXT.strip()


def test_an_expired_key_of_ours_opens_and_says_so(world: World) -> None:
    opened = world.open(world.encrypt(ENTITY, to=world.older))

    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())
    assert (opened.reason, opened.remarks) == ("own_certificate_expired", ("own_certificate_expired",))
    assert world.open(world.encrypt(ENTITY, to=world.curve)).remarks == ()


def test_of_several_recipients_ours_is_found(world: World) -> None:
    others = ["-recip", str(world.arla.certificate), "-recip", str(world.curve.certificate)]

    assert world.open(world.encrypt(ENTITY, *others, to=world.arla)).text == TEXT.strip()


LEGACY = ("-provider", "legacy", "-provider", "default")


def damaged(entity: bytes) -> bytes:
    lines = entity.split(b"\r\n")
    lines[-6] = lines[-6][::-1]  # inside the encrypted content
    return b"\r\n".join(lines)


CLOSED: dict[str, tuple[Make, str]] = {
    "somebody else's key": (lambda w: w.encrypt(ENTITY, to=w.arla), "smime_no_key"),
    "a password alone": (
        lambda _: crlf(cms("-encrypt", "-aes256", "-outform", "SMIME", "-pwri_password", "x", data=ENTITY)),
        "smime_password_only",
    ),
    "a cipher from 1997": (lambda w: w.encrypt(ENTITY, *LEGACY, cipher="-rc2-40"), "smime_cipher"),
    "a damaged message": (lambda w: damaged(w.encrypt(ENTITY, cipher="-aes-256-gcm")), "smime_not_sound"),
    "bytes that are no mail": (lambda w: w.encrypt(b"\x00\x01"), "smime_not_sound"),
}


@pytest.mark.parametrize("why", list(CLOSED))
def test_each_reason_to_stay_closed_has_its_name(world: World, why: str) -> None:
    make, reason = CLOSED[why]

    opened = world.open(make(world))

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.UNDECRYPTABLE, reason, "")
    assert opened.sender_proof.kind is ProofKind.NONE


def test_a_password_beside_our_key_does_not_matter(world: World) -> None:
    assert world.open(world.encrypt(ENTITY, "-pwri_password", "x")).text == TEXT.strip()


NAMES: dict[str, Callable[[bytes], bytes]] = {
    "the old type": lambda e: e.replace(b"application/pkcs7-mime", b"application/x-pkcs7-mime"),
    "a file of no type": lambda e: e.replace(b"application/pkcs7-mime", b"application/octet-stream"),
    "a file of another type": lambda e: e.replace(b"application/pkcs7-mime", b"application/x-unknown"),
    "capitals": lambda e: e.replace(b"application/pkcs7-mime", b"APPLICATION/PKCS7-MIME").replace(b".p7m", b".P7M"),
    "no parameters": lambda e: e.replace(b'; smime-type=enveloped-data; name="smime.p7m"', b""),
}


@pytest.mark.parametrize("name", list(NAMES))
def test_whatever_a_server_calls_it_is_opened(world: World, name: str) -> None:
    entity = world.encrypt(world.sign(ENTITY))
    bent = NAMES[name](entity)
    assert bent != entity

    opened = world.open(bent)

    assert (opened.text, opened.reason, opened.sender_proof.kind) == (TEXT.strip(), "", ProofKind.VALID)


def beside(entity: bytes, more: bytes) -> bytes:
    parts = b"".join(b"\r\n--Z\r\n" + part for part in (more, entity))
    return b"Content-Type: multipart/mixed; boundary=Z\r\n" + parts + b"\r\n--Z--\r\n"


WORDS = b"Content-Type: text/plain\r\n\r\nThis mail is confidential."
NOTHING = b"Content-Type: text/plain\r\n\r\n\r\n"


@pytest.mark.parametrize("opaque", [False, True], ids=["encrypted", "signed"])
def test_what_a_server_puts_beside_it_is_not_joined(world: World, opaque: bool) -> None:
    entity = world.sign(ENTITY, opaque=True) if opaque else world.encrypt(world.sign(ENTITY))

    with_words, with_nothing = (world.open(beside(entity, more)) for more in (WORDS, NOTHING))

    assert (with_words.text, with_words.reason) == (TEXT.strip(), "outside_ignored")
    assert (with_nothing.text, with_nothing.reason) == (TEXT.strip(), "")
    assert with_words.sender_proof.kind is with_nothing.sender_proof.kind is ProofKind.VALID


def test_a_signed_file_that_comes_along_does_not_hide_the_words(world: World) -> None:
    der = cms(
        "-sign",
        "-nodetach",
        "-binary",
        "-outform",
        "DER",
        "-signer",
        str(world.arla.certificate),
        "-inkey",
        str(world.arla.key),
        data=b"%PDF-1.7",
    )
    file = smime_entity(der, "signed-data", name="valtakirja.pdf.p7m")

    opened = world.open(beside(file, WORDS))

    assert (opened.outcome, opened.text, opened.reason) == (Outcome.PLAIN, "This mail is confidential.", "")
    assert [a.name for a in opened.attachments] == ["valtakirja.pdf.p7m"]


def test_what_spoils_a_signature_is_named(world: World, tmp_path: Path) -> None:
    expired = replace(world, arla=make_smime_identity(tmp_path, "Ärla", "arla@example.fi", expired=True))
    changed = world.sign(ENTITY).replace(b"131052", b"131053")
    found = [world.open(entity).sender_proof for entity in (expired.sign(ENTITY), changed)]

    assert [(proof.kind, proof.why) for proof in found] == [
        (ProofKind.INVALID, "certificate_expired"),
        (ProofKind.INVALID, "signature_bad"),
    ]


def test_a_wrong_password_of_our_key_is_told_from_a_broken_file(world: World) -> None:
    key = serialization.load_pem_private_key(world.current.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"right")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)

    for password in ("wrong", None):
        with pytest.raises(WrongUseError, match="smime_passphrase"):
            load_key(pem, password)
    for data in (b"junk", world.current.key.read_bytes()[:200]):
        with pytest.raises(WrongUseError, match="smime_key"):
            load_key(data, "right")
