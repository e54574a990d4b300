"""Our S/MIME keys are read from PEM or PKCS#12; of an RSA key from PEM the parts are held against each other.

The library would also prove its factors prime, which takes 0.1 s in each round. Whoever made the key saw to that,
and factors that were damaged since do not make up the modulus any more.
"""

import contextlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from vault.errors import WrongUseError
from vault.intake.smime import SmimeKey

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def load_key(data: bytes, password: str | None) -> SmimeKey:
    """Read a private key from PEM (with or without its certificate) or PKCS#12.

    :raises WrongUseError: it is neither, or no certificate in it is the key's (``smime_key``), or the password does
        not fit (``smime_passphrase``).
    """
    key, certificates = _read(data, password)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    try:
        own = [one for one in certificates if one.public_key() == key.public_key()]
        known = (own[0].public_bytes(Encoding.PEM), own[0].not_valid_after_utc) if own else (None, None)
    except _UNREADABLE:
        raise _unreadable(data) from None
    if certificates and not own:
        raise WrongUseError("smime_key", "the certificate is of another key than the S/MIME key; correct the files")
    return SmimeKey(der, *known)


def load_any_key(data: bytes, passwords: Sequence[str]) -> SmimeKey:
    """Read a private key with the first of several passwords that fits it, or with none.

    :raises WrongUseError: none fits.
    """
    for password in (None, *passwords[:-1]):
        with contextlib.suppress(WrongUseError):
            return load_key(data, password)
    return load_key(data, passwords[-1] if passwords else None)


def private_key(data: bytes, password: str | None) -> PrivateKeyTypes:
    """Read a private key as :func:`load_key` does, for use in this process.

    :raises WrongUseError: see there.
    """
    return _read(data, password)[0]


def open_pem(data: bytes, secret: bytes | None) -> PrivateKeyTypes:
    """Read a private key from PEM.

    :raises ValueError: it is none, is damaged, or the password does not fit.
    :raises TypeError: it needs a password, or needs none.
    :raises UnsupportedAlgorithm: it is of a kind that nobody here can use.
    """
    key = load_pem_private_key(data, secret, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, rsa.RSAPrivateKey) and not _is_whole(key.private_numbers()):
        return load_pem_private_key(data, secret)  # the library says in full what it thinks of it
    return key


def _is_whole(key: rsa.RSAPrivateNumbers) -> bool:
    """Tell whether the parts of a key with two factors belong together (RFC 8017 section 3.2)."""
    p, q, e = key.p, key.q, key.public_numbers.e
    return (
        1 < p < key.public_numbers.n
        and p * q == key.public_numbers.n
        and all(e * exponent % (p - 1) == 1 for exponent in (key.d, key.dmp1))
        and all(e * exponent % (q - 1) == 1 for exponent in (key.d, key.dmq1))
        and q * key.iqmp % p == 1
    )


def _read(data: bytes, password: str | None) -> tuple[PrivateKeyTypes, list[x509.Certificate]]:
    secret = password.encode() if password else None
    try:
        if b"-----BEGIN" in data:
            certificates = x509.load_pem_x509_certificates(data) if b"BEGIN CERTIFICATE" in data else []
            return open_pem(data, secret), certificates
        found, certificate, _ = pkcs12.load_key_and_certificates(data, secret)
    except _UNREADABLE:
        raise _unreadable(data) from None
    if found is None:
        raise WrongUseError("smime_key", "the PKCS#12 file holds no private key")
    return found, [certificate] if certificate else []


def _unreadable(data: bytes) -> WrongUseError:
    """Tell a wrong password from a broken file, as far as its outside shows."""
    locked = b"ENCRYPTED" in data if b"-----BEGIN" in data else data[:1] == b"0"
    if locked:
        return WrongUseError("smime_passphrase", "the password does not open our S/MIME key; correct its secret file")
    return WrongUseError("smime_key", "the S/MIME key can't be read; correct the file")
