"""One construction for a name and for a 4 GB scan: sealed bytes open only whole, unchanged and in their own place.

An envelope is a format byte and a Cobblestone-256 message (C2SP chunked encryption: SHA-512,
AES-256-GCM, key commitment). Its context names the cell that it belongs to, comes always from our
side and is not stored. ``docs/formats/envelope.md`` describes every byte.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from vault.errors import RefusedError, TamperedError, UnknownFormatError

FORMAT = b"\x01"
KEY_BYTES = 32
PIECE = 64 * 1024  # bytes; larger pieces fault new memory and run eight times slower
_SPOOL_IN_MEMORY = 1024 * 1024  # bytes
_TAMPERED = "the sealed bytes don't open here: wrong key, wrong place or changed; restore them from a backup"


class Context(NamedTuple):
    """The place that an envelope belongs to; it opens nowhere else.

    :param table: where the envelope stands, for instance ``records``.
    :param row: the row's reference.
    :param column: the column or item's name.
    :param subject: the subject's or case's reference whose key seals it; empty where there is none.
    :param version: the row's version, 0 or more.
    """

    table: str
    row: str
    column: str
    subject: str
    version: int

    def encode(self) -> bytes:
        """Give ``table|row|column|subject|version`` in ASCII.

        :raises RefusedError: a part holds ``|`` or anything but printable ASCII, or the version is negative.
        """
        text = f"{self.table}|{self.row}|{self.column}|{self.subject}|{self.version}"
        if text.count("|") != 4 or not (text.isascii() and text.isprintable()) or self.version < 0:  # noqa: PLR2004 - five parts
            raise RefusedError("context_malformed", "a context's parts are printable ASCII without '|'")
        return text.encode("ascii")


def new_key() -> bytes:
    """Make a random key of 32 bytes."""
    return bytes(Cobblestone256Encryptor.generate_key())


def seal(key: bytes, context: Context, plaintext: bytes) -> bytes:
    """Seal bytes to their place.

    :param key: 32 random bytes.
    :raises RefusedError: the key is not 32 bytes, or the context is malformed.
    """
    encryptor = Cobblestone256Encryptor(_fit(key), context.encode())
    if len(plaintext) <= PIECE:
        return b"".join((FORMAT, encryptor.update(plaintext), encryptor.finalize()))
    return b"".join((FORMAT, *map(encryptor.update, pieces_of(plaintext)), encryptor.finalize()))


def unseal(key: bytes, context: Context, envelope: bytes) -> bytes:
    """Open an envelope; gives the whole plaintext or nothing.

    :param key: the 32 bytes that sealed it.
    :raises TamperedError: another key, another place, or bytes changed, cut or added.
    :raises UnknownFormatError: an unknown format byte.
    """
    _check_format(envelope[:1])
    decryptor = Cobblestone256Decryptor(_fit(key), context.encode())
    try:
        if len(envelope) <= PIECE:
            return decryptor.update(envelope[1:]) + decryptor.finalize()
        return b"".join((*map(decryptor.update, pieces_of(memoryview(envelope)[1:])), decryptor.finalize()))
    except InvalidTag:
        raise TamperedError("envelope_tampered", _TAMPERED) from None


def seal_stream(key: bytes, context: Context, source: BinaryIO, target: BinaryIO) -> int:
    """Seal a stream in pieces of 64 KiB; an interrupted target never opens.

    :returns: how many plaintext bytes were sealed.
    :raises RefusedError: the key is not 32 bytes, or the context is malformed.
    """
    return seal_pieces(key, context, _pieces(source), target)


def seal_pieces(key: bytes, context: Context, pieces: Iterable[bytes | memoryview], target: BinaryIO) -> int:
    """Seal what comes in pieces, which :func:`pieces_of` makes of bytes; an interrupted target never opens.

    :param pieces: of 64 KiB at most, where speed counts.
    :returns: how many plaintext bytes were sealed.
    :raises RefusedError: the key is not 32 bytes, or the context is malformed.
    """
    encryptor = Cobblestone256Encryptor(_fit(key), context.encode())
    target.write(FORMAT)
    size = 0
    for piece in pieces:
        size += len(piece)
        target.write(encryptor.update(piece))
    target.write(encryptor.finalize())
    return size


def unseal_stream(key: bytes, context: Context, source: BinaryIO, target: BinaryIO) -> int:
    """Open a stream; the target gets no byte before the end of the message is proved.

    The first pass proves the source while it copies the sealed bytes to an anonymous file, the second
    opens that copy: no plaintext waits on a disk, and a source that changes in between changes nothing.

    :returns: how many plaintext bytes were written.
    :raises TamperedError: another key, another place, or bytes changed, cut or added.
    :raises UnknownFormatError: an unknown format byte.
    """
    _check_format(source.read(1))
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY) as spool:
        for _ in _opened(key, context, _copied(source, spool)):
            pass
        spool.seek(0)
        size = 0
        for piece in _opened(key, context, iter(lambda: spool.read(PIECE), b"")):
            size += len(piece)
            target.write(piece)
    return size


def unseal_pieces(key: bytes, context: Context, sealed: Iterator[bytes]) -> Iterator[bytes]:
    """Open in pieces what nobody else can have written; each piece is proved, the end only when all are taken.

    :raises TamperedError: another key, another place, or bytes changed, cut or added.
    :raises UnknownFormatError: an unknown format byte.
    """
    first = next(sealed, b"")
    _check_format(first[:1])
    return _opened(key, context, chain([first[1:]], sealed))


def pieces_of(whole: bytes | memoryview) -> Iterator[memoryview]:
    """Give bytes in pieces of 64 KiB, without a copy."""
    view = memoryview(whole)
    return (view[start : start + PIECE] for start in range(0, len(view), PIECE))


def _opened(key: bytes, context: Context, sealed: Iterator[bytes]) -> Iterator[bytes]:
    decryptor = Cobblestone256Decryptor(_fit(key), context.encode())
    try:
        for piece in sealed:
            yield decryptor.update(piece)
        yield decryptor.finalize()
    except InvalidTag:
        raise TamperedError("envelope_tampered", _TAMPERED) from None


def _copied(source: BinaryIO, spool: "tempfile.SpooledTemporaryFile[bytes]") -> Iterator[bytes]:
    for piece in _pieces(source):
        spool.write(piece)
        yield piece


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        yield piece


def _check_format(first: bytes) -> None:
    if first != FORMAT:
        raise UnknownFormatError("envelope_format", "this release doesn't know this envelope's format; use a newer one")


def _fit(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise RefusedError("key_malformed", f"an envelope's key has {KEY_BYTES} bytes; take it from the key ring")
    return key
