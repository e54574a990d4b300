"""Where a published log is read from: a directory or a web address, neither of them trusted.

Every resource is read up to the most bytes that it may have, so that a hostile server can't
make the reader grow; what it may have follows from a checkpoint that the log signed.
"""

import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any, Protocol

import httpx

from vault.accesslog.tiles import HISTORY
from vault.errors import KeyMissingError, LimitError, OutOfReachError, WrongUseError

_SECONDS = 60.0  # for one resource
_GONE = frozenset({404, 410})
_UNANSWERED = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
_FAN_OUT = 1000
_FOLDERS = 3


class Source(Protocol):
    """Gives a published log's resources by name."""

    def fetch(self, name: str, limit: int) -> bytes:
        """Give a resource.

        :param limit: the most bytes that it may have.
        :raises KeyMissingError: there is none of that name.
        :raises LimitError: it is larger.
        :raises OutOfReachError: the source does not answer.
        """
        ...

    def history(self) -> Iterator[str]:
        """Yield the names of all checkpoints that are there, the smallest first; nothing where they can't be told."""
        ...


class DirectorySource:
    """A copy of the published log in a directory.

    :raises WrongUseError: it is no directory.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise WrongUseError("log_source", "give a directory that holds a copy of the log, or its web address")
        self._root = root

    def fetch(self, name: str, limit: int) -> bytes:
        """Give a regular file's contents."""
        try:
            # non-blocking: opening a pipe that somebody left here must not hang
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise _missing() from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _missing()
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return _within(file.read(limit + 1), limit)
        finally:
            os.close(descriptor)

    def history(self) -> Iterator[str]:
        """Yield the checkpoints' names; looks for names that may be there instead of listing what is."""
        yield from self._below(HISTORY.rstrip("/"), _FOLDERS)

    def _below(self, prefix: str, folders: int) -> Iterator[str]:
        for number in range(_FAN_OUT):
            name = f"{prefix}/{number:03d}"
            if folders and (self._root / name).is_dir():
                yield from self._below(name, folders - 1)
            elif not folders and (self._root / name).is_file():
                yield name


class HttpSource:
    """The published log behind a web address; redirects and compressed answers are refused.

    :raises WrongUseError: it is no plain http or https address.
    """

    def __init__(self, url: str, *, seconds: float = _SECONDS) -> None:
        try:
            address = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            address = httpx.URL("")
        if address.scheme not in {"http", "https"} or not address.host or address.query or address.fragment:
            raise WrongUseError("log_source", "give the log's web address without a question mark or a hash")
        self._base = url.rstrip("/")
        self._seconds = seconds
        self._client = httpx.Client(timeout=seconds, headers={"Accept-Encoding": "identity"})
        self._socket: socket.socket | None = None

    def fetch(self, name: str, limit: int) -> bytes:
        """Give a resource's body; ask once more where a connection that was kept open ended before any answer."""
        until = time.monotonic() + self._seconds
        try:
            return self._ask(name, limit)
        except _UNANSWERED:
            if time.monotonic() > until:
                raise _away() from None
        try:
            return self._ask(name, limit)
        except _UNANSWERED:
            raise _away() from None

    def _ask(self, name: str, limit: int) -> bytes:
        answered = False
        try:
            traced = {"trace": self._note_socket}
            with self._deadline(), self._client.stream("GET", f"{self._base}/{name}", extensions=traced) as answer:
                answered = True
                if answer.status_code in _GONE:
                    raise _missing()
                if answer.status_code != httpx.codes.OK:
                    raise OutOfReachError("log_refused", f"the log's server answered {answer.status_code}; try later")
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise OutOfReachError("log_compressed", "the log's server compresses; ask for the plain resources")
                return self._read(answer, limit)
        except httpx.HTTPError as error:
            if not answered and isinstance(error, _UNANSWERED):
                raise
            raise _away() from None

    def history(self) -> Iterator[str]:
        """Yield nothing: a web server does not list."""
        yield from ()

    def _note_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event in _CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """End the connection when time is up: a server that drips, or sends heads without end, is not waited out."""
        timer = Timer(self._seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(OSError):
            if self._socket is not None:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _read(self, answer: httpx.Response, limit: int) -> bytes:
        until = time.monotonic() + self._seconds
        data = bytearray()
        for piece in answer.iter_raw():
            data += piece
            if len(data) > limit:
                break
            if time.monotonic() > until:
                raise OutOfReachError("log_slow", "the log's server is too slow; try later or copy the log first")
        return _within(bytes(data), limit)


def open_source(where: str) -> Source:
    """Open a directory or a web address.

    :raises WrongUseError: it is neither.
    """
    return HttpSource(where) if where.startswith(("http://", "https://")) else DirectorySource(Path(where))


def _away() -> OutOfReachError:
    return OutOfReachError("log_away", "the log's server does not answer; check the address")


def _within(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise LimitError("log_resource_large", "a resource is larger than it may be; this is not the log's own copy")
    return data


def _missing() -> KeyMissingError:
    return KeyMissingError("log_resource_missing", "a resource is missing; copy the whole log again")
