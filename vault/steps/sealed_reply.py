"""A reply is encrypted and signed when a usable key of the requester is known, and is neutral plain text otherwise.

The key is chosen anew each time, because keys expire. What can't be sealed by a fault of the
requester's key goes out plain, as it does to somebody without a key; a fault of ours is an error,
and the reply waits. An office that holds no mail keys of ours, as the desk, encrypts and does not sign.
"""

import base64
import binascii
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from vault.delivery.compose import OwnFile
from vault.delivery.protected import outer_headers, pgp_mime, protected_payload, smime_enveloped, smime_signed
from vault.errors import OutOfReachError, UnreadableError, WrongUseError
from vault.intake.gpg import Gpg, empty_home
from vault.intake.gpgstatus import parse_statuses
from vault.intake.replykeys import ReplyKey, choose_reply_key
from vault.intake.sandbox import ChildLimits, private_directory
from vault.intake.smime import load_key
from vault.intake.tool import run_tool
from vault.settings import OpenPgpSettings, Settings, SmimeSettings, read_secret

_LIMITS = ChildLimits(seconds=60.0, output=50_000_000)
_LONGEST_HOME = 70  # characters; the agent's sockets stand below it and must stay under 108
_SEALS = (
    *("--personal-digest-preferences", "SHA512 SHA256", "--personal-cipher-preferences", "AES256 AES192 AES"),
    *("--armor", "--no-encrypt-to", "--recipient-file", "{recipient}", "--encrypt"),
)
_ENVELOPES = ("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", "{certificate}")
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
    with private_directory() as place:
        arguments = ["--no-autostart", "--armor", "--export-options", "export-minimal", "--export"]
        home = _short(settings.openpgp.home, place)
        key = Gpg(place, home, _LIMITS).run([*arguments, f"0x{settings.openpgp.fingerprint}"]).output
    if not key:
        raise OutOfReachError("openpgp_key_missing", "gpg has no key openpgp.fingerprint; correct the setting or home")
    certificate = _our_certificate(settings.smime).public_bytes(serialization.Encoding.DER)
    return (
        OwnFile("openpgp-key.asc", "application/pgp-keys", key),
        OwnFile("certificate.cer", "application/pkix-cert", certificate),  # RFC 2585 section 4
    )


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
    signs = _held(ours)
    files, signing = {"recipient": key}, ["--no-autostart"]
    if signs:
        files["passphrase"] = read_secret(ours.passphrase_file).encode()
        signing = ["--pinentry-mode", "loopback", "--passphrase-file", "{passphrase}"]
        signing += ["--local-user", ours.fingerprint, "--sign"]
    with private_directory() as place:
        home = _short(ours.home, place) if signs else empty_home(place)
        if signs:
            _start_agent(home)
        run = Gpg(place, home, _LIMITS).run([*signing, *_SEALS], payload, files)
    names = {name for name, _ in parse_statuses(run.status)}
    if names >= {"END_ENCRYPTION", *(["SIG_CREATED"] if signs else [])} and run.code == 0:
        return run.output
    if "INV_RECP" in names or not signs:
        return None
    raise OutOfReachError("reply_not_signed", "gpg can't sign with openpgp.fingerprint; check the home and passphrase")


def _smime(ours: SmimeSettings, payload: bytes, certificate: bytes) -> bytes | None:
    """Sign and then encrypt (RFC 8551 section 3.7), in the cipher that every S/MIME program reads."""
    entity = _smime_signed(ours, payload) if _held(ours) else payload
    try:
        run = run_tool(_ENVELOPES, entity, cwd=Path("/"), limits=_LIMITS, files={"certificate": certificate})
    except UnreadableError:
        return None
    return run.output if run.code == 0 and run.output else None


def _smime_signed(ours: SmimeSettings, payload: bytes) -> bytes:
    key = serialization.load_pem_private_key(
        load_key(ours.key_file.read_bytes(), read_secret(ours.passphrase_file)).key, None
    )
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise WrongUseError("smime_key", "the S/MIME key can't sign; smime.key_file is RSA or on a NIST curve")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(payload)
    signed = builder.add_signer(_our_certificate(ours), key, hashes.SHA256())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return smime_signed(payload, signed.sign(serialization.Encoding.DER, options))


def _our_certificate(ours: SmimeSettings) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(ours.certificate_file.read_bytes())
    except (OSError, ValueError):
        raise WrongUseError(
            "smime_certificate", "our certificate can't be read; correct smime.certificate_file"
        ) from None


def _start_agent(home: Path) -> None:
    """Start gpg's agent outside of the limits of one call, because it lives on."""
    launch = ["gpgconf", "--homedir", str(home), "--launch", "gpg-agent"]
    if subprocess.run(launch, capture_output=True, check=False, cwd="/").returncode != 0:
        raise OutOfReachError("openpgp_agent", "gpg's agent does not start; try `gpgconf --launch gpg-agent` by hand")


def _short(home: Path, place: Path) -> Path:
    if len(str(home.absolute())) <= _LONGEST_HOME:
        return home.absolute()
    link = place / "home"
    link.symlink_to(home.absolute())
    return link
