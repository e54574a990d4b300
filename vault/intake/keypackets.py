"""Tells without gpg which keys can't name an address, so that most mails' keys are never given to it; never a verdict.

Only what is certain counts: whatever can't be read to its very end as the packets of public keys may name anybody,
and gpg decides about it (RFC 9580 sections 4.2 and 6, RFC 4880 section 4.2).
"""

import base64
import binascii
from collections.abc import Iterator

_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY, _USER_ID = 6, 13
_KNOWN = frozenset({_PUBLIC_KEY, _USER_ID, 2, 12, 14, 17})  # signature, trust, subkey, user attribute
_PACKET, _NEW, _ONE, _TWO, _FOUR = 0x80, 0x40, 192, 224, 255


class _UnsureError(Exception):
    """These bytes are not what they should be; it never leaves this module."""


def may_name(key: bytes, address: str) -> bool:
    """Tell whether a key may hold a user id with an address.

    :param key: armoured or binary, as a stranger sent it.
    """
    wanted = address.lower().encode()
    try:
        return any(wanted in user.lower() for user in _user_ids(_bare(key)))
    except (_UnsureError, binascii.Error, IndexError):
        return True


def _bare(key: bytes) -> bytes:
    """Take the armour off where it is as gpg writes it."""
    if key[:1] and key[0] & _PACKET:
        return key
    head, begin, rest = key.partition(_BEGIN)
    inside, end, tail = rest.partition(_END)
    lines = [line.strip() for line in inside.split(b"\n")]
    if not begin or not end or head.strip() or tail.strip() or b"" not in lines[1:]:
        raise _UnsureError
    body = lines[lines.index(b"", 1) + 1 :]
    return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)


def _user_ids(data: bytes) -> Iterator[bytes]:
    """Yield the user ids of a key, all of whose packets must be known and whole."""
    at = 0
    if not data:
        raise _UnsureError
    while at < len(data):
        tag, start, stop = _packet(data, at)
        if tag not in _KNOWN or stop > len(data) or (at == 0 and tag != _PUBLIC_KEY):
            raise _UnsureError
        if tag == _USER_ID:
            yield data[start:stop]
        at = stop


def _packet(data: bytes, at: int) -> tuple[int, int, int]:
    """Return a packet's tag, and where its body starts and stops; one of unknown length is unsure."""
    first = data[at]
    if not first & _PACKET:
        raise _UnsureError
    if first & _NEW:
        return first & 0x3F, *_new_length(data, at + 1)
    width = {0: 1, 1: 2, 2: 4}.get(first & 3)
    if width is None:
        raise _UnsureError
    start = at + 1 + width
    return first >> 2 & 0xF, start, start + int.from_bytes(data[at + 1 : start], "big")


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < _ONE:
        return at + 1, at + 1 + first
    if first < _TWO:
        return at + 2, at + 2 + ((first - _ONE) << 8) + data[at + 1] + _ONE
    if first == _FOUR:
        return at + 5, at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
    raise _UnsureError
