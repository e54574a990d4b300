"""Encrypted mail keeps its headers inside: the true subject stands there, and the outer one says nothing (RFC 9788).

A finished plain mail goes in; its protected payload, what stands around the ciphertext, and the two
containers (OpenPGP/MIME, RFC 3156; S/MIME, RFC 8551) come out. Nothing here knows a key.
"""

import secrets
from email.message import EmailMessage, MIMEPart

from vault.delivery.entity import BOUNDARY, READY, attachment, new_message, set_base64

SUBJECT_OUTSIDE = "[...]"  # RFC 9788, the policy hcp_baseline
_CIPHER = b'; hp="cipher";\r\n protected-headers="v1"'  # the second word is what older programs look for
_ENCRYPTED = f'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{BOUNDARY}"'
_STRUCTURE = (b"mime-version:", b"content-")


def protected_payload(message: EmailMessage) -> bytes:
    """Return a plain mail as the payload to be encrypted: its content under a copy of its headers.

    ``HP-Outer`` fields repeat what will stand outside, so that the reader's program knows what was secret.

    :param message: finished and not encrypted.
    """
    head, _, body = message.as_bytes(policy=READY).partition(b"\r\n\r\n")
    fields = _fields(head)
    own = [field for field in fields if not field.lower().startswith(_STRUCTURE)]
    outer = [b"HP-Outer: " + (_hidden(field) or field) for field in own]
    structure = [field for field in fields if field.lower().startswith(b"content-")]
    marked = [field + _CIPHER if field.lower().startswith(b"content-type:") else field for field in structure]
    return b"\r\n".join([*own, *outer, *marked]) + b"\r\n\r\n" + body


def outer_headers(message: EmailMessage) -> EmailMessage:
    """Return a mail with the same headers, an empty subject and no content yet."""
    outer = new_message()
    for name, value in message.raw_items():
        if not name.lower().startswith(("content-", "mime-version")):
            outer[name] = SUBJECT_OUTSIDE if name.lower() == "subject" else str(value)
    return outer


def pgp_mime(message: EmailMessage, ciphertext: bytes) -> EmailMessage:
    """Make an encrypted MIME entity the whole content of a mail (RFC 3156 section 4).

    :param message: its headers stand; it has no content yet.
    :param ciphertext: an armoured OpenPGP message whose plaintext is a MIME entity.
    """
    version, sealed = MIMEPart(policy=READY), MIMEPart(policy=READY)
    version["Content-Type"] = "application/pgp-encrypted"
    version.set_payload("Version: 1\r\n")
    sealed["Content-Type"] = "application/octet-stream"
    sealed["Content-Disposition"] = 'attachment; filename="encrypted.asc"'
    sealed.set_payload(ciphertext.decode("ascii"))
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = _ENCRYPTED
    message.set_payload([version, sealed])
    return message


def smime_enveloped(message: EmailMessage, der: bytes) -> EmailMessage:
    """Make a CMS EnvelopedData the whole content of a mail (RFC 8551 section 3.3)."""
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = 'application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'
    message["Content-Disposition"] = 'attachment; filename="smime.p7m"'
    set_base64(message, der)
    return message


def smime_signed(entity: bytes, signature: bytes) -> bytes:
    """Put a detached CMS signature beside the entity that it covers (RFC 8551 section 3.5.3).

    :param entity: in canonical form; its exact bytes are signed.
    :param signature: SignedData without content, DER.
    """
    part = attachment('application/pkcs7-signature; name="smime.p7s"', signature, "smime.p7s")
    boundary = secrets.token_hex(16).encode()
    kind = b'multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=sha-256; boundary="' + boundary + b'"'
    limit = b"\r\n--" + boundary
    head = b"Content-Type: " + kind + b"\r\n"
    return head + limit + b"\r\n" + entity + limit + b"\r\n" + part.as_bytes(policy=READY) + limit + b"--\r\n"


def _fields(head: bytes) -> list[bytes]:
    """Cut a header block into fields; a folded one stays together."""
    fields: list[bytes] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b"\r\n" + line
        else:
            fields.append(line)
    return fields


def _hidden(field: bytes) -> bytes | None:
    return f"Subject: {SUBJECT_OUTSIDE}".encode() if field.lower().startswith(b"subject:") else None
