"""Canonical JSON (RFC 8785) of whatever the register holds: the same value gives the same bytes.

RFC 8785 knows no integer beyond 2**53 - 1, no lone surrogate and no infinity. A register may hold
them all the same, and an answer must not fail on them: such a number is written as text, such a
character as the replacement character.
"""

import hashlib
from collections.abc import Mapping, Sequence
from math import isfinite

import rfc8785

from vault.domain.records import Json

_LARGEST = 2**53 - 1


def canonical(value: Mapping[str, Json]) -> bytes:
    """Write an object as canonical JSON."""
    return rfc8785.dumps(settled(value))


def settled(value: Mapping[str, Json]) -> dict[str, Json]:
    """Give the object with nothing in it that canonical JSON has no form for."""
    return {_text(key): _within(inner) for key, inner in value.items()}


def sha256_hex(data: bytes) -> str:
    """Give the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def _within(value: Json) -> Json:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return settled(value)
    if isinstance(value, Sequence):
        return [_within(inner) for inner in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return str(value)
    return value


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8") if not value.isascii() else value
