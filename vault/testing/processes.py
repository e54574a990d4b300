"""Servers as children: started without privileges, found again by pid file, stopped with all they started."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from vault.errors import OutOfReachError, WrongUseError

_POLL = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account that a server runs as when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Running:
    """One process: its number, and its start time, because numbers are used again."""

    pid: int
    started: int  # clock ticks since boot

    def alive(self) -> bool:
        """Tell whether exactly this process still runs (a zombie does not)."""
        return _start_of(self.pid) == self.started

    def to_json(self) -> str:
        """Write it for a pid file."""
        return json.dumps({"pid": self.pid, "started": self.started})


class Identity(TypedDict, total=False):
    """What `subprocess` calls an account."""

    user: int
    group: int
    extra_groups: list[int]


class Launch(TypedDict, total=False):
    """How a server is started: as whom, with which environment, where."""

    account: Account | None
    env: Mapping[str, str]
    cwd: Path


def identity(account: Account | None) -> Identity:
    """Give the arguments with which `subprocess` starts a child as that account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def server_missing(server: str, package: str) -> WrongUseError:
    """Say which Debian package brings a server that is not installed."""
    advice = f"{server} is not installed; run infra/setup, or install Debian's package {package}"
    return WrongUseError("server_missing", advice)


def find_program(name: str, package: str) -> str:
    """Find a server's program, also where ordinary users' PATH does not lead.

    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin")
    if path is None:
        raise server_missing(name, package)
    return path


def unprivileged(*preferred: str) -> Account | None:
    """Choose the account for a server: None when we are no root and it simply runs as ourselves.

    :param preferred: account names, best first; `nobody` is the last resort.
    :raises WrongUseError: root, and not even `nobody` exists.
    """
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise WrongUseError("account_missing", "make the account nobody, or start this as an ordinary user")


def launch(command: Sequence[str | Path], *, log: Path, **options: Unpack[Launch]) -> Running:
    """Start a server in a session of its own, its output appended to `log`.

    :raises OutOfReachError: the program can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    env, account = options.get("env"), options.get("account")
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=None if env is None else dict(env),
                cwd=options.get("cwd") or "/",
                **identity(account),
            )
    except OSError as error:
        advice = f"{Path(command[0]).name} can't be started ({error.strerror}); check that it is installed whole"
        raise OutOfReachError("server_failed", advice) from None
    _CHILDREN[process.pid] = process
    return Running(process.pid, _start_of(process.pid) or 0)


def run_as(command: Sequence[str | Path], account: Account | None, *, log: Path, cwd: Path | None = None) -> bool:
    """Run a short command as that account; tell whether it ended well."""
    with log.open("ab") as output:
        done = subprocess.run(
            [str(part) for part in command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd or "/",
            **identity(account),
        )
    return done.returncode == 0


def wait_until(ready: Callable[[], bool], what: str, *, process: Running | None = None, seconds: float = 30.0) -> None:
    """Wait until `ready()` is true.

    :raises OutOfReachError: `server_failed` when `process` ended first, `server_slow` after `seconds`.
    """
    end = time.monotonic() + seconds
    while not ready():
        if process is not None and not process.alive():
            raise OutOfReachError("server_failed", f"{what} ended while it started; read its log")
        if time.monotonic() > end:
            raise OutOfReachError("server_slow", f"{what} did not answer within {seconds:.0f} s; read its log")
        time.sleep(_POLL)


def stop(process: Running, *, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Ask the process to end, then kill it and the rest of its session."""
    if process.alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, first)
        _wait_gone(process, seconds)
    _kill_session(process)
    child = _CHILDREN.pop(process.pid, None)
    if child is not None:
        child.wait()


def read_pid(path: Path) -> Running | None:
    """Read a pid file; None when it is missing, malformed or names a process that has ended."""
    process = _noted(path)
    return process if process is not None and process.alive() else None


def _noted(path: Path) -> Running | None:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return Running(int(body["pid"]), int(body["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_in(home: Path) -> list[Running]:
    """Find the servers that still run by the pid files `*.pid` in `home`."""
    found = (read_pid(path) for path in sorted(home.glob("*.pid")))
    return [process for process in found if process is not None]


def start_named(name: str, home: Path, command: Sequence[str | Path], **options: Unpack[Launch]) -> Running:
    """Start a server with the log `home/NAME.log` and the pid file `home/NAME.pid`."""
    running = launch(command, log=home / f"{name}.log", **options)
    (home / f"{name}.pid").write_text(running.to_json(), encoding="utf-8")
    return running


def stop_named(name: str, home: Path, *, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Stop the server of this pid file and what it started, even if it died itself, and remove the file."""
    path = home / f"{name}.pid"
    noted = _noted(path)
    if noted is not None:
        stop(noted, first=first, seconds=seconds)
    path.unlink(missing_ok=True)


def session_of(pid: int) -> list[Running]:
    """Find the processes of the session that a server began, whatever groups they made for themselves."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _fields(int(folder.name))
        if fields and fields[3] == str(pid):
            found.append(Running(int(folder.name), int(fields[19])))
    return found


_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}  # ours, to be reaped; adopted ones are not in here


def _start_of(pid: int) -> int | None:
    child = _CHILDREN.get(pid)
    if child is not None and child.poll() is not None:
        return None
    fields = _fields(pid)
    return int(fields[19]) if fields else None


def _fields(pid: int) -> list[str]:
    """Read what follows the name in /proc/PID/stat (state, parent, group, session, ...); [] once it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()  # the name stands in brackets and may hold spaces and brackets itself
    return [] if fields[0] in "ZX" else fields


def _wait_gone(process: Running, seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.alive() and time.monotonic() < end:
        time.sleep(_POLL)


def _kill_session(process: Running) -> None:
    """Kill what is left of the session, unless its number now belongs to somebody else's process."""
    if _start_of(process.pid) not in {None, process.started}:
        return
    left = session_of(process.pid)
    for member in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member.pid, signal.SIGKILL)
    for member in left:
        _wait_gone(member, 5)
