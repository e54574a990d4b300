"""Which layer lies around a mail's content: one encryption or one signature, found without guessing.

Encryption is looked for in the whole mail, because some programs and servers wrap it; exactly one encrypted
part may be there. A signature counts only around everything that is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.armour import armour_blocks, starts_armour
from vault.intake.cms import content_kind
from vault.intake.mime import Part, canonical

_CMS_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_CMS_NAMES = (".p7m", ".p7z")
_CMS_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_SIGNATURE_NAMES = {".p7s": "application/pkcs7-signature", ".asc": "application/pgp-signature"}
_PGP_SIGNATURE = "application/pgp-signature"
_PGP_NAMES = (".asc", ".pgp", ".gpg")
_OPAQUE_TYPES = frozenset({"application/octet-stream", "application/pgp-encrypted", "application/pgp"})
_PACKET = 0x80  # every binary OpenPGP packet starts with this bit
_BLANKS = b" \t\r\n\xa0\xc2\xef\xbb\xbf"  # no-break spaces and a byte order mark among them
_SUBSTANCE = re.compile(rb"[^ \t\r\n\xa0\xc2]")
_MAIL_NAMES = frozenset({"", "smime.p7m", "smime.p7z"})  # as mail programs name a whole mail (RFC 8551 section 3.2.1)
_LONGEST_CONTROL = 100  # bytes
_VERSION = b"version: 1"  # the control part of RFC 3156
_ADVICE = "the mail's encryption is put together in a way that can't be read; a person must look at the original"


class LayerKind(StrEnum):
    """What has to be taken off."""

    PGP_ENCRYPTED = "pgp_encrypted"
    PGP_DETACHED = "pgp_detached"
    PGP_CLEARSIGNED = "pgp_clearsigned"
    CMS_ENCRYPTED = "cms_encrypted"
    CMS_DETACHED = "cms_detached"
    CMS_OPAQUE = "cms_opaque"
    CMS_COMPRESSED = "cms_compressed"


_CMS_LAYERS = {
    "enveloped": LayerKind.CMS_ENCRYPTED,
    "signed": LayerKind.CMS_OPAQUE,
    "compressed": LayerKind.CMS_COMPRESSED,
}


class Inside(StrEnum):
    """What an encrypted part holds."""

    ENTITY = "entity"  # a MIME entity
    TEXT = "text"  # inline text
    FILE = "file"  # an encrypted attachment


@dataclass(frozen=True, slots=True)
class Layer(Private, shows=("kind",)):
    """One layer: its ``message`` (ciphertext, signed message or signature), and what is signed beside it.

    :param inline: the message where it is not all that ``part`` holds.
    :param signed: the exact bytes that a detached signature covers; ``content`` is the same as a part.
    :param alone: nothing else of substance stands beside the encrypted part.
    """

    kind: LayerKind
    part: Part
    inline: bytes | None = None
    inside: Inside = Inside.ENTITY
    signed: bytes = b""
    content: Part | None = None
    alone: bool = True

    @property
    def message(self) -> bytes:
        """The bytes that the layer is made of; not kept, for they may be as many as a mail's."""
        return self.part.content if self.inline is None else self.inline


def find_layer(root: Part, *, opened: bool) -> Layer | None:
    """Find the outermost layer of an entity; None when it is content already.

    :param opened: one encryption is off already: then only the entity as a whole may be encrypted again.
    :raises UnreadableError: ``mail_several_encrypted_parts``, ``mail_signature_malformed``,
        ``mail_encryption_malformed`` or ``mail_encrypted_html``.
    """
    layer = _signature(root)
    if layer is not None:
        return layer
    found = list(islice(_encrypted(root, whole_only=opened), 2))  # of a million blocks none is read further
    if len(found) > 1:
        raise UnreadableError("mail_several_encrypted_parts", _ADVICE)
    if not found and not opened:
        _refuse_hidden(root)
    return replace(found[0], alone=found[0].alone and _stands_alone(root, found[0].part)) if found else None


def _signature(root: Part) -> Layer | None:
    if root.type == "multipart/signed":
        return _detached(root)
    if root.type == "text/plain":
        for block in armour_blocks(root.content, b"PGP SIGNED MESSAGE", b"PGP SIGNATURE"):
            return Layer(LayerKind.PGP_CLEARSIGNED, root, block, alone=root.content.strip() == block.strip())
    return None


def _detached(root: Part) -> Layer:
    if len(root.parts) != 2:  # noqa: PLR2004 - RFC 1847: the content and its signature
        raise UnreadableError("mail_signature_malformed", _ADVICE)
    content, signature = root.parts
    signed = canonical(content.raw)
    kind = signature.type
    if kind not in {_PGP_SIGNATURE, *_CMS_SIGNATURES}:  # what a server made of it; the name is left
        kind = _SIGNATURE_NAMES.get(signature.name.lower()[-4:], kind)
    if kind == _PGP_SIGNATURE:
        return Layer(LayerKind.PGP_DETACHED, root, signature.content, signed=signed, content=content)
    if kind in _CMS_SIGNATURES:
        return Layer(LayerKind.CMS_DETACHED, root, signature.content, signed=signed, content=content)
    raise UnreadableError("mail_signature_malformed", _ADVICE)


def _encrypted(root: Part, *, whole_only: bool) -> Iterator[Layer]:
    wrapped = any(_is_control(part) for part in root.parts)
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.type == "multipart/encrypted":
            yield Layer(LayerKind.PGP_ENCRYPTED, _pgp_mime(part))
        elif part.parts:
            waiting.extend([] if whole_only else reversed(part.parts))
        elif _is_cms(part):
            yield from _cms(part, whole=part is root)
        elif not whole_only:
            yield from _encrypted_leaf(part, wrapped=wrapped)


def _cms(part: Part, *, whole: bool) -> Iterator[Layer]:
    """Find what a CMS part is; a signed file that somebody sends along is none of the mail's layers."""
    kind = _CMS_LAYERS.get(content_kind(part.content) or "")
    mails = whole or part.name.lower() in _MAIL_NAMES
    if kind is LayerKind.CMS_ENCRYPTED or (kind is not None and mails):
        yield Layer(kind, part)


def _encrypted_leaf(part: Part, *, wrapped: bool) -> Iterator[Layer]:
    if part.type == "text/plain" and part.disposition != "attachment":
        for block in armour_blocks(part.content, b"PGP MESSAGE"):
            alone = part.content.strip(_BLANKS) == block.strip(_BLANKS)
            yield Layer(LayerKind.PGP_ENCRYPTED, part, block, Inside.TEXT, alone=alone)
    elif _is_pgp_file(part):
        inside = Inside.ENTITY if wrapped and part.type in _OPAQUE_TYPES else Inside.FILE
        yield Layer(LayerKind.PGP_ENCRYPTED, part, None, inside)


def _stands_alone(root: Part, found: Part) -> bool:
    """Tell whether nothing of substance stands beside a part: no words, no files."""
    inside = set(map(id, found.walk()))
    return not any(
        id(part) not in inside and not _is_version(part) and _SUBSTANCE.search(part.content) for part in root.leaves()
    )


def _is_control(part: Part) -> bool:
    return part.type == "application/pgp-encrypted" or _is_version(part)


def _is_version(part: Part) -> bool:
    """Tell the control part of OpenPGP/MIME, also where a server changed its type (RFC 3156 section 4)."""
    return part.content[:_LONGEST_CONTROL].strip().lower() == _VERSION


def _pgp_mime(part: Part) -> Part:
    """Return the part that holds the ciphertext of a multipart/encrypted (RFC 3156 section 4)."""
    if len(part.parts) != 2 or not _is_control(part.parts[0]):  # noqa: PLR2004 - version, message
        raise UnreadableError("mail_encryption_malformed", _ADVICE)
    return part.parts[1]


def _is_cms(part: Part) -> bool:
    named = part.name.lower().endswith(_CMS_NAMES) and part.type.startswith("application/")
    return part.type in _CMS_TYPES or named


def _is_pgp_file(part: Part) -> bool:
    head = part.content[:200].lstrip(_BLANKS)
    if head.startswith(b"-----BEGIN PGP MESSAGE-----"):
        return True
    binary = part.name.lower().endswith(_PGP_NAMES[1:]) and part.type in _OPAQUE_TYPES
    return binary and bool(head) and head[0] >= _PACKET


def _refuse_hidden(root: Part) -> None:
    """Refuse armour in HTML, which a mail program of the requester took apart; there is nothing safe to open."""
    if any(part.type == "text/html" and starts_armour(part.content, b"PGP MESSAGE") for part in root.leaves()):
        raise UnreadableError("mail_encrypted_html", _ADVICE)
