"""Requesters' own keys: a gpg home each, made by the stock gpg, and S/MIME keys with certificates."""

import datetime as dt
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from vault.domain.private import Private
from vault.intake.agent import end_agent

_LIFETIME = dt.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class PgpHome(Private):
    """A requester's gpg home; its key has no passphrase.

    :param path: short, because gpg's agent makes sockets in it.
    """

    path: Path
    fingerprint: str

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        """Run the stock gpg in this home; return what it prints.

        :raises subprocess.CalledProcessError: gpg says no.
        """
        command = ["gpg", "--homedir", str(self.path), "--batch", "--quiet", "--no-tty", "--trust-model", "always"]
        return subprocess.run([*command, *arguments], input=data, check=True, capture_output=True).stdout

    def public_key(self) -> str:
        """Return the public key, armoured."""
        return self.gpg("--armor", "--export", self.fingerprint).decode()

    def learn(self, key: str) -> None:
        """Import somebody's public key."""
        self.gpg("--import", data=key.encode())

    def close(self) -> None:
        """End the agent, and wait until it is gone."""
        end_agent(self.path)


def make_pgp_home(path: Path, name: str, email: str, algorithm: str = "future-default") -> PgpHome:
    """Make a home with one key that signs and decrypts.

    :param algorithm: as ``gpg --quick-generate-key`` takes it, such as ``rsa2048``.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = PgpHome(path, "")
    home.gpg("--passphrase", "", "--quick-generate-key", f"{name} <{email}>", algorithm, "default", "never")
    rows = home.gpg("--with-colons", "--list-secret-keys").decode().splitlines()
    fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr:"))
    if algorithm.startswith("rsa"):  # such a key alone only signs
        home.gpg("--passphrase", "", "--quick-add-key", fingerprint, algorithm, "encr", "never")
    return PgpHome(path, fingerprint)


@dataclass(frozen=True, slots=True)
class SmimeIdentity(Private):
    """A key without passphrase and its self-signed certificate, both PEM files."""

    key: Path
    certificate: Path


def make_smime_identity(
    folder: Path, name: str, email: str, *, elliptic: bool = False, expired: bool = False
) -> SmimeIdentity:
    """Make an S/MIME key (RSA, or P-256 for ECDH) and its certificate."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa.generate_private_key(65537, 2048)
    )
    made = SmimeIdentity(folder / "smime.key", folder / "smime.pem")
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.key.chmod(0o600)
    made.certificate.write_bytes(
        _certificate(key, name, email, expired=expired).public_bytes(serialization.Encoding.PEM)
    )
    return made


def _certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, name: str, email: str, *, expired: bool
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime.now(dt.UTC) - (2 * _LIFETIME if expired else dt.timedelta(hours=1))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
