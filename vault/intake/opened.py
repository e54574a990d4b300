"""What opening a mail gives: outcome, proof, text, attachments; ``repr`` shows nothing personal."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from vault.domain.private import Private
from vault.intake.reports import Report


class Outcome(StrEnum):
    """How opening a mail ended."""

    OPENED = "opened"  # it was encrypted to us and could be read
    PLAIN = "plain"  # it was not encrypted
    UNDECRYPTABLE = "undecryptable"  # it is encrypted, and no key of ours opens it soundly
    REFUSED = "refused"  # it is broken, hostile or over a limit


class Encryption(StrEnum):
    """How a mail was encrypted."""

    PGP_MIME = "pgp-mime"
    PGP_INLINE = "pgp-inline"
    SMIME = "smime"
    NONE = "none"


class ProofKind(StrEnum):
    """What a signature shows. ``valid`` proves possession of a key, never who the person is."""

    NONE = "none"
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN_KEY = "unknown-key"


@dataclass(frozen=True, slots=True)
class SenderProof(Private, shows=("kind",)):
    """The verdict on a mail's signature.

    :param fingerprint: of the OpenPGP primary key (40 hexadecimal digits; of an unknown key whatever the
        signature names), or the SHA-256 of the S/MIME certificate (64 digits).
    :param from_matches: whether the From address stands in a user id, or in the certificate.
    :param why: what spoils an ``invalid`` one: ``signature_bad``, ``signature_expired``, ``signature_weak``,
        ``signature_malformed``, ``signer_key_expired``, ``signer_key_revoked``, ``certificate_expired``,
        ``certificate_unreadable`` or ``several_signers``.
    """

    kind: ProofKind = ProofKind.NONE
    fingerprint: str | None = None
    from_matches: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class SignedContent(Private):
    """What is needed to check the OpenPGP signature again later, with another key and without ours.

    :param signature: the detached signature, or a signed message when ``content`` is None.
    """

    signature: bytes
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decrypted(Private):
    """What was inside one encryption.

    :param remark: ``own_key_expired``, ``own_key_revoked`` or ``own_certificate_expired`` when the sender
        holds an old copy of our key and should be sent the new one; else empty.
    """

    content: bytes
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Attachment(Private):
    """A file that came with a mail; the name is made harmless, the type is what the sender claims."""

    name: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class MailHeaders(Private):
    """The headers that count, read from outside the encryption (the subject from inside, if it stands there)."""

    from_address: str | None = None
    subject: str = ""
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: datetime | None = None
    auto: bool = False  # written by a machine or a list: never answer it automatically (RFC 3834)
    autocrypt: bytes | None = None  # the sender's OpenPGP key, from the mail's header
    report: Report | None = None  # what a machine's mail says about ours; None for a person's
    language: str | None = None  # what Content-Language or Accept-Language names first of fi, sv, en (RFC 3282)


@dataclass(frozen=True, slots=True)
class OpenedMail(Private, shows=("outcome", "reason", "encryption")):
    """A mail after opening.

    :param reason: a stable code, the first of the remarks; empty when all is well.
    :param text: of ``opened`` only what was inside the encryption; nothing outside is joined to it.
    :param attached_keys: OpenPGP public keys that came with the mail: they prove nothing by themselves.
    :param sender_key: the OpenPGP public key, armoured, that made a valid signature.
    :param certificate: the S/MIME signer's certificate, PEM.
    :param signed: the signed OpenPGP content, to check again with a key that is known later.
    :param remarks: all that a person should know of a mail that could be read: ``outside_ignored``,
        ``html_unreadable``, ``own_key_expired``, ``own_key_revoked``, ``own_certificate_expired``,
        ``signature_partial``, ``text_cut``, ``from_differs``.
    """

    outcome: Outcome
    reason: str = ""
    encryption: Encryption = Encryption.NONE
    sender_proof: SenderProof = SenderProof()
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    headers: MailHeaders = field(default_factory=MailHeaders)
    attached_keys: tuple[bytes, ...] = ()
    sender_key: str | None = None
    certificate: bytes | None = None
    signed: SignedContent | None = None
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what ``dsr inspect mail`` prints: attachments by size and SHA-256, remarks where there are any."""
        proof = self.sender_proof
        remarks = [*self.remarks, *([proof.why] if proof.why else [])]
        said = {"remarks": remarks} if remarks else {}
        return said | {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "encryption": self.encryption.value,
            "sender_proof": {
                "kind": proof.kind.value,
                "fingerprint": proof.fingerprint,
                "from_matches": proof.from_matches,
            },
            "text": self.text,
            "attachments": [
                {"name": a.name, "type": a.type, "size": len(a.data), "sha256": sha256(a.data).hexdigest()}
                for a in self.attachments
            ],
        }
