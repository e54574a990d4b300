"""The controller's own mail keys for tests and the demo: an OpenPGP home and an S/MIME key with its certificate."""

import datetime as dt
import secrets
import subprocess
from pathlib import Path

import gnupg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vault.settings import OpenPgpSettings, SmimeSettings
from vault.testing.places import write_private

NAME, ADDRESS = "Example Clinic, register inspections", "requests@clinic.example"
_LIFETIME = dt.timedelta(days=730)


def make_openpgp_home(home: Path) -> OpenPgpSettings:
    """Make the controller's OpenPGP home with one signing and encryption key, or return the one that is there.

    :param home: a short path, because gpg's agent makes sockets in it.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = home / "passphrase"
    if not secret.exists():
        write_private(secret, secrets.token_urlsafe(32))
        # a random passphrase needs no stretching, which would take half a second for each mail
        write_private(home / "gpg-agent.conf", "s2k-count 65536\n")
        user = f"{NAME} <{ADDRESS}>"
        _gpg(home, "--passphrase-file", str(secret), "--quick-generate-key", user, "rsa3072", "default", "2y")
        fingerprint = _fingerprint(home)
        _gpg(home, "--passphrase-file", str(secret), "--quick-add-key", fingerprint, "rsa3072", "encr", "2y")
    return OpenPgpSettings(home=home, fingerprint=_fingerprint(home), passphrase_file=secret)


def export_public(settings: OpenPgpSettings) -> str:
    """Return the controller's public key, armoured."""
    return str(gnupg.GPG(gnupghome=str(settings.home)).export_keys(settings.fingerprint))


def _fingerprint(home: Path) -> str:
    listing = _gpg(home, "--with-colons", "--list-secret-keys")
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))


def _gpg(home: Path, *arguments: str) -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def make_smime(folder: Path) -> SmimeSettings:
    """Make the controller's S/MIME key and self-signed certificate, or return those that are there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = SmimeSettings(
        key_file=folder / "smime.key", certificate_file=folder / "smime.pem", passphrase_file=folder / "smime.pass"
    )
    if not settings.certificate_file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        passphrase = secrets.token_urlsafe(32)
        write_private(settings.passphrase_file, passphrase)
        write_private(
            settings.key_file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase.encode()),
            ).decode(),
        )
        settings.certificate_file.write_bytes(_certificate(key).public_bytes(serialization.Encoding.PEM))
    return settings


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, NAME), x509.NameAttribute(NameOID.EMAIL_ADDRESS, ADDRESS)]
    )
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(ADDRESS)]), critical=False)
        .sign(key, hashes.SHA256())
    )
