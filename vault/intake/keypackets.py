"""Tells without gpg which keys can't name an address, so that most mails' keys are never given to it; never a verdict.

Only what is certain counts: whatever can't be read to its very end as the packets of public keys may name anybody,
and gpg decides about it (RFC 9580 sections 4.2 and 6).
"""

import base64
import binascii
from collections.abc import Iterator

from vault.intake.packets import UnsureError, walk

_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY, _USER_ID = 6, 13
_KNOWN = frozenset({_PUBLIC_KEY, _USER_ID, 2, 12, 14, 17})  # signature, trust, subkey, user attribute
_PACKET = 0x80


def may_name(key: bytes, address: str) -> bool:
    """Tell whether a key may hold a user id with an address.

    :param key: armoured or binary, as a stranger sent it.
    """
    wanted = address.lower().encode()
    try:
        return any(wanted in user.lower() for user in _user_ids(_bare(key)))
    except (UnsureError, binascii.Error):
        return True


def _bare(key: bytes) -> bytes:
    """Take the armour off where it is as gpg writes it."""
    if key[:1] and key[0] & _PACKET:
        return key
    head, begin, rest = key.partition(_BEGIN)
    inside, end, tail = rest.partition(_END)
    lines = [line.strip() for line in inside.split(b"\n")]
    if not begin or not end or head.strip() or tail.strip() or b"" not in lines[1:]:
        raise UnsureError
    body = lines[lines.index(b"", 1) + 1 :]
    return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)


def _user_ids(data: bytes) -> Iterator[bytes]:
    """Yield the user ids of a key, all of whose packets must be known and whole."""
    if not data:
        raise UnsureError
    for number, packet in enumerate(walk(data)):
        if packet.tag not in _KNOWN or (number == 0 and packet.tag != _PUBLIC_KEY):
            raise UnsureError
        if packet.tag == _USER_ID:
            yield bytes(packet.pieces[0])
