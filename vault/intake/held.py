"""A large message between its mailbox and its place in the object store: sealed in a file that has no name.

So a mail of 50 MiB is read, opened and stored without ever standing whole in our memory, and nothing of it
stands plain on a disk. The key is this process's alone; a killed process leaves nothing that could be found.
"""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from io import BytesIO
from itertools import chain
from threading import Lock
from typing import BinaryIO, Final, TypeAlias

from vault.crypto.envelope import PIECE, Context, new_key, pieces_of, seal_pieces, unseal_pieces
from vault.domain.private import Private
from vault.errors import OutOfReachError

NO_ROOM: Final = "temporary_space"
IN_MEMORY: Final = 8_000_000  # bytes of a message that is not worth a file
_ONE: Final = Lock()
_PLACE: Final = Context("temporary", "message", "body", "", 1)


class Held(Private):
    """A message of ``size`` bytes, whose SHA-256 is ``digest``; several threads may read it."""

    def __init__(self, descriptor: int, key: bytes, size: int, digest: bytes) -> None:
        """Own ``descriptor``, behind which the message lies sealed under ``key``."""
        self.size = size
        self.digest = digest
        self._descriptor = descriptor
        self._key = key
        weakref.finalize(self, os.close, descriptor)

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes in order; each is proved, and at the end that none is missing.

        :raises TamperedError: the file was changed.
        """
        return unseal_pieces(self._key, _PLACE, self._sealed())

    def _sealed(self) -> Iterator[bytes]:
        at = 0
        while piece := os.pread(self._descriptor, PIECE, at):
            yield piece
            at += len(piece)


Raw: TypeAlias = bytes | Held  # a message as it came, small or large


def hold(message: Iterable[bytes]) -> Raw:
    """Gather a message that comes in pieces; one over ``IN_MEMORY`` bytes is sealed as it comes.

    :raises OutOfReachError: there is no room for it (code ``temporary_space``).
    """
    memory, rest = BytesIO(), iter(message)
    for piece in rest:
        memory.write(piece)
        if memory.tell() > IN_MEMORY:
            return _seal(chain([memory.getvalue()], rest))
    return memory.getvalue()


def temporary_file() -> BinaryIO:
    """Make a file without a name, for sealed bytes only."""
    return tempfile.TemporaryFile()


def no_room() -> OutOfReachError:
    """Say that a large message finds no room to be sealed in."""
    return OutOfReachError(
        NO_ROOM, "a large mail finds no room in the temporary directory; make room, the next run takes it"
    )


def one_at_a_time(raw: Raw) -> AbstractContextManager[object]:
    """Let one thread at a time hold what is inside a large message; small ones wait for nobody."""
    return nullcontext() if isinstance(raw, bytes) else _ONE


def whole(raw: Raw) -> bytes:
    """Return all of a message's bytes at once."""
    return raw if isinstance(raw, bytes) else b"".join(raw.pieces())


def pieces(raw: Raw) -> Iterator[bytes]:
    """Yield a message's bytes in order, in pieces of some 64 KiB."""
    if not isinstance(raw, bytes):
        yield from raw.pieces()
    elif len(raw) <= PIECE:
        yield raw
    else:
        yield from map(bytes, pieces_of(raw))


def start_of(raw: Raw, count: int) -> bytes:
    """Return a message's first bytes, ``count`` at most."""
    start = b""
    for piece in pieces(raw):
        start += piece
        if len(start) >= count:
            break
    return start[:count]


def size_of(raw: Raw) -> int:
    """Return a message's size in bytes."""
    return len(raw) if isinstance(raw, bytes) else raw.size


def digest_of(raw: Raw) -> bytes:
    """Return the SHA-256 of a message's exact bytes."""
    return sha256(raw).digest() if isinstance(raw, bytes) else raw.digest


def _seal(message: Iterable[bytes]) -> Held:
    key, digest = new_key(), sha256()
    try:
        with temporary_file() as file:
            size = seal_pieces(key, _PLACE, _digested(message, digest.update), file)
            file.flush()
            return Held(os.dup(file.fileno()), key, size, digest.digest())
    except OSError:
        raise no_room() from None


def _digested(message: Iterable[bytes], note: Callable[[memoryview], None]) -> Iterator[memoryview]:
    for large in message:
        for piece in pieces_of(large):
            note(piece)
            yield piece
