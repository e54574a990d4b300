"""A letter for the print outbox: sealed by any office, opened by the print role alone.

The sealer makes a fresh key, seals the letter with it and the key to the print role's public half,
and keeps neither: it can't open the letter again. Each sealing has a name of its own, so that a
step that runs twice overwrites nothing.
"""

from dataclasses import dataclass
from hashlib import sha256

from vault.crypto.boxes import seal_key
from vault.crypto.envelope import Context, new_key, seal, unseal

_NAME_DIGITS = 16  # of the sealed key's SHA-256, enough to tell attempts apart


@dataclass(frozen=True, slots=True)
class SealedLetter:
    """What is stored of a letter; nothing of it opens anything without the print role's key.

    :param owner: whose key seals it, ``print:`` and the item's reference.
    :param sealed_key: the key, sealed to the print role.
    :param name: of the object that holds the envelope.
    """

    owner: str
    sealed_key: bytes
    name: str
    envelope: bytes


def owner_of(ref: str) -> str:
    """Name the owner of a letter's key."""
    return f"print:{ref}"


def name_of(ref: str, sealed_key: bytes) -> str:
    """Name the object that holds a letter."""
    return f"print/{ref}/{sha256(sealed_key).hexdigest()[:_NAME_DIGITS]}"


def seal_item(public_key: bytes, ref: str, letter: bytes) -> SealedLetter:
    """Seal a letter to the print role.

    :param public_key: the public half of the box ``print``, 32 bytes.
    :param ref: the outgoing item's reference; nothing personal.
    :param letter: PDF.
    :raises RefusedError: a key or reference that doesn't fit.
    """
    owner, key = owner_of(ref), new_key()
    sealed_key = seal_key(public_key, owner, key)
    name = name_of(ref, sealed_key)
    return SealedLetter(owner, sealed_key, name, seal(key, _context(owner, name), letter))


def open_item(key: bytes, item: SealedLetter) -> bytes:
    """Open a letter; the caller has logged it and got the key from the key service.

    :param key: what the key service unsealed for the item's owner, 32 bytes.
    :raises TamperedError: another letter's key, or changed bytes.
    """
    return unseal(key, _context(item.owner, item.name), item.envelope)


def _context(owner: str, name: str) -> Context:
    return Context("objects", name, "body", owner, 1)
