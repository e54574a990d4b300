"""The controller's own S/MIME keys: one more at each rotation, each with a request for its certificate beside it.

The key is RSA with 3072 bits, which every mail program takes (RFC 8550, 8551). The certificate comes from
an authority that mail programs know; a self-signed one serves trials only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vault.crypto.durable import write_once
from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.intake.ownkeys import LIFETIME, SMIME, KeyState, OwnKey
from vault.intake.smimekey import open_pem
from vault.settings import read_secret

_BITS = 3072
_SKEW = timedelta(hours=1)  # of the clocks of those who check it
_COMMON_NAME = 64  # characters (RFC 5280, ub-common-name)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class OwnSmime(Private):
    """One key of ours and its certificate, PEM files; the request stands beside the key with the ending ``.csr``."""

    key_file: Path
    certificate_file: Path
    passphrase_file: Path

    @property
    def request_file(self) -> Path:
        """The request that a certificate authority is sent (PKCS #10, RFC 2986)."""
        return self.key_file.with_suffix(".csr")

    def make(self, name: str, address: str, now: datetime, *, self_signed: bool) -> list[Path]:
        """Make what is missing of key, request and, for trials, certificate.

        :returns: the files made now.
        :raises OSError: the directory does not take them.
        :raises WrongUseError: a key stands there that the passphrase does not open.
        """
        made = [] if self.key_file.exists() else [write_once(self.key_file, self._new_key(), 0o600)]
        key = self.private()
        if not self.request_file.exists():
            made.append(write_once(self.request_file, _request(key, name, address).public_bytes(_PEM), 0o644))
        if self_signed and not self.certificate_file.exists():
            certificate = _self_signed(key, name, address, now)
            made.append(write_once(self.certificate_file, certificate.public_bytes(_PEM), 0o644))
        return [path for path in made if path]

    def private(self) -> rsa.RSAPrivateKey:
        """Open the key.

        :raises WrongUseError: it is missing, no RSA key, or the passphrase does not fit.
        """
        try:
            secret = read_secret(self.passphrase_file).encode()
            key = serialization.load_pem_private_key(self.key_file.read_bytes(), secret)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise WrongUseError("smime_key", "the S/MIME key can't be read; correct the file or its password")
        return key

    def certificate(self) -> x509.Certificate | None:
        """Read the key's certificate, the first in its file; None while there is none.

        :raises WrongUseError: the file holds no certificate.
        """
        try:
            return x509.load_pem_x509_certificates(self.certificate_file.read_bytes())[0]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, IndexError):
            raise WrongUseError(
                "smime_certificate", f"{self.certificate_file.name} holds no certificate; replace it"
            ) from None

    def look(self, state: KeyState) -> OwnKey:
        """Tell what it is; ``state`` holds where it has a certificate that is its own."""
        found = self.certificate()
        uses = frozenset({"sign", "encrypt"})
        held = self.key_file.is_file()
        if found is None:
            return OwnKey(SMIME, self.key_file.name, uses, None, None, KeyState.AWAITED, held=held)
        made, expires = found.not_valid_before_utc, found.not_valid_after_utc
        return OwnKey(SMIME, self.key_file.name, uses, made, expires, state, held=held and self.fits(found))

    def fits(self, certificate: x509.Certificate) -> bool:
        """Tell whether the certificate is this key's; a key that can't be opened here has none.

        The key may be one that an authority drew, of any kind; so its public half is compared, not its type.
        """
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        try:
            key = open_pem(self.key_file.read_bytes(), read_secret(self.passphrase_file).encode())
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm, WrongUseError):
            return False
        return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)

    def _new_key(self) -> bytes:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        sealed = serialization.BestAvailableEncryption(read_secret(self.passphrase_file).encode())
        return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, sealed)


def _name(name: str) -> x509.Name:
    """Name the holder; the address stands in the subject's alternative name alone (RFC 8550, section 3)."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _request(key: rsa.RSAPrivateKey, name: str, address: str) -> x509.CertificateSigningRequest:
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(name))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _self_signed(key: rsa.RSAPrivateKey, name: str, address: str, now: datetime) -> x509.Certificate:
    own = _name(name)
    return (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
