"""A reply is encrypted and signed when a usable key of the requester is known, and is neutral plain text otherwise.

The key is chosen anew each time, because keys expire. What can't be sealed by a fault of the
requester's key goes out plain, as it does to somebody without a key; a fault of ours is an error,
and the reply waits. An office that holds no mail keys of ours, as the desk, encrypts and does not sign.
"""

import base64
import binascii
from collections.abc import Mapping
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from vault.delivery.compose import OwnFile
from vault.delivery.protected import outer_headers, pgp_mime, protected_payload, smime_enveloped, smime_signed
from vault.errors import OutOfReachError, UnreadableError, WrongUseError
from vault.intake.agent import keep_agent
from vault.intake.gpg import Gpg, empty_home
from vault.intake.gpgstatus import parse_statuses
from vault.intake.replykeys import ReplyKey, choose_reply_key
from vault.intake.sandbox import ChildLimits, private_directory
from vault.intake.smimekey import private_key
from vault.intake.tool import ToolRun, run_tool
from vault.settings import OpenPgpSettings, Settings, SmimeSettings, read_secret

_LIMITS = ChildLimits(seconds=60.0, output=50_000_000)
_LONGEST_HOME = 70  # characters; the agent's sockets stand below it and must stay under 108
_SEALS = (
    *("--personal-digest-preferences", "SHA512 SHA256", "--personal-cipher-preferences", "AES256 AES192 AES"),
    *("--armor", "--no-encrypt-to", "--recipient-file", "{recipient}", "--encrypt"),
)
_SIGNS = ("--no-autostart", "--pinentry-mode", "loopback", "--passphrase-file", "{passphrase}")
_ENVELOPES = ("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", "{certificate}")
_RINGS = ("pubring.kbx", "pubring.gpg")  # gpg asks another program for its keys only where a configuration says so
_PROVED = ("valid", True)


def sealed_reply(settings: Settings, message: EmailMessage, particulars: Mapping[str, Any]) -> EmailMessage:
    """Return a finished plain reply encrypted and signed, or as it is when no usable key is known.

    :param particulars: of the case, as :mod:`vault.steps.reading_mail` wrote them down.
    :raises WrongUseError: a secret of ours is missing or does not fit.
    :raises OutOfReachError: gpg can't sign with the controller's key.
    """
    key = reply_key(particulars) if settings.replies.encrypt else None
    if key is None:
        return message
    payload = protected_payload(message)
    if key.kind == "openpgp":
        sealed = _openpgp(settings.openpgp, payload, key.key)
        return message if sealed is None else pgp_mime(outer_headers(message), sealed)
    der = _smime(settings.smime, payload, key.key)
    return message if der is None else smime_enveloped(outer_headers(message), der)


def reply_key(particulars: Mapping[str, Any]) -> ReplyKey | None:
    """Choose the key of the address that is written to, from what came with the request.

    A certificate counts only when its signature was valid and it names the From address.
    """
    address, proof = particulars.get("reply_to"), particulars.get("sender_proof") or {}
    if not isinstance(address, str):
        return None
    proved = (proof.get("kind"), proof.get("from_matches")) == _PROVED
    certificate = particulars.get("certificate") if proved else None
    coded = [particulars.get("signer_key"), *(particulars.get("keys") or ()), particulars.get("autocrypt")]
    return choose_reply_key(
        address,
        [key for key in map(_decoded, coded) if key],
        certificate.encode() if isinstance(certificate, str) else None,
        signer=proof.get("fingerprint") if proved else None,
    )


def our_keys(settings: Settings) -> tuple[OwnFile, ...]:
    """Return our OpenPGP public key and S/MIME certificate as files, for somebody whose mail we could not open.

    None where this office holds no mail keys.

    :raises OutOfReachError: gpg does not give the key.
    :raises WrongUseError: the certificate can't be read.
    """
    if not (_held(settings.openpgp) and settings.smime.certificate_file.exists()):
        return ()
    home = settings.openpgp.home
    key = _public_key(home, settings.openpgp.fingerprint, _rings(home))
    certificate = _our_certificate(settings.smime).public_bytes(serialization.Encoding.DER)
    return (
        OwnFile("openpgp-key.asc", "application/pgp-keys", key),
        OwnFile("certificate.cer", "application/pkix-cert", certificate),  # RFC 2585 section 4
    )


def _rings(home: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what changes whenever gpg writes a key to the home: each time it makes the ring's file anew."""
    found = ((home / name, name) for name in _RINGS)
    seen = [(name, path.stat()) for path, name in found if path.exists()]
    return tuple((name, one.st_ino, one.st_mtime_ns, one.st_size) for name, one in seen)


@lru_cache(maxsize=4)
def _public_key(home: Path, fingerprint: str, _stamp: tuple[tuple[str, int, int, int], ...]) -> bytes:
    arguments = ["--no-autostart", "--armor", "--export-options", "export-minimal", "--export"]
    with private_directory() as place:
        key = Gpg(place, _short(home, place), _LIMITS).run([*arguments, f"0x{fingerprint}"]).output
    if not key:
        raise OutOfReachError("openpgp_key_missing", "gpg has no key openpgp.fingerprint; correct the setting or home")
    return key


def _held(ours: OpenPgpSettings | SmimeSettings) -> bool:
    """Tell whether this office may use our secret key; a passphrase that is there and wrong is an error later."""
    return ours.passphrase_file.exists()


def _decoded(value: object) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None


def _openpgp(ours: OpenPgpSettings, payload: bytes, key: bytes) -> bytes | None:
    """Sign and encrypt (RFC 3156 section 6.2); None when gpg does not take the requester's key."""
    with private_directory() as place:
        if not _held(ours):
            gpg = Gpg(place, empty_home(place), _LIMITS)
            return _sealed(gpg.run(["--no-autostart", *_SEALS], payload, {"recipient": key}), {"END_ENCRYPTION"})
        gpg = Gpg(place, _short(ours.home, place), _LIMITS)
        files = {"recipient": key, "passphrase": read_secret(ours.passphrase_file).encode()}
        for ask in (False, True):  # an agent that somebody else has ended meanwhile is started again
            keep_agent(gpg.home, ask=ask)
            run = gpg.run([*_SIGNS, "--local-user", ours.fingerprint, "--sign", *_SEALS], payload, files)
            if sealed := _sealed(run, {"END_ENCRYPTION", "SIG_CREATED"}):
                return sealed
            if "INV_RECP" in _names(run):
                return None
    raise OutOfReachError("reply_not_signed", "gpg can't sign with openpgp.fingerprint; check the home and passphrase")


def _sealed(run: ToolRun, needed: set[str]) -> bytes | None:
    return run.output if run.code == 0 and _names(run) >= needed else None


def _names(run: ToolRun) -> set[str]:
    return {name for name, _ in parse_statuses(run.status)}


def _smime(ours: SmimeSettings, payload: bytes, certificate: bytes) -> bytes | None:
    """Sign and then encrypt (RFC 8551 section 3.7), in the cipher that every S/MIME program reads."""
    entity = _smime_signed(ours, payload) if _held(ours) else payload
    try:
        run = run_tool(_ENVELOPES, entity, cwd=Path("/"), limits=_LIMITS, files={"certificate": certificate})
    except UnreadableError:
        return None
    return run.output if run.code == 0 and run.output else None


def _smime_signed(ours: SmimeSettings, payload: bytes) -> bytes:
    key = private_key(ours.key_file.read_bytes(), read_secret(ours.passphrase_file))
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise WrongUseError("smime_key", "the S/MIME key can't sign; smime.key_file is RSA or on a NIST curve")
    certificate = _our_certificate(ours)
    if certificate.public_key() != key.public_key():
        raise WrongUseError("smime_key", "the certificate is of another key than the S/MIME key; correct the files")
    signed = pkcs7.PKCS7SignatureBuilder().set_data(payload).add_signer(certificate, key, hashes.SHA256())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return smime_signed(payload, signed.sign(serialization.Encoding.DER, options))


def _our_certificate(ours: SmimeSettings) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(ours.certificate_file.read_bytes())
    except (OSError, ValueError):
        raise WrongUseError(
            "smime_certificate", "our certificate can't be read; correct smime.certificate_file"
        ) from None


def _short(home: Path, place: Path) -> Path:
    if len(str(home.absolute())) <= _LONGEST_HOME:
        return home.absolute()
    link = place / "home"
    link.symlink_to(home.absolute())
    return link
