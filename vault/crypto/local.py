"""The client of the `local` key service: one connection a process, opened when needed and again after a break."""

import contextlib
import json
import os
import socket as sockets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from vault import errors
from vault.crypto.auditlines import AuditPage, parse_page
from vault.crypto.frames import PROTOCOL, Feed, Message, pack, parse, read_bytes, write_bytes
from vault.crypto.holder import Roots, Versions
from vault.domain.private import Private
from vault.errors import LimitError, OutOfReachError, RefusedError, VaultError

_FAMILIES: Final[Mapping[str, type[VaultError]]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, VaultError)
}
_ANSWER_SECONDS = 10.0
_READ = 64 * 1024  # bytes
_SHORTEST_WAIT = 0.02  # seconds
_TOGETHER = 64  # requests in a frame; two are on their way, far less than a buffer holds, so that neither side waits


@dataclass(frozen=True, slots=True)
class KeyServiceStatus:
    """What the key service tells every office about itself.

    :param custody: what holds the root keys: ``local``, ``aws-kms`` or ``pkcs11``.
    :param destroyed: how many keys its ledger keeps shut for good.
    """

    office: str
    since: datetime
    granted: int
    refused: int
    custody: str
    roots: Roots
    destroyed: int


class LocalKeyService(Private):
    """A :class:`vault.crypto.keyservice.KeyService` on the other side of a Unix socket; threads may share it.

    A process that was forked off gets a connection of its own. Where a rate is used up, the client
    waits as long as the service says.

    :param socket: the daemon's socket.
    :param token: the office's token.
    :param patience: seconds to wait in all for a used-up rate.
    """

    __slots__ = ("_connection", "_lock", "_patience", "_pid", "_socket", "_token")

    def __init__(self, socket: Path, token: str, *, patience: float = 30.0) -> None:
        self._socket = socket
        self._token = token
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._pid = os.getpid()

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the root, bound to its kind and reference."""
        return self._use("wrap", kind, ref, key)

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key."""
        return self._use("unwrap", kind, ref, wrapped)

    def rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Wrap the same key anew under the primary root."""
        return self._use("rotate", kind, ref, wrapped)

    def destroy(self, kind: str, ref: str) -> None:
        """Note for good that this reference's key is destroyed."""
        self._use("destroy", kind, ref, b"")

    def unseal(self, box: str, owner: str, sealed: bytes, use: str = "") -> bytes:
        """Open a key that was sealed for this owner."""
        return self._use("unseal", box, owner, sealed, use)

    def mac(self, label: str, data: bytes) -> bytes:
        """Give 32 bytes of HMAC-SHA-256 under the label's key."""
        return self._use("mac", label, "", data)

    def sign(self, name: str, data: bytes) -> bytes:
        """Give a signer's Ed25519 signature."""
        return self._use("sign", name, "", data)

    def public(self, name: str) -> bytes:
        """Give a public half, 32 raw bytes."""
        return self._use("public", name, "", b"")

    def audit(self, position: int) -> AuditPage:
        """Give a page of the service's own audit, from a place on."""
        return parse_page(self._use("audit", "", str(position), b""))

    def signers(self, name: str) -> Versions:
        """Tell which versions of a signer are held."""
        body = json.loads(self._use("signers", name, "", b""))
        return Versions(body["primary"], tuple(body["held"]))

    def status(self) -> KeyServiceStatus:
        """Ask the service how it fares; needs any office's token."""
        body = json.loads(self._use("status", "", "", b""))
        return KeyServiceStatus(
            office=body["office"],
            since=datetime.fromisoformat(body["since"]),
            granted=body["granted"],
            refused=body["refused"],
            custody=body["custody"],
            roots=Roots(body["primary"], tuple(body["held"])),
            destroyed=body["destroyed"],
        )

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        """Use one verb for many references: the requests travel together, and so do the answers."""
        asked = [(*item, use) for item, use in zip(items, uses or ("",) * len(items), strict=True)]
        requests = [_request(verb, name, *one) for one in asked]
        answered = zip(asked, self._exchange(requests), strict=True)
        return [self._use(verb, name, *one) if "wait" in reply else _value(reply) for one, reply in answered]

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._drop()

    def _use(self, verb: str, name: str, ref: str, data: bytes, use: str = "") -> bytes:
        request = _request(verb, name, ref, data, use)
        end = time.monotonic() + self._patience
        while True:
            reply = self._exchange([request])[0]
            wait = reply.get("wait")
            if not isinstance(wait, int | float) or time.monotonic() + wait > end:
                return _value(reply)
            time.sleep(max(wait, _SHORTEST_WAIT))

    def _exchange(self, requests: Sequence[Message]) -> list[Message]:
        if self._pid != os.getpid():
            self._leave_to_parent()
        with self._lock:
            # an old connection may have died with an earlier daemon; a fresh one has no such excuse
            for fresh in (self._connection is None, True):
                with contextlib.suppress(_BrokenError):
                    return self._connected().exchange(requests)
                self._drop()
                if fresh:
                    break
        raise _away()

    def _connected(self) -> "_Connection":
        if self._connection is None:
            connection = _Connection(self._socket)
            reply = connection.exchange([{"hello": PROTOCOL, "token": self._token}])[0]
            if "error" in reply:
                connection.close()
                raise _error(reply)
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _leave_to_parent(self) -> None:
        """After a fork, take a new connection: frames of two processes must not mix."""
        self._connection = None
        self._lock = threading.Lock()
        self._pid = os.getpid()


class _BrokenError(Exception):
    """The connection ended or can't be trusted any more."""


class _Connection(Private):
    __slots__ = ("_feed", "_socket")

    def __init__(self, path: Path) -> None:
        self._feed = Feed()
        self._socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_SECONDS)
        try:
            self._connect(str(path))
        except OSError:
            self.close()
            raise _away() from None

    def _connect(self, path: str) -> None:
        end = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                return self._socket.connect(path)
            except BlockingIOError:  # so many knock at once that the queue is full
                if time.monotonic() > end:
                    raise
                time.sleep(_SHORTEST_WAIT)

    def exchange(self, requests: Sequence[Message]) -> list[Message]:
        """Send requests and give their replies; after a failure the connection is closed for good.

        The next frame is on its way while the replies to the last one are read.
        """
        groups = [requests[start : start + _TOGETHER] for start in range(0, len(requests), _TOGETHER)]
        bodies: list[bytes] = []
        replies: list[Message] = []
        try:
            for number, group in enumerate(groups):
                self._socket.sendall(pack(group))
                # one frame stays on its way while the replies to the one before it are read
                read, wanted = len(bodies), len(groups) if number == len(groups) - 1 else number
                bodies += self._bodies(wanted - read)
                for asked, body in zip(groups[read:], bodies[read:], strict=False):
                    replies += _replies(asked, body)
        except LimitError:  # with replies of earlier frames still to come
            self.close()
            raise
        except TimeoutError:
            self.close()
            raise _away() from None
        except (OSError, RefusedError):
            self.close()
            raise _BrokenError from None
        return replies

    def _bodies(self, count: int) -> list[bytes]:
        """Read that many bodies, and those that came with them."""
        bodies: list[bytes] = []
        while len(bodies) < count:
            data = self._socket.recv(_READ)
            if not data:
                raise ConnectionResetError
            bodies += self._feed.bodies(data)
        return bodies

    def close(self) -> None:
        self._socket.close()


def _replies(asked: Sequence[Message], body: bytes) -> list[Message]:
    """Read a frame's replies; who was turned away at the door gets a single one."""
    replies = parse(body)
    if len(replies) != len(asked):
        raise ConnectionResetError
    return replies


def _request(verb: str, name: str, ref: str, data: bytes, use: str) -> Message:
    return {"verb": verb, "name": name, "ref": ref, "data": write_bytes(data), "use": use}


def _value(reply: Message) -> bytes:
    if "error" in reply:
        raise _error(reply)
    return read_bytes(str(reply.get("value", "")))


def _error(reply: Message) -> VaultError:
    kind = _FAMILIES.get(str(reply.get("family")), RefusedError)
    return kind(str(reply["error"]), str(reply.get("advice", "")))


def _away() -> OutOfReachError:
    return OutOfReachError("key_service_away", "the key service does not answer; start `dsr keys serve` and try again")
