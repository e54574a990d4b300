"""S/MIME mail (CMS, RFC 8551) is opened and its signatures are checked by `openssl cms`, on anonymous memory.

A signature is judged by its own certificate; no chain is built, because a stranger's issuer proves
nothing to us: what counts is whether this very certificate was bound to the person before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.cms import RecipientKind, recipient_kinds
from vault.intake.opened import Decrypted, ProofKind, SenderProof
from vault.intake.sandbox import ChildLimits, private_directory
from vault.intake.tool import ToolRun, run_tool

_DECRYPT = ("openssl", "cms", "-decrypt", "-inform", "DER", "-keyform", "DER", "-inkey", "{key}")
_NO_ISSUERS = ("-no-CAfile", "-no-CApath", "-no-CAstore")  # to load the system's takes 20 ms, for nothing
_VERIFY = ("openssl", "cms", "-verify", "-noverify", *_NO_ISSUERS, "-binary", "-inform", "DER")
_UNVERIFIED = ("-nosigs", "-no_attr_verify", "-no_content_verify")
_NO_CERTIFICATE = b"signer certificate not found"
_NO_RECIPIENT = b"Error decrypting CMS using private key"  # before any content was tried
_WEAK_CIPHER = b"cipher initialisation error"  # openssl's own word, for a cipher that it does not offer
_ADVICE = "the S/MIME message can't be read; a person must look at the original"


@dataclass(frozen=True, slots=True)
class SmimeKey(Private):
    """A private key of ours (PKCS #8 as DER, not encrypted, in memory only).

    :param certificate: its own (PEM), where there is one; ``ends`` is that one's last moment.
    """

    key: bytes
    certificate: bytes | None = None
    ends: datetime | None = None

    @property
    def remark(self) -> str:
        """``own_certificate_expired`` when nobody should encrypt to this key any more; else empty."""
        return "own_certificate_expired" if self.ends is not None and self.ends < datetime.now(UTC) else ""


@dataclass(frozen=True, slots=True)
class Signed(Private):
    """Signed content, the verdict on it, and the signer's certificate (PEM)."""

    content: bytes
    proof: SenderProof
    certificate: bytes | None = None


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
        return _judged(run.output, certificates, sender)

    def _run(self, command: Sequence[str], data: bytes, files: dict[str, bytes], place: Path | None = None) -> ToolRun:
        return run_tool(command, data, cwd=place or Path("/"), limits=self._limits, files=files)


def _wants_password(der: bytes) -> bool:
    try:
        return recipient_kinds(der) == {RecipientKind.PASSWORD}
    except UnreadableError:
        return False


def _judged(content: bytes, certificates: bytes, sender: str | None) -> Signed:
    """Judge a good signature by its certificate, which goes along with a proof that stands."""
    from vault.intake.smimesigner import judge  # noqa: PLC0415 - few mails have one, and a child starts 30 ms sooner

    proof = judge(content, certificates, sender)
    return Signed(content, proof, certificates if proof.fingerprint else None)
