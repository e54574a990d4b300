"""What goes sealed to its place: small beside its case, else to the store, and what is large in pieces.

A large one never stands sealed whole in memory.
"""

from collections.abc import Iterable
from typing import Final

from vault.crypto.envelope import new_key, pieces_of, seal, seal_pieces
from vault.intake.held import Held, no_room, temporary_file
from vault.steps.casefile import item_context, object_context
from vault.steps.parts import Parts

BESIDE: Final = 32_768  # bytes of a mail, and of its files together, that may rest as rows beside their case
_AT_ONCE: Final = 1_048_576  # bytes that are sealed in memory


def seal_beside(key: bytes, owner: str, name: str, content: bytes) -> tuple[str, str, int, bytes]:
    """Seal what is small under its owner's key; return owner, name, version and envelope of the row to be written."""
    return owner, name, 1, seal(key, item_context(owner, name, 1), content)


def put_sealed(parts: Parts, owner: str, name: str, content: bytes | Held | Iterable[bytes]) -> bytes:
    """Seal what belongs to ``owner`` under a new key, store it under ``name``, and return the key.

    :param content: bytes, a held message, or pieces of 64 KiB at most.
    :raises OutOfReachError: the object store does not answer, or there is no room (code ``temporary_space``).
    """
    key, context = new_key(), object_context(name, owner)
    if isinstance(content, bytes) and len(content) <= _AT_ONCE:
        parts.objects.put(name, seal(key, context, content))
        return key
    with temporary_file() as file:
        try:
            seal_pieces(key, context, _pieces(content), file)
            file.seek(0)
        except OSError:
            raise no_room() from None
        parts.objects.put(name, file)
    return key


def _pieces(content: bytes | Held | Iterable[bytes]) -> Iterable[bytes | memoryview]:
    if isinstance(content, bytes):
        return pieces_of(content)
    return content.pieces() if isinstance(content, Held) else content
