"""The key service's wire: frames of a length and canonical JSON, strict in both directions.

A frame is four bytes (length of the body, big-endian) and the body: a JSON array of 1 to 1,000 messages, each
an object of strings, numbers and booleans, keys sorted, no white space, ASCII only. Any other spelling is refused.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from vault.domain.private import Private
from vault.errors import LimitError, RefusedError

PROTOCOL: Final = "dsr-vault/keys/3"
LARGEST: Final = 1024 * 1024  # bytes of a body
LARGEST_HELLO: Final = 1024  # bytes, before the other side is known
_MOST = 1_000  # messages in a frame
_LENGTH = 4
_PLAIN = (str, int, float)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

Message: TypeAlias = "Mapping[str, str | float | bool]"


def pack(messages: Sequence[Message]) -> bytes:
    """Write one frame.

    :raises LimitError: the body would be larger than 1 MiB.
    """
    body = _canonical(messages)
    if len(body) > LARGEST:
        raise LimitError("key_request_too_large", "send the key service a digest, not the whole")
    return len(body).to_bytes(_LENGTH, "big") + body


def parse(body: bytes) -> list[Message]:
    """Read a frame's body.

    :raises RefusedError: anything but a canonical JSON array of flat objects.
    """
    try:
        messages: list[Message] = json.loads(body.decode("ascii"))
        fitting = isinstance(messages, list) and 0 < len(messages) <= _MOST
        if not fitting or not all(map(_flat, messages)) or _canonical(messages) != body:
            raise malformed()
    except (ValueError, RecursionError):
        raise malformed() from None
    return messages


def write_bytes(value: bytes) -> str:
    """Write bytes as they stand inside a message."""
    return base64.b64encode(value).decode("ascii")


def read_bytes(text: str) -> bytes:
    """Read bytes from a message.

    :raises RefusedError: no canonical base64 (RFC 4648 s. 4).
    """
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise malformed() from None
    if write_bytes(value) != text:
        raise malformed()
    return value


def malformed() -> RefusedError:
    """Give the one refusal for whatever is no frame of ours."""
    return RefusedError("key_request_malformed", "what came is no request of this protocol; use this release's client")


class Feed(Private):
    """Cuts a stream of bytes into frames' bodies, however the bytes arrive."""

    __slots__ = ("_buffer", "largest")

    def __init__(self, largest: int = LARGEST) -> None:
        self._buffer = bytearray()
        self.largest = largest

    def bodies(self, data: bytes) -> Iterator[bytes]:
        """Add what came and give each body that is whole.

        :raises RefusedError: a frame announces more than ``largest`` bytes.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH:
            size = int.from_bytes(self._buffer[:_LENGTH], "big")
            if size > self.largest:
                raise RefusedError("key_request_too_large", "a frame is larger than the key service takes")
            if len(self._buffer) < _LENGTH + size:
                return
            body = bytes(self._buffer[_LENGTH : _LENGTH + size])
            del self._buffer[: _LENGTH + size]
            yield body


def _flat(message: object) -> bool:
    return isinstance(message, dict) and all(isinstance(value, _PLAIN) for value in message.values())


def _canonical(message: object) -> bytes:
    return _ENCODER.encode(message).encode("ascii")
