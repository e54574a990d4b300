"""Values pass between a parent and its own child as one JSON text and the bytes it names; nothing in it is ever run."""

import json
import socket
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vault.errors import UnreadableError

T = TypeVar("T")
_LENGTH = 8  # octets before the JSON text
_LARGEST = 1 << 30  # bytes of one piece


def pack(value: object) -> list[bytes]:
    """Write a dataclass of plain values, enumerations, instants, bytes, tuples and dataclasses; return the pieces."""
    blobs: list[bytes] = []
    made = _plain(value, blobs)
    text = json.dumps({"value": made, "sizes": [len(blob) for blob in blobs]}).encode()
    return [len(text).to_bytes(_LENGTH, "big"), text, *blobs]


def unpack(kind: type[T], take: Callable[[int], bytes]) -> T:
    """Read what was packed, strictly by the fields' types.

    :param take: returns so many of the bytes that come next.
    :raises UnreadableError: ``child_failed``: it is something else.
    """
    try:
        found = json.loads(take(_bounded(int.from_bytes(take(_LENGTH), "big"))))
        made: T = _made(kind, found["value"], [take(_bounded(size)) for size in found["sizes"]])
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise UnreadableError("child_failed", "the reader gave no answer; a person must look at the original") from None
    return made


def receive(source: socket.socket, size: int) -> bytes:
    """Take exactly so many bytes from a blocking socket, without a copy: they may be as many as a mail's.

    :raises OSError: the other side is gone, or the socket's own time limit has passed.
    """
    found = source.recv(size, socket.MSG_WAITALL) if size else b""
    if len(found) != size:
        raise ConnectionResetError
    return found


def _bounded(size: int) -> int:
    if not 0 <= size <= _LARGEST:
        raise ValueError
    return size


def _plain(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, bytes):
        blobs.append(value)
        return len(blobs) - 1
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item, blobs) for item in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), blobs) for field in fields(value)}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError("a value of this type is not passed on")


def _made(kind: Any, value: Any, blobs: list[bytes]) -> Any:
    if get_origin(kind) is types.UnionType:
        (kind,) = (one for one in get_args(kind) if one is not type(None))
        return None if value is None else _made(kind, value, blobs)
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], item, blobs) for item in value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _made(hints[name], item, blobs) for name, item in value.items()})  # type: ignore[operator]
    if kind is bytes:
        return blobs[value]
    return _simple(kind, value)


def _simple(kind: Any, value: Any) -> Any:
    if issubclass(kind, Enum):
        return kind(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if not isinstance(value, kind):
        raise TypeError
    return value
