"""The key of one envelope alone: who is given it opens that envelope and no other, however many one key sealed.

An envelope's message key and base nonce are derived from the data key, a random salt and the context
(c2sp.org/chunked-encryption); nothing leads back from them. Only envelopes of one chunk are opened so.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.crypto.envelope import FORMAT, KEY_BYTES, Context
from vault.domain.private import Private
from vault.errors import TamperedError

NONCE_BYTES: Final = 12
_SALT, _COMMITMENT, _CHUNK, _TAG = 24, 32, 16_384, 16
_HEAD = len(FORMAT) + _SALT + _COMMITMENT
_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


@dataclass(frozen=True, slots=True)
class Opening(Private):
    """What opens one envelope.

    :param key: 32 bytes, its message key.
    :param nonce: 12 bytes, its base nonce.
    """

    key: bytes
    nonce: bytes


def opening_of(key: bytes, context: Context, envelope: bytes) -> Opening:
    """Derive the opening of one envelope.

    :param key: the 32 bytes that sealed it.
    :raises TamperedError: it is not sealed under this key in this place, or has more than one chunk.
    """
    salt, commitment = envelope[len(FORMAT) : _HEAD - _COMMITMENT], envelope[_HEAD - _COMMITMENT : _HEAD]
    length = KEY_BYTES + NONCE_BYTES + _COMMITMENT
    derived = HKDFExpand(SHA512(), length=length, info=_INFO + salt + context.encode()).derive(key)
    if not hmac.compare_digest(derived[-_COMMITMENT:], commitment):
        raise _tampered()
    opening = Opening(derived[:KEY_BYTES], derived[KEY_BYTES:-_COMMITMENT])
    open_with(opening, envelope)
    return opening


def open_with(opening: Opening, envelope: bytes) -> bytes:
    """Open an envelope with its own key.

    :raises TamperedError: it is another's, was changed, or has more than one chunk.
    """
    chunk = envelope[_HEAD:]
    if envelope[: len(FORMAT)] != FORMAT or not _TAG <= len(chunk) < _CHUNK + _TAG:
        raise _tampered()
    try:
        return AESGCM(opening.key).decrypt(opening.nonce, chunk, None)
    except InvalidTag:
        raise _tampered() from None


def _tampered() -> TamperedError:
    return TamperedError("envelope_tampered", "the sealed bytes don't open with this key; ask for them again")
