"""Canonical JSON (RFC 8785) of whatever the register holds: the same value gives the same bytes.

RFC 8785 knows no integer beyond 2**53 - 1, no lone surrogate and no infinity. A register may hold
them all the same, and an answer must not fail on them: such a number is written as text, such a
character as its escape.
"""

import hashlib
from collections.abc import Mapping, Sequence
from math import isfinite

import rfc8785

from vault.domain.records import Json

_LARGEST = 2**53 - 1
_EXPONENT_FROM = 1e21  # from here on ECMAScript writes 1e+21; below, a float looks like an integer


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
    return str(value) if _beyond(value) else value


def _beyond(value: Json) -> bool:
    """Tell whether canonical JSON has no form for a number, or one that is read back as another number."""
    if isinstance(value, float):
        return not isfinite(value) or _LARGEST < abs(value) < _EXPONENT_FROM
    return isinstance(value, int) and abs(value) > _LARGEST


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if not value.isascii() else value
