"""A stranger's bytes are decoded in a fresh child process that has no network, no core dump and no time to waste.

The child gets its payload in anonymous memory and answers by pipe. Its TMPDIR is private, lies on
tmpfs where there is one, and is wiped afterwards; what a killed parent left behind is wiped by the
next one. Whatever goes wrong inside comes out as :class:`UnreadableError` with a stable code.
"""

import contextlib
import fcntl
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vault.errors import OutOfReachError, UnreadableError, VaultError, WrongUseError
from vault.intake.child import ANSWERED, FAILED, NO_MEMORY, RAISED

if TYPE_CHECKING:  # a child that opens mail starts in half the time without pydantic
    from vault.settings import Limits

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_PIECE = 1 << 16  # bytes read from the pipe at once
_OWN_ERRORS: dict[str, type[VaultError]] = {"WrongUseError": WrongUseError, "OutOfReachError": OutOfReachError}
_ADVICE = {
    "child_timeout": "the item took too long to read; a person must look at the original",
    "child_memory": "the item needs too much memory to read; a person must look at the original",
    "child_output": "the item becomes too large when read; a person must look at the original",
    "child_failed": "the item could not be read; a person must look at the original",
    "child_died": "the reader of this item died; a person must look at the original",
}


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use: ``memory`` and ``output`` in bytes, ``seconds`` of clock and of processor."""

    memory: int = 2_000_000_000
    seconds: float = 120.0
    output: int = 400_000_000
    files: int = 2_000_000_000  # bytes of one file in TMPDIR

    @classmethod
    def of(cls, limits: "Limits") -> "ChildLimits":
        """Take the operator's settings."""
        return cls(memory=limits.child_bytes, seconds=float(limits.child_seconds))


def run_child(function_path: str, payload: bytes, *, limits: ChildLimits | None = None) -> bytes:
    """Call ``module:function`` with ``payload`` in a fresh process and return its bytes.

    :param function_path: the function takes bytes and returns bytes.
    :param limits: what the child may use; crossing one ends the whole process group.
    :raises UnreadableError: the function raised, died, or crossed a limit (``child_timeout``,
        ``child_memory``, ``child_output``, ``child_failed``, ``child_died``, or the code it raised itself).
    :raises WrongUseError: the function says that the installation is wrong.
    :raises OutOfReachError: the function says that a part does not answer.
    """
    if not _FUNCTION.fullmatch(function_path):
        raise WrongUseError("child_function", "a child's function is written module:function")
    limits = limits or ChildLimits()
    with private_directory() as home, anonymous_files(payload) as (source,):
        child = subprocess.Popen(
            _command(function_path, limits),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library's complaint may quote what it read
            cwd=home,
            env=environment() | {"TMPDIR": str(home), "HOME": str(home)},
            start_new_session=True,
        )
        try:
            said = _listen(child, limits)
        finally:
            _end(child)
    return _judge(said, child.returncode)


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Make a directory of mode 700 on tmpfs (else in the system's temporary directory); wipe it at the end.

    Its path is short enough for gpg's sockets. A killed owner's directory is wiped when the next one is made.
    """
    with _locked(_base()) as base:
        _sweep(base)
        path = base / secrets.token_hex(6)
        path.mkdir(mode=0o700)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def anonymous_files(*contents: bytes) -> Iterator[list[int]]:
    """Hold each of ``contents`` in memory behind a file descriptor at position 0; no file system ever sees them."""
    descriptors: list[int] = []
    try:
        for content in contents:
            descriptors.append(os.memfd_create("dsr", 0))
            _fill(descriptors[-1], content)
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _fill(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    if data:
        os.lseek(descriptor, 0, os.SEEK_SET)


def _command(function_path: str, limits: ChildLimits) -> list[str]:
    numbers = (str(limits.memory), str(int(limits.seconds) + 1), str(limits.files))
    return [sys.executable, "-P", "-m", "vault.intake.child", function_path, *numbers]


def environment() -> dict[str, str]:
    """Return what a child of ours needs of the environment, and no more: no setting and no secret."""
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    return kept | {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "OMP_THREAD_LIMIT": "1",
    }


def _listen(child: "subprocess.Popen[bytes]", limits: ChildLimits) -> bytes:
    deadline = time.monotonic() + limits.seconds
    said = bytearray()
    pipe = child.stdout
    assert pipe is not None  # noqa: S101 - Popen was given PIPE
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise _refusal("child_timeout")
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            break
        said += piece
        if len(said) > limits.output + 1:
            raise _refusal("child_output")
    try:
        child.wait(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _refusal("child_timeout") from None
    return bytes(said)


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # also what the child itself started
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _judge(said: bytes, returncode: int) -> bytes:
    kind, body = said[:1], said[1:]
    if returncode != 0:
        raise _refusal("child_died")
    if kind == ANSWERED:
        return body
    if kind == RAISED:
        name, code, advice = body.decode("utf-8", "replace").split("\n", 2)
        raise _OWN_ERRORS.get(name, UnreadableError)(code, advice)
    raise _refusal({NO_MEMORY: "child_memory", FAILED: "child_failed"}.get(kind, "child_died"))


def _refusal(code: str) -> UnreadableError:
    return UnreadableError(code, _ADVICE[code])


def _base() -> Path:
    shared = Path("/dev/shm")  # noqa: S108 - tmpfs on every Linux; the directory below it is ours alone
    parent = shared if os.access(shared, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - last resort
    base = parent / f"dsr-vault-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        base.mkdir(mode=0o700)
    state = base.lstat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or base.is_symlink():
        raise WrongUseError("temporary_directory", f"{base} belongs to somebody else or is open to others; remove it")
    return base


@contextlib.contextmanager
def _locked(base: Path) -> Iterator[Path]:
    lock = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base
    finally:
        os.close(lock)


def _sweep(base: Path) -> None:
    for path in base.iterdir():
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by its owner as long as that lives
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
