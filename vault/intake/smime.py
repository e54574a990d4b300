"""S/MIME mail (CMS, RFC 8551) is opened and its signatures are checked by `openssl cms`, on anonymous memory.

A signature is judged by its own certificate; no chain is built, because a stranger's issuer proves
nothing to us: what counts is whether this very certificate was bound to the person before.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from vault.domain.private import Private
from vault.errors import UnreadableError, WrongUseError
from vault.intake.cms import RecipientKind, recipient_kinds
from vault.intake.opened import Decrypted, ProofKind, SenderProof
from vault.intake.sandbox import ChildLimits, private_directory
from vault.intake.tool import ToolRun, run_tool

_DECRYPT = ("openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", "{key}")
_NO_ISSUERS = ("-no-CAfile", "-no-CApath", "-no-CAstore")  # to load the system's takes 20 ms, for nothing
_VERIFY = ("openssl", "cms", "-verify", "-noverify", *_NO_ISSUERS, "-binary", "-inform", "DER")
_UNVERIFIED = ("-nosigs", "-no_attr_verify", "-no_content_verify")
_NO_CERTIFICATE = b"signer certificate not found"
_NO_RECIPIENT = b"Error decrypting CMS using private key"  # before any content was tried
_WEAK_CIPHER = b"cipher initialisation error"  # openssl's own word, for a cipher that it does not offer
_DIGEST_ATTRIBUTE = bytes.fromhex("06092a864886f70d010904")  # messageDigest (RFC 5652 section 11.2), as DER
_SET = b"\x31"
_LONGEST_ATTRIBUTES = 10_000  # bytes; a signature over them fits their own bytes as content too
_ADVICE = "the S/MIME message can't be read; a person must look at the original"
_BAD_CERTIFICATE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class SmimeKey(Private):
    """A private key of ours (PEM, not encrypted, in memory only) and its certificate, where there is one."""

    key: bytes
    certificate: bytes | None

    @property
    def remark(self) -> str:
        """``own_certificate_expired`` when nobody should encrypt to this key any more; else empty."""
        if self.certificate is None:
            return ""
        ends = x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc
        return "own_certificate_expired" if ends < datetime.now(UTC) else ""


@dataclass(frozen=True, slots=True)
class Signed(Private):
    """Signed content, the verdict on it, and the signer's certificate (PEM)."""

    content: bytes
    proof: SenderProof
    certificate: bytes | None = None


def load_key(data: bytes, password: str | None) -> SmimeKey:
    """Read a private key from PEM (with or without its certificate) or PKCS#12.

    :raises WrongUseError: it is neither, or no certificate in it is the key's (``smime_key``), or the password does
        not fit (``smime_passphrase``).
    """
    secret = password.encode() if password else None
    try:
        if b"-----BEGIN" in data:
            key = serialization.load_pem_private_key(data, secret)
            certificates = x509.load_pem_x509_certificates(data) if b"BEGIN CERTIFICATE" in data else []
        else:
            found, certificate, _ = pkcs12.load_key_and_certificates(data, secret)
            if found is None:
                raise WrongUseError("smime_key", "the PKCS#12 file holds no private key")
            key, certificates = found, [certificate] if certificate else []
        own = [one for one in certificates if one.public_key() == key.public_key()]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unreadable(data) from None
    if certificates and not own:
        raise WrongUseError("smime_key", "the certificate is of another key than the S/MIME key; correct the files")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SmimeKey(pem, own[0].public_bytes(serialization.Encoding.PEM) if own else None)


def _unreadable(data: bytes) -> WrongUseError:
    """Tell a wrong password from a broken file, as far as its outside shows."""
    locked = b"ENCRYPTED" in data if b"-----BEGIN" in data else data[:1] == b"0"
    if locked:
        return WrongUseError("smime_passphrase", "the password does not open our S/MIME key; correct its secret file")
    return WrongUseError("smime_key", "the S/MIME key can't be read; correct the file")


def load_any_key(data: bytes, passwords: Sequence[str]) -> SmimeKey:
    """Read a private key with the first of several passwords that fits it, or with none.

    :raises WrongUseError: none fits.
    """
    for password in (None, *passwords[:-1]):
        with contextlib.suppress(WrongUseError):
            return load_key(data, password)
    return load_key(data, passwords[-1] if passwords else None)


class Smime(Private):
    """`openssl cms` with the controller's keys.

    :param keys: tried in turn.
    """

    def __init__(self, keys: Sequence[SmimeKey] = (), limits: ChildLimits | None = None) -> None:
        self._keys = tuple(keys)
        self._limits = limits or ChildLimits(seconds=60.0, output=200_000_000)

    def decrypt(self, der: bytes) -> Decrypted:
        """Take the encryption off; expired and replaced keys of ours still do.

        :raises UnreadableError: ``key_not_configured``, ``smime_no_key`` (it is not for our keys),
            ``smime_password_only`` (it wants a password and no key), ``smime_cipher`` (a cipher that is too weak
            to be offered), ``smime_not_sound``, or ``tool_...``.
        """
        if not self._keys:
            raise UnreadableError("key_not_configured", "no S/MIME key is configured; set smime.key_file")
        foreign = True
        for key in self._keys:
            files = {"key": key.key} | ({"recipient": key.certificate} if key.certificate else {})
            recipient = ("-recip", "{recipient}") if key.certificate else ()
            run = self._run((*_DECRYPT, *recipient), der, files)
            if run.code == 0 and run.output:
                return Decrypted(run.output, key.remark)
            if _WEAK_CIPHER in run.complaints:
                raise UnreadableError("smime_cipher", "the message uses a cipher that is too weak; ask for another")
            foreign = foreign and _NO_RECIPIENT in run.complaints
        if foreign and _wants_password(der):
            raise UnreadableError("smime_password_only", "the message wants a password; send the requester our key")
        if foreign:
            raise UnreadableError("smime_no_key", "the message is not encrypted to our key; send the requester our key")
        raise UnreadableError("smime_not_sound", "the message is damaged or badly encrypted; ask for another")

    def read_signed(self, der: bytes, from_address: str | None) -> Signed:
        """Open opaque signed data.

        :raises UnreadableError: ``smime_malformed`` when there is no content in it, or ``tool_...``.
        """
        found = self._verify(der, {}, from_address)
        if found.content:
            return found
        bare = self._run((*_VERIFY, *_UNVERIFIED), der, {})
        if not bare.output:
            raise UnreadableError("smime_malformed", _ADVICE)
        return Signed(bare.output, found.proof, found.certificate)

    def check(self, content: bytes, der: bytes, from_address: str | None) -> Signed:
        """Judge a detached signature over exact bytes."""
        found = self._verify(der, {"content": content}, from_address)
        return Signed(content, found.proof, found.certificate)

    def _verify(self, der: bytes, files: dict[str, bytes], sender: str | None) -> Signed:
        """Verify; the content is empty unless the signature is good."""
        detached = ("-content", "{content}") if files else ()
        with private_directory() as place:
            signer = place / "signer.pem"
            run = self._run((*_VERIFY, *detached, "-signer", str(signer)), der, files, place)
            certificates = signer.read_bytes() if signer.exists() else b""
        if run.code != 0:
            kind = ProofKind.UNKNOWN_KEY if _NO_CERTIFICATE in run.complaints else ProofKind.INVALID
            return Signed(b"", SenderProof(kind, why="" if kind is ProofKind.UNKNOWN_KEY else "signature_bad"))
        return _judge(run.output, certificates, sender)

    def _run(self, command: Sequence[str], data: bytes, files: dict[str, bytes], place: Path | None = None) -> ToolRun:
        return run_tool(command, data, cwd=place or Path("/"), limits=self._limits, files=files)


def _wants_password(der: bytes) -> bool:
    try:
        return recipient_kinds(der) == {RecipientKind.PASSWORD}
    except UnreadableError:
        return False


def addresses(certificate: x509.Certificate) -> frozenset[str]:
    """Return the mail addresses that a certificate names, in lower case."""
    subject = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(address.lower() for address in subject)
    return frozenset(address.lower() for address in (*subject, *names.get_values_for_type(x509.RFC822Name)))


def _judge(content: bytes, pem: bytes, sender: str | None) -> Signed:
    """Judge a good signature by its certificate: exactly one signer, in its time, over a text."""
    if content.startswith(_SET) and _DIGEST_ATTRIBUTE in content[:_LONGEST_ATTRIBUTES]:
        return Signed(content, SenderProof(ProofKind.INVALID, why="signature_malformed"))
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        if len(certificates) != 1:
            return Signed(content, SenderProof(ProofKind.INVALID, why="several_signers"))
        (certificate,) = certificates
        current = certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
        matches = sender is not None and sender.lower() in addresses(certificate)
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex().upper()
    except _BAD_CERTIFICATE:
        return Signed(content, SenderProof(ProofKind.INVALID, why="certificate_unreadable"))
    kind = ProofKind.VALID if current else ProofKind.INVALID
    why = "" if current else "certificate_expired"
    return Signed(content, SenderProof(kind, fingerprint, matches and current, why), pem)
