"""What the certificate of a good S/MIME signature says of its signer: which key, whose addresses, current or not."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from vault.intake.opened import ProofKind, SenderProof

_DIGEST_ATTRIBUTE = bytes.fromhex("06092a864886f70d010904")  # messageDigest (RFC 5652 section 11.2), as DER
_SET = b"\x31"
_LONGEST_ATTRIBUTES = 10_000  # bytes; a signature over them fits their own bytes as content too
BAD_CERTIFICATE = (  # what the library says of one that it can't read
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def addresses(certificate: x509.Certificate) -> frozenset[str]:
    """Return the mail addresses that a certificate names, in lower case."""
    subject = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(address.lower() for address in subject)
    return frozenset(address.lower() for address in (*subject, *names.get_values_for_type(x509.RFC822Name)))


def judge(content: bytes, pem: bytes, sender: str | None) -> SenderProof:
    """Judge a good signature by its certificate: exactly one signer, in its time, over a text.

    :param pem: the signers' certificates.
    :returns: a proof with a fingerprint when there is such a certificate.
    """
    if content.startswith(_SET) and _DIGEST_ATTRIBUTE in content[:_LONGEST_ATTRIBUTES]:
        return SenderProof(ProofKind.INVALID, why="signature_malformed")
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        if len(certificates) != 1:
            return SenderProof(ProofKind.INVALID, why="several_signers")
        (certificate,) = certificates
        current = certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
        matches = sender is not None and sender.lower() in addresses(certificate)
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex().upper()
    except BAD_CERTIFICATE:
        return SenderProof(ProofKind.INVALID, why="certificate_unreadable")
    kind = ProofKind.VALID if current else ProofKind.INVALID
    return SenderProof(kind, fingerprint, matches and current, "" if current else "certificate_expired")
