"""The `local` key service: one small process that alone holds the keys and answers on a Unix socket.

It serves only accounts it was told of, hears a token before anything else, survives whatever bytes
come, leaves no core dump and can't be traced by its own account.
"""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import socket as sockets
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from vault.crypto.audit import Audit
from vault.crypto.frames import LARGEST, LARGEST_HELLO, Feed, malformed, pack, parse
from vault.crypto.holder import Holder
from vault.crypto.keyfile import read_private_secret
from vault.crypto.ledger import Ledger
from vault.crypto.policy import RATES, Limiter, Rate, Use
from vault.crypto.warden import Books, Warden, refusal
from vault.domain.roles import OfficeName
from vault.errors import NotAllowedError, OutOfReachError, VaultError, WrongUseError

MOST_CONNECTIONS: Final = 256
_HELLO_SECONDS = 5.0
_SYNC_SECONDS = 1.0
_LONGEST_PATH = 100  # bytes; a socket's path must fit into 108
_PEER = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED
_PR_SET_DUMPABLE = 4
_RELOAD = {signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a key service serves, where and to whom.

    :param open_holder: opens what holds the root keys; called at the start and at each SIGHUP.
    :param ledger_file: the ledger of destroyed keys; it stays with this service and in no database's backup.
    :param custody: what kind of holder that is.
    :param token_files: each office's token file, by the office's name.
    :param uids: accounts that may connect; the service's own where empty.
    """

    socket: Path
    open_holder: Callable[[], Holder]
    audit_file: Path
    ledger_file: Path
    token_files: Mapping[str, Path]
    custody: str = "local"
    uids: frozenset[int] = frozenset()
    rates: Mapping[Use, Rate] = field(default_factory=lambda: RATES)


def serve(plan: Plan, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP opens the root keys anew while everybody stays connected.

    :param ready: called once when clients can connect.
    :raises WrongUseError: a file, secret or token is unfit, or another key service runs here.
    """
    harden()
    signal.pthread_sigmask(signal.SIG_BLOCK, _RELOAD)  # one that comes while we start waits, and does not end us
    tokens = _read_tokens(plan.token_files)
    with contextlib.closing(Audit(plan.audit_file)) as audit, contextlib.closing(Ledger(plan.ledger_file)) as ledger:
        warden = Warden(plan.custody, plan.open_holder(), tokens, Books(audit, ledger), Limiter(plan.rates))
        asyncio.run(_serve(plan, warden, audit, ready))


def harden() -> None:
    """Leave no core dump and let no process of the same account read this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _read_tokens(files: Mapping[str, Path]) -> dict[OfficeName, str]:
    try:
        tokens = {OfficeName(name): read_private_secret(path) for name, path in files.items()}
    except ValueError:
        raise WrongUseError("office_unknown", "a token file stands under a name that is no office") from None
    if not tokens:
        raise WrongUseError("key_tokens_missing", "no office has a token file; make them with `dsr keys init`")
    return tokens


async def _serve(plan: Plan, warden: Warden, audit: Audit, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, plan, warden, audit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _RELOAD)
    uids = plan.uids or frozenset({os.geteuid()})
    doors: set[_Door] = set()
    listening = listen(plan.socket, alone=uids == {os.geteuid()})
    server = await loop.create_unix_server(lambda: _Door(warden, uids, doors), sock=listening, backlog=MOST_CONNECTIONS)
    audit.write("-", "start", "", "", "granted")
    ready()
    syncing = loop.create_task(_sync(audit))
    await stop.wait()
    plan.socket.unlink(missing_ok=True)
    server.close()
    for door in tuple(doors):
        door.shut()
    syncing.cancel()
    with contextlib.suppress(OSError, OutOfReachError):
        audit.write("-", "stop", "", "", "granted")
        audit.sync()


def _reload(plan: Plan, warden: Warden, audit: Audit) -> None:
    """Open the root keys anew; whatever fails, the old ones serve on and the audit says why."""
    outcome = "granted"
    try:
        warden.take(plan.open_holder())
    except VaultError as error:
        outcome = error.code
    with contextlib.suppress(OutOfReachError):
        audit.write("-", "reload", "", "", outcome)


async def _sync(audit: Audit) -> None:
    while True:
        await asyncio.sleep(_SYNC_SECONDS)
        with contextlib.suppress(OSError):  # a disk that fails refuses the next write too
            await asyncio.to_thread(audit.sync)


def listen(path: Path, *, alone: bool) -> sockets.socket:
    """Make the socket, in place of one that a killed daemon left.

    :param alone: only this account may connect; otherwise the file's group may too.
    :raises WrongUseError: the path is too long, taken by another file or by a running key service.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise WrongUseError("socket_path_too_long", f"a socket's path has at most {_LONGEST_PATH} bytes; shorten it")
    _clear(path)
    listening = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    before = os.umask(0o177 if alone else 0o117)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise WrongUseError("socket_unusable", f"the socket can't be made ({error.strerror}); check its path") from None
    finally:
        os.umask(before)
    listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return listening


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise WrongUseError("socket_taken", f"{path.name} is no socket; choose another path")
    with contextlib.closing(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise WrongUseError("socket_in_use", "a key service already runs on this socket; stop it first")


class _Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, warden: Warden, uids: frozenset[int], doors: "set[_Door]") -> None:
        self._warden = warden
        self._uids = uids
        self._doors = doors
        self._office: OfficeName | None = None
        self._feed = Feed(LARGEST_HELLO)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._doors.add(self)
        self._deadline = asyncio.get_running_loop().call_later(_HELLO_SECONDS, self._transport.abort)
        if len(self._doors) > MOST_CONNECTIONS:
            self._transport.abort()
        elif self._peer() not in self._uids:
            self._turn_away(NotAllowedError("key_account_refused", "this account may not use the key service"))

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        answers: list[bytes] = []
        fault: VaultError | None = None
        try:
            with self._warden.together():
                try:
                    answers.extend(map(self._answer, self._feed.bodies(data)))
                except VaultError as error:
                    fault = error
        except OutOfReachError as error:  # the audit has none of them, so none leaves
            answers, fault = [], error
        self._transport.write(b"".join(answers))
        if fault is not None:
            self._turn_away(fault)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._deadline.cancel()
        self._doors.discard(self)

    def pause_writing(self) -> None:
        """Stop hearing a client that doesn't fetch its answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def shut(self) -> None:
        """Close the connection now."""
        self._transport.abort()

    def _answer(self, body: bytes) -> bytes:
        messages = parse(body)
        if self._office is not None:
            return pack([self._warden.answer(self._office, message) for message in messages])
        if len(messages) > 1:
            raise malformed()
        self._office = self._warden.admit(messages[0])
        self._deadline.cancel()
        self._feed.largest = LARGEST
        return pack([{"office": self._office.value}])

    def _turn_away(self, error: VaultError) -> None:
        """Say why and close: after a malformed frame nothing that follows can be trusted."""
        with contextlib.suppress(OutOfReachError):
            self._warden.refuse(self._office or "-", "connect", error)
        self._transport.write(pack([refusal(error)]))
        self._transport.close()
        asyncio.get_running_loop().call_later(_HELLO_SECONDS, self._transport.abort)  # if it doesn't fetch this

    def _peer(self) -> int:
        socket = self._transport.get_extra_info("socket")
        return int(_PEER.unpack(socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _PEER.size))[1])
