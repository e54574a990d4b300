"""Attachments: each file of a message lies sealed in a place of its own.

Those of a small mail are rows beside its case, as it is itself, under its key; all others are objects, each under
a key that can be destroyed alone. What shows somebody's identity document lies under ``identity/``, so that the
keeper, who can open nothing, knows what to destroy as soon as identity is decided (:mod:`vault.steps.identity_copies`).
"""

from base64 import b64encode
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

from vault.intake.opened import Attachment, SignedContent
from vault.steps.casefile import CaseFile, arrival_owner
from vault.steps.parts import Parts
from vault.steps.sealed_object import put_sealed

DELETE_AFTER = "delete_after"
IDENTITY = "identity"  # to be destroyed when identity is decided
SIGNED = "signed"  # what stands in place of a number: the signed original words, where they are kept apart
_SIGNATURE = ("signature", "signed")
_INLINE: Final = 262_144  # bytes of a signature and its words that stand in the particulars
_THREES: Final = 49_152  # bytes that become 64 KiB of base64


def attachment_owner(arrival_ref: str, place: str) -> str:
    """Name the key of one attachment.

    :param place: its number, counted from 1, or ``signed``.
    """
    return f"{arrival_owner(arrival_ref)}/{place}"


def attachment_key(arrival_ref: str, place: str, delete_after: str | None = None) -> str:
    """Name the object that holds one attachment."""
    return f"{IDENTITY}/{arrival_ref}/{place}" if delete_after else f"arrival/{arrival_ref}/attachment-{place}"


def attachment_item(place: str) -> str:
    """Name the row that holds one attachment of a small mail."""
    return f"attachment:{place}"


def with_places(particulars: dict[str, Any]) -> dict[str, Any]:
    """Return the particulars, in which each file has its ``place``."""
    listed = [{**words, "place": str(number)} for number, words in enumerate(particulars["attachments"], start=1)]
    return {**particulars, "attachments": listed}


def shows_identity(particulars: dict[str, Any]) -> bool:
    """Tell whether one of the files is to be destroyed when identity is decided."""
    return any(words.get(DELETE_AFTER) for words in particulars.get("attachments", ()))


def store_attachments(
    parts: Parts,
    arrival_ref: str,
    attachments: Sequence[Attachment],
    particulars: dict[str, Any],
    keys: MutableMapping[str, bytes],
) -> None:
    """Seal each attachment and store it; a kill before the caller's transaction leaves ciphertext that nothing opens.

    :param particulars: its ``attachments`` describe these files in the same order, with their places.
    :param keys: owner to key; the new keys are added, to be sealed in the caller's transaction.
    :raises OutOfReachError: the object store does not answer.
    """
    for words, file in zip(particulars["attachments"], attachments, strict=True):
        owner = attachment_owner(arrival_ref, words["place"])
        name = attachment_key(arrival_ref, words["place"], words.get(DELETE_AFTER))
        keys[owner] = put_sealed(parts, owner, name, file.data)


def read_attachment(file: CaseFile, arrival_ref: str, words: dict[str, Any]) -> bytes:
    """Return the bytes of one attachment.

    :param words: what the particulars say of it.
    :raises KeyMissingError: it was destroyed.
    """
    place = words["place"]
    small = file.beside(arrival_owner(arrival_ref), attachment_item(place))
    if small is not None:
        return small
    name = attachment_key(arrival_ref, place, words.get(DELETE_AFTER))
    return file.get_sealed(attachment_owner(arrival_ref, place), name)


def store_signature(
    parts: Parts,
    arrival_ref: str,
    signed: SignedContent | None,
    particulars: dict[str, Any],
    keys: MutableMapping[str, bytes],
) -> dict[str, Any]:
    """Keep a signature with what it covers: a small one in the particulars, a large one in an object of its own.

    One that covers copies of identity documents goes with these.

    :param particulars: as for :func:`store_attachments`.
    :param keys: as there.
    :returns: the particulars with ``signature`` and ``signed``, or with ``signature_at``.
    :raises OutOfReachError: the object store does not answer.
    """
    if signed is None:
        return {**particulars, **dict.fromkeys(_SIGNATURE)}
    copies = shows_identity(particulars)
    if not copies and len(signed.signature) + len(signed.content or b"") <= _INLINE:
        told = (signed.signature, signed.content)
        words = (None if part is None else b64encode(part).decode("ascii") for part in told)
        return {**particulars, **dict(zip(_SIGNATURE, words, strict=True))}
    owner, delete_after = attachment_owner(arrival_ref, SIGNED), IDENTITY if copies else None
    keys[owner] = put_sealed(parts, owner, attachment_key(arrival_ref, SIGNED, delete_after), _lines_of(signed))
    at = {"signature_at": arrival_ref, "signature_delete_after": delete_after}
    return {**particulars, **dict.fromkeys(_SIGNATURE), **at}


def _lines_of(signed: SignedContent) -> Iterator[bytes]:
    """Spell a signature in one line of base64 and what it covers in another, without a whole copy."""
    yield from _base64(signed.signature)
    yield b"\n"
    yield from _base64(signed.content or b"")


def _base64(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    return (b64encode(view[at : at + _THREES]) for at in range(0, len(data), _THREES))


def with_signature(file: CaseFile, particulars: dict[str, Any]) -> dict[str, Any]:
    """Bring back the signature that lies beside copies of identity documents.

    :raises KeyMissingError: they were destroyed, because identity is decided.
    """
    arrival_ref = particulars.get("signature_at")
    if arrival_ref is None:
        return particulars
    name = attachment_key(arrival_ref, SIGNED, particulars.get("signature_delete_after", IDENTITY))
    lines = file.get_sealed(attachment_owner(arrival_ref, SIGNED), name).decode("ascii").split("\n")
    return {**particulars, **{name: line or None for name, line in zip(_SIGNATURE, lines, strict=True)}}


def owners_at(parts: Parts, arrival_ref: str) -> dict[str, str]:
    """Return the objects that hold an arrival's attachments, each with the owner of its key."""
    names = [
        *parts.objects.list(f"arrival/{arrival_ref}/attachment-"),
        *parts.objects.list(f"{IDENTITY}/{arrival_ref}/"),
    ]
    return {name: attachment_owner(arrival_ref, name.rpartition("/")[2].removeprefix("attachment-")) for name in names}
