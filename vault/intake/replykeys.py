"""Chooses the key that a reply is encrypted to: it belongs to the address, is alive and strong, or there is none.

What came with a mail proves nothing about a person, so such a key only keeps a reply from other
eyes on its way; no package is ever sealed to it. Strangers' keys are read by gpg in a home that
exists for this call alone, and no key is looked up anywhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.gpg import Gpg, empty_home
from vault.intake.gpgstatus import uid_addresses
from vault.intake.keypackets import may_name
from vault.intake.sandbox import ChildLimits, private_directory
from vault.intake.smimesigner import BAD_CERTIFICATE, addresses

ReplyKind: TypeAlias = Literal["openpgp", "smime"]

_LIMITS = ChildLimits(seconds=20.0, output=20_000_000)
_KEY_BYTES, _KEY_COUNT = 300_000, 10
_MINIMAL = ["--no-autostart", "--import-options", "import-minimal", "--export-options", "export-minimal"]
_SHOWN = [
    *("--no-autostart", "--with-colons", "--fast-list-mode", "--export-options", "export-minimal"),
    *("--armor", "--no-emit-version", "--no-comments"),
    *("--import-options", "import-minimal,import-show,import-export"),
]
_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "-----END PGP PUBLIC KEY BLOCK-----\n"
_ARMOURED = re.compile(f"^({_BEGIN}[^:]*?^{_END})", re.MULTILINE)
_Listed: TypeAlias = "tuple[list[list[str]], bytes]"
_VALIDITY, _BITS, _ALGORITHM, _CREATED, _CAPABILITIES, _FINGERPRINT = 1, 2, 3, 5, 11, 9
_FIELDS = 12
_DEAD = frozenset("reidn")  # revoked, expired, invalid, disabled, not valid
_SHORTEST = {"1": 2048, "2": 2048, "3": 2048, "16": 2048, "17": 2048, "18": 255, "19": 255, "22": 255}  # RFC 4880 9.1
_RSA_BITS, _CURVE_BITS = 2048, 256
_WEAK_DIGESTS = frozenset({"md2", "md4", "md5", "sha1"})
_MAIL_USES = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


@dataclass(frozen=True, slots=True)
class ReplyKey(Private, shows=("kind",)):
    """A public key to encrypt a reply to: an armoured OpenPGP key without other people's signatures, or a certificate.

    :param key: either is text (RFC 9580 section 6, RFC 7468).
    """

    kind: ReplyKind
    key: bytes


def choose_reply_key(
    address: str, keys: Sequence[bytes], certificate: bytes | None = None, *, signer: str | None = None
) -> ReplyKey | None:
    """Choose a key for an address; an OpenPGP key goes before a certificate, the signer's before the newest.

    :param keys: OpenPGP public keys, armoured or binary, as strangers sent them.
    :param certificate: of the S/MIME signer, PEM.
    :param signer: fingerprint of the OpenPGP key whose signature was valid and matched From.
    """
    usable = list(dict.fromkeys(key for key in keys if 0 < len(key) <= _KEY_BYTES))[:_KEY_COUNT]
    named = any(may_name(key, address) for key in usable)  # the others count too: one may revoke what another says
    try:
        found = _openpgp(address, usable, signer) if named else None
    except UnreadableError:  # a key that gpg chokes on is none
        found = None
    if found is None and certificate is not None and _fits(address, certificate):
        return ReplyKey("smime", certificate)
    return found


def _openpgp(address: str, keys: Sequence[bytes], signer: str | None) -> ReplyKey | None:
    with private_directory() as place:
        found = _keys(Gpg(place, empty_home(place), _LIMITS), keys)
    alive = [(rows, key) for rows, key in found if _usable(rows, address)]
    if not alive:
        return None
    return ReplyKey("openpgp", max(alive, key=lambda one: (_fingerprint(one[0]) == signer, _created(one[0])))[1])


def _keys(gpg: Gpg, keys: Sequence[bytes]) -> "list[_Listed]":
    """Return each key as gpg would take it in, with its list; different copies of one key are joined first."""
    found = _listed(gpg, keys)
    if len({_fingerprint(rows) for rows, _ in found}) == len({key for _, key in found}):
        return found
    files = {f"key{number}": key for number, key in enumerate(keys)}
    gpg.run([*_MINIMAL, "--import", *(f"{{{name}}}" for name in files)], files=files)
    return _listed(gpg, [gpg.run([*_MINIMAL, "--export"]).output])


def _listed(gpg: Gpg, keys: Sequence[bytes]) -> "list[_Listed]":
    """List and export keys as an import would leave them, in one run and without importing them."""
    files = {f"key{number}": key for number, key in enumerate(keys)}
    run = gpg.run([*_SHOWN, "--import", *(f"{{{name}}}" for name in files)], files=files)
    return _each_key(run.output.decode("utf-8", "replace"))


def _each_key(output: str) -> "list[_Listed]":
    """Cut gpg's output into keys: of each the rows of its list, and the armoured key that follows them.

    A user id can't hold what looks like armour, because a list writes its line ends and colons as numbers.
    """
    found: list[_Listed] = []
    rows: list[list[str]] = []
    for piece in _ARMOURED.split(output):
        if piece.startswith(_BEGIN):
            found += [(rows, piece.encode())] if rows else []
            rows = []
        else:
            listed = [line.split(":") for line in piece.split("\n")]
            starts = [number for number, row in enumerate(listed) if row[0] == "pub"]
            last = listed[starts[-1] :] if starts else []
            rows = [row for row in last if row[0] in {"pub", "sub", "uid", "fpr"}]
    return found


def _created(rows: list[list[str]]) -> str:
    return rows[0][_CREATED].zfill(12)


def _fingerprint(rows: list[list[str]]) -> str:
    return next((row[_FINGERPRINT] for row in rows if row[0] == "fpr" and len(row) > _FINGERPRINT), "")


def _usable(rows: list[list[str]], address: str) -> bool:
    primary = rows[0]
    if len(primary) < _FIELDS or "E" not in primary[_CAPABILITIES] or not _sound(primary):
        return False
    users = "\n".join(":".join(row) for row in rows if row[0] == "uid").encode()
    return address.lower() in uid_addresses(users) and all(_sound(row) for row in rows if _encrypts(row))


def _encrypts(row: list[str]) -> bool:
    """Tell whether gpg may choose this row's key: it takes the newest living one, so all of them must be strong."""
    alive = row[0] in {"pub", "sub"} and len(row) >= _FIELDS and row[_VALIDITY][:1] not in _DEAD
    return alive and "e" in row[_CAPABILITIES]


def _sound(row: list[str]) -> bool:
    least = _SHORTEST.get(row[_ALGORITHM])
    return row[_VALIDITY][:1] not in _DEAD and least is not None and row[_BITS].isdecimal() and int(row[_BITS]) >= least


def _fits(address: str, pem: bytes) -> bool:
    """Tell whether a certificate belongs to the address, is in its time, strong, and meant for encrypting mail."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        current = certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
        return (
            current
            and address.lower() in addresses(certificate)
            and _strong(certificate)
            and _meant_for_mail(certificate)
        )
    except BAD_CERTIFICATE:
        return False


def _strong(certificate: x509.Certificate) -> bool:
    digest, key = certificate.signature_hash_algorithm, certificate.public_key()
    if digest is not None and digest.name in _WEAK_DIGESTS:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= _CURVE_BITS


def _meant_for_mail(certificate: x509.Certificate) -> bool:
    """Read KeyUsage and ExtendedKeyUsage as RFC 8550 section 4.4 does; an absent one allows everything."""
    agrees = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage) and not (value.key_agreement if agrees else value.key_encipherment):
            return False
        if isinstance(value, x509.ExtendedKeyUsage) and not _MAIL_USES & set(value):
            return False
    return True
