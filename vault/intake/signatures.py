"""Reads who says to have made an OpenPGP signature, and nothing else of it: no signature is checked here.

Only plain signatures over a document are read (RFC 9580 sections 5.2.3 and 5.4), as all programs write them and as
each gpg since 2.2 reads them alike; any other is unsure, and gpg decides about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.domain.private import Private
from vault.intake.packets import UnsureError

_DOCUMENTS = frozenset({0x00, 0x01})  # over bytes, over a text
_NUMBERS = {1: 1, 17: 2, 19: 2, 22: 2}  # RSA, DSA, ECDSA, EdDSA, and of how many numbers a signature of theirs is made
_DIGESTS = frozenset({8, 9, 10, 11})  # SHA-2; what is older gpg may have been told to refuse
_LONGEST_AREA, _LONGEST_NUMBER = 10_000, 16_384  # octets and bits that gpg reads
_ISSUER, _FINGERPRINT = 16, 33
_CRITICAL = 0x80  # a subpacket that a reader must understand
_TIMES, _NOTATION, _USER_ID, _RECIPIENT = frozenset({2, 3}), 20, 28, 35
_MAY_BE_CRITICAL = _TIMES | {_ISSUER, _FINGERPRINT}
_READ = _MAY_BE_CRITICAL | {one | _CRITICAL for one in _MAY_BE_CRITICAL} | {_NOTATION, _USER_ID, _RECIPIENT}
_TWO_OCTETS, _FOUR_OCTETS = 192, 255  # first length octets of subpackets begin here
_NOBODY = bytes(8)  # an anonymous issuer


@dataclass(frozen=True, slots=True)
class Signer(Private):
    """What a signature and the packet that announces it must agree on; ``issuer`` is the eight octets of a key id."""

    kind: int
    algorithm: int
    digest: int
    issuer: bytes


def one_pass(body: memoryview) -> tuple[Signer, int]:
    """Return who is announced (RFC 9580 section 5.4, version 3), and the octet that says whether nobody follows.

    :raises UnsureError: it is no such packet.
    """
    if len(body) != 13 or body[0] != 3:  # noqa: PLR2004 - the section's own numbers
        raise UnsureError
    return Signer(body[1], body[3], body[2], bytes(body[4:12])), body[12]


def signature(body: memoryview) -> tuple[Signer, str]:
    """Return who says to have signed (version 4), and the name under which gpg reports the key: its digits.

    gpg takes a fingerprint only from what is signed along, and else the key id from wherever it stands.

    :raises UnsureError: it is no such packet, or names several keys, or none.
    """
    kind, algorithm, digest = _at(body, 1, 4)
    hashed, behind = _area(body, 4)
    unhashed, behind = _area(body, behind)
    if body[0] != 4 or kind not in _DOCUMENTS or digest not in _DIGESTS:  # noqa: PLR2004 - the version
        raise UnsureError
    _require_numbers(body, behind + 2, _NUMBERS.get(algorithm, 0))  # behind two octets of the digest
    fingerprint, ids = _issuers(hashed)
    beside, more = _issuers(unhashed)
    issuers = ids | more | {one[-8:] for one in fingerprint}
    if len(issuers) != 1 or len(fingerprint) > 1 or beside - fingerprint or _NOBODY in issuers:
        raise UnsureError
    (issuer,) = issuers
    named = next(iter(fingerprint), issuer)
    return Signer(kind, algorithm, digest, issuer), named.hex().upper()


def _area(body: memoryview, at: int) -> tuple[memoryview, int]:
    """Return an area of subpackets, and where it ends."""
    length = int.from_bytes(_at(body, at, at + 2), "big")
    if length > _LONGEST_AREA:
        raise UnsureError
    return _at(body, at + 2, at + 2 + length), at + 2 + length


def _issuers(area: memoryview) -> tuple[set[bytes], set[bytes]]:
    """Return the fingerprints (of version 4 keys) and the key ids that an area names."""
    fingerprints, ids = set(), set()
    for kind, value in _subpackets(area):
        if kind not in _READ:
            raise UnsureError
        if kind & ~_CRITICAL == _ISSUER and len(value) == 8:  # noqa: PLR2004 - octets of a key id
            ids.add(value)
        elif kind & ~_CRITICAL == _FINGERPRINT and len(value) == 21 and value[0] == 4:  # noqa: PLR2004 - of version 4
            fingerprints.add(value[1:])
        elif kind & ~_CRITICAL in {_ISSUER, _FINGERPRINT}:
            raise UnsureError
    return fingerprints, ids


def _subpackets(area: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield the subpackets' types, with the critical bit, and values (RFC 9580 section 5.2.3.7)."""
    at = 0
    while at < len(area):
        first, width = area[at], 1
        length = first
        if first == _FOUR_OCTETS:
            width, length = 5, int.from_bytes(_at(area, at + 1, at + 5), "big")
        elif first >= _TWO_OCTETS:
            width, length = 2, (first - _TWO_OCTETS << 8) + _at(area, at + 1, at + 2)[0] + _TWO_OCTETS
        at += width
        found = _at(area, at, at + length)
        if not found:
            raise UnsureError
        yield found[0], bytes(found[1:])
        at += length


def _require_numbers(body: memoryview, at: int, count: int) -> None:
    """Require so many numbers (RFC 9580 section 3.2), at least one, and nothing behind them."""
    for _ in range(count):
        bits = int.from_bytes(_at(body, at, at + 2), "big")
        if not 0 < bits <= _LONGEST_NUMBER:
            raise UnsureError
        at += 2 + (bits + 7) // 8
    if not count or at != len(body):
        raise UnsureError


def _at(view: memoryview, start: int, stop: int) -> memoryview:
    if stop > len(view):
        raise UnsureError
    return view[start:stop]
