"""Real mails as requesters send them: encrypted by gpg and openssl with the requesters' own keys."""

import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from pathlib import Path

from vault.delivery.protected import pgp_mime
from vault.domain.private import Private
from vault.testing.mailkeys import PgpHome, SmimeIdentity
from vault.testing.mailtexts import SUBJECTS


@dataclass(frozen=True, slots=True)
class File(Private):
    """A file to attach."""

    name: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Letter(Private):
    """What a requester writes, before it is encrypted.

    :param to: the controller's address.
    :param attach_key: send the own public key along, as mail programs do.
    :param answers: the Message-ID that this answers.
    """

    name: str
    email: str
    to: str
    text: str
    language: str = "fi"
    subject: str | None = None
    files: Sequence[File] = ()
    attach_key: bool = False
    answers: str | None = None
    message_id: str | None = None

    def headers(self) -> EmailMessage:
        """Return a mail that has its headers and no content yet."""
        message = EmailMessage(policy=SMTP)
        message["From"] = formataddr((self.name, self.email))
        message["To"] = self.to
        message["Subject"] = self.subject or SUBJECTS[self.language]
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = self.message_id or f"<{secrets.token_hex(12)}@{self.email.rpartition('@')[2]}>"
        if self.answers:
            message["In-Reply-To"] = message["References"] = self.answers
        return message

    def entity(self, key: str | None = None) -> bytes:
        """Return the content as a MIME entity, with a public key beside it."""
        entity = EmailMessage(policy=SMTP)
        entity.set_content(self.text, cte="quoted-printable")
        for file in self.files:
            main, _, sub = file.type.partition("/")
            entity.add_attachment(file.data, main, sub, filename=file.name)
        if key:
            entity.add_attachment(key.encode(), "application", "pgp-keys", filename="OpenPGP_key.asc")
        return entity.as_bytes()


def plain_mail(letter: Letter) -> bytes:
    """Write a mail that is not encrypted."""
    return _finished(letter.headers(), letter.entity())


def pgp_mime_mail(letter: Letter, home: PgpHome, controller_key: str, *, sign: bool = True) -> bytes:
    """Sign and encrypt to the controller by OpenPGP/MIME (RFC 3156)."""
    entity = letter.entity(home.public_key() if letter.attach_key else None)
    return pgp_mime(letter.headers(), encrypt(home, entity, controller_key, sign=sign)).as_bytes()


def pgp_inline_mail(letter: Letter, home: PgpHome, controller_key: str, *, sign: bool = True) -> bytes:
    """Sign and encrypt the text alone, as older programs do; files and key stay outside."""
    armour = encrypt(home, letter.text.encode(), controller_key, sign=sign)
    body = Letter(letter.name, letter.email, letter.to, armour.decode(), files=letter.files)
    return _finished(letter.headers(), body.entity(home.public_key() if letter.attach_key else None))


def pgp_signed_mail(letter: Letter, home: PgpHome) -> bytes:
    """Sign without encrypting, by OpenPGP/MIME (RFC 3156 section 5)."""
    entity = letter.entity(home.public_key() if letter.attach_key else None).removesuffix(b"\r\n")
    signature = home.gpg("--armor", "--detach-sign", data=entity)
    boundary = secrets.token_hex(16).encode()
    kind = b'multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"'
    parts = [entity, b"Content-Type: application/pgp-signature\r\n\r\n" + signature.replace(b"\n", b"\r\n")]
    return _head(letter) + _multipart(kind, boundary, parts)


def encrypt(home: PgpHome, plaintext: bytes, controller_key: str, *, sign: bool) -> bytes:
    """Encrypt to the controller's key by the stock gpg; armoured."""
    home.learn(controller_key)
    listing = home.gpg("--with-colons", "--show-keys", data=controller_key.encode()).decode()
    recipient = next(row.split(":")[9] for row in listing.splitlines() if row.startswith("fpr:"))
    signing = ["--sign", "--local-user", home.fingerprint] if sign else []
    return home.gpg("--armor", *signing, "--encrypt", "--recipient", recipient, data=plaintext)


def smime_mail(
    letter: Letter,
    certificate: Path,
    signer: SmimeIdentity | None = None,
    *,
    cipher: str = "-aes-256-cbc",
    recipient_options: Sequence[str] = (),
    opaque: bool = False,
) -> bytes:
    """Sign, where there is a signer, and encrypt to the controller's certificate by ``openssl cms``.

    :param cipher: such as ``-des3``, ``-aes-256-gcm``.
    :param recipient_options: such as ``-keyopt rsa_padding_mode:oaep``.
    :param opaque: sign as one blob, not as text with a signature beside it.
    """
    entity = smime_signed(letter.entity(), signer, opaque=opaque) if signer else letter.entity()
    recipient = ["-recip", str(certificate), *recipient_options]
    sealed = _cms("-encrypt", cipher, "-binary", "-outform", "SMIME", *recipient, data=entity)
    return _head(letter) + sealed


def smime_signed(entity: bytes, signer: SmimeIdentity, *, opaque: bool = False) -> bytes:
    """Sign a MIME entity; the result is a MIME entity again."""
    how = ["-nodetach"] if opaque else []
    keys = ["-signer", str(signer.certificate), "-inkey", str(signer.key)]
    return _cms("-sign", "-binary", "-outform", "SMIME", "-md", "sha256", *how, *keys, data=entity)


def smime_signed_mail(letter: Letter, signer: SmimeIdentity, *, opaque: bool = False) -> bytes:
    """Sign without encrypting."""
    return _head(letter) + smime_signed(letter.entity(), signer, opaque=opaque)


def _cms(*arguments: str, data: bytes) -> bytes:
    return subprocess.run(["openssl", "cms", *arguments], input=data, check=True, capture_output=True).stdout


def _head(letter: Letter) -> bytes:
    """Return the header lines alone; what follows brings its own Content-Type."""
    return letter.headers().as_bytes().rstrip(b"\r\n") + b"\r\n"


def _finished(headers: EmailMessage, entity: bytes) -> bytes:
    return headers.as_bytes().rstrip(b"\r\n") + b"\r\n" + entity


def _multipart(kind: bytes, boundary: bytes, parts: Sequence[bytes]) -> bytes:
    head = b"MIME-Version: 1.0\r\nContent-Type: " + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    return head + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
