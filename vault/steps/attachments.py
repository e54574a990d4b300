"""Attachments: each file of a message lies sealed in a place of its own, under a key that can be destroyed alone.

What shows somebody's identity document lies under ``identity/``, so that the keeper, who can open nothing,
knows what to destroy as soon as identity is decided (:mod:`vault.steps.identity_copies`).
"""

from collections.abc import MutableMapping, Sequence
from typing import Any

from vault.crypto.envelope import new_key, seal
from vault.intake.opened import Attachment
from vault.steps.casefile import CaseFile, arrival_owner, object_context
from vault.steps.parts import Parts

DELETE_AFTER = "delete_after"
IDENTITY = "identity"  # to be destroyed when identity is decided
SIGNED = "signed"  # what stands in place of a number: the signed original words of a mail with such a copy
_SIGNATURE = ("signature", "signed")


def attachment_owner(arrival_ref: str, place: str) -> str:
    """Name the key of one attachment.

    :param place: its number, counted from 1, or ``signed``.
    """
    return f"{arrival_owner(arrival_ref)}/{place}"


def attachment_key(arrival_ref: str, place: str, delete_after: str | None = None) -> str:
    """Name the object that holds one attachment."""
    return f"{IDENTITY}/{arrival_ref}/{place}" if delete_after else f"arrival/{arrival_ref}/attachment-{place}"


def store_attachments(
    parts: Parts,
    arrival_ref: str,
    attachments: Sequence[Attachment],
    particulars: dict[str, Any],
    keys: MutableMapping[str, bytes],
) -> dict[str, Any]:
    """Seal each attachment and store it; a kill before the caller's transaction leaves ciphertext that nothing opens.

    A signature's content goes with the copies of identity documents that it holds.

    :param particulars: its ``attachments`` describe these files in the same order.
    :param keys: owner to key; the new keys are added, to be sealed in the caller's transaction.
    :returns: the particulars, in which each file has its ``place``.
    :raises OutOfReachError: the object store does not answer.
    """
    if not attachments:
        return particulars
    described = particulars["attachments"]
    listed = [{**words, "place": str(number)} for number, words in enumerate(described, start=1)]
    for words, file in zip(listed, attachments, strict=True):
        owner = attachment_owner(arrival_ref, words["place"])
        keys[owner] = _store(
            parts, owner, attachment_key(arrival_ref, words["place"], words.get(DELETE_AFTER)), file.data
        )
    stored = {**particulars, "attachments": listed}
    if not any(words.get(DELETE_AFTER) for words in listed) or not particulars.get("signature"):
        return stored
    content = "\n".join(particulars.get(name) or "" for name in _SIGNATURE).encode("ascii")
    owner = attachment_owner(arrival_ref, SIGNED)
    keys[owner] = _store(parts, owner, attachment_key(arrival_ref, SIGNED, IDENTITY), content)
    return {**stored, **dict.fromkeys(_SIGNATURE), "signature_at": arrival_ref}


def with_signature(file: CaseFile, particulars: dict[str, Any]) -> dict[str, Any]:
    """Bring back the signature that lies beside copies of identity documents.

    :raises KeyMissingError: they were destroyed, because identity is decided.
    """
    arrival_ref = particulars.get("signature_at")
    if arrival_ref is None:
        return particulars
    name = attachment_key(arrival_ref, SIGNED, IDENTITY)
    lines = file.get_sealed(attachment_owner(arrival_ref, SIGNED), name).decode("ascii").split("\n")
    return {**particulars, **{name: line or None for name, line in zip(_SIGNATURE, lines, strict=True)}}


def owners_at(parts: Parts, arrival_ref: str) -> dict[str, str]:
    """Return the objects that hold an arrival's attachments, each with the owner of its key."""
    names = [
        *parts.objects.list(f"arrival/{arrival_ref}/attachment-"),
        *parts.objects.list(f"{IDENTITY}/{arrival_ref}/"),
    ]
    return {name: attachment_owner(arrival_ref, name.rpartition("/")[2].removeprefix("attachment-")) for name in names}


def _store(parts: Parts, owner: str, name: str, data: bytes) -> bytes:
    key = new_key()
    parts.objects.put(name, seal(key, object_context(name, owner), data))
    return key
