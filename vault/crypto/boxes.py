"""Writers without readers: a fresh key goes into a box that its maker can't open again.

A sealed key is a format byte and a libsodium sealed box (X25519, XSalsa20-Poly1305) over the
owner's reference and the key, so that a box moved to another owner's row is refused.
"""

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from vault.errors import RefusedError, TamperedError, UnknownFormatError

FORMAT = b"\x01"
KEY_BYTES = 32
LONGEST_OWNER = 200  # characters


def seal_key(public: bytes, owner: str, key: bytes) -> bytes:
    """Seal a key so that only the holder of the box's private half can open it, and only for this owner.

    :param public: the box's public half, 32 bytes (X25519).
    :param owner: the reference of what the key belongs to, for instance a case's.
    :param key: 32 random bytes.
    :raises RefusedError: a wrong size, or an owner that isn't 1-200 printable ASCII characters.
    """
    framed = _framed(owner)
    if len(public) != PublicKey.SIZE or len(key) != KEY_BYTES:
        raise RefusedError("key_malformed", "a box's public half and a key have 32 bytes each")
    return FORMAT + SealedBox(PublicKey(public)).encrypt(framed + key)


def open_key(private: bytes, owner: str, sealed: bytes) -> bytes:
    """Open what :func:`seal_key` made for this owner; only the key service holds the private half.

    :param private: the box's private half, 32 bytes (X25519).
    :raises TamperedError: another box, another owner, or changed bytes.
    :raises UnknownFormatError: an unknown format byte.
    """
    framed = _framed(owner)
    if sealed[:1] != FORMAT:
        raise UnknownFormatError("sealed_key_format", "this release doesn't know this sealed key's format")
    try:
        opened = SealedBox(PrivateKey(private)).decrypt(sealed[1:])
    except (CryptoError, ValueError):
        raise _tampered() from None
    if len(opened) != len(framed) + KEY_BYTES or not opened.startswith(framed):
        raise _tampered()
    return opened[len(framed) :]


def _framed(owner: str) -> bytes:
    if not (0 < len(owner) <= LONGEST_OWNER and owner.isascii() and owner.isprintable()):
        raise RefusedError("owner_malformed", f"an owner's reference is 1-{LONGEST_OWNER} printable ASCII characters")
    return len(owner).to_bytes(2, "big") + owner.encode("ascii")


def _tampered() -> TamperedError:
    return TamperedError("sealed_key_tampered", "the sealed key doesn't open for this owner; restore it from a backup")
