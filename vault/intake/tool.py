"""A program that reads a stranger's bytes (gpg, openssl) runs with limits, without network, on anonymous memory.

Its input, its keys and its output stand in memory files that no file system sees. Its status comes
over a descriptor of its own, never mixed with messages into which a stranger may have written.
"""

import contextlib
import functools
import os
import resource
import select
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError, WrongUseError
from vault.intake.sandbox import ChildLimits, anonymous_files

STATUS = "{status}"  # stands in an argument list for the number of the status descriptor
_MESSAGES = 10_000  # bytes of a tool's complaints that are looked at
_CONFINED: set[int] = set()  # this process, once it is confined


@dataclass(frozen=True, slots=True)
class ToolRun(Private, shows=("code",)):
    """How a program ended: its exit code, standard output, status bytes and complaints."""

    code: int
    output: bytes
    status: bytes
    complaints: bytes


def run_tool(
    command: Sequence[str], data: bytes, *, cwd: Path, limits: ChildLimits, files: Mapping[str, bytes] | None = None
) -> ToolRun:
    """Run one program on ``data`` and wait for it.

    :param command: the argument list; ``{name}`` alone stands for the path of ``files[name]``,
        ``{status}`` for the number of the status descriptor.
    :param cwd: the directory it stands in, also its HOME and TMPDIR.
    :param limits: ``output`` bounds every file it writes, anonymous ones too.
    :raises UnreadableError: ``tool_timeout``, ``tool_output`` (a bomb) or ``tool_died``.
    :raises WrongUseError: the program is not installed.
    """
    files = files or {}
    with anonymous_files(data, b"", b"", b"", *files.values()) as (source, output, status, complaints, *held):
        paths = {f"{{{name}}}": descriptor for name, descriptor in zip(files, held, strict=True)}
        spelled = [
            str(status) if item == STATUS else f"/dev/fd/{paths[item]}" if item in paths else item for item in command
        ]
        child = subprocess.Popen(
            [*([] if _CONFINED else _prefix(limits)), _found(spelled[0]), *spelled[1:]],
            stdin=source,
            stdout=output,
            stderr=complaints,
            cwd=cwd,
            env=_environment(cwd),
            pass_fds=(status, *paths.values()),
            start_new_session=True,
        )
        if _CONFINED:
            _bind(child.pid, limits)
        code = _wait(child, limits.seconds)
        return ToolRun(code, _content(output), _content(status), _content(complaints, _MESSAGES))


def _environment(cwd: Path) -> dict[str, str]:
    """Return what a tool needs; no file stands behind this locale, and lists hold their bytes as they are in any."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(cwd), "TMPDIR": str(cwd)}


def _wait(child: "subprocess.Popen[bytes]", seconds: float) -> int:
    try:
        code = _ended(child, seconds)
    except subprocess.TimeoutExpired:
        raise UnreadableError("tool_timeout", "reading the item took too long; a person must look at it") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if code == -signal.SIGXFSZ:
        raise UnreadableError("tool_output", "the item becomes too large when opened; a person must look at it")
    if code < 0:
        raise UnreadableError("tool_died", "the program that reads this item died; a person must look at it")
    return code


def _ended(child: "subprocess.Popen[bytes]", seconds: float) -> int:
    """Wait for the end itself: Popen looks every 50 ms, which is longer than gpg takes altogether."""
    end = os.pidfd_open(child.pid)
    try:
        watch = select.poll()
        watch.register(end, select.POLLIN)
        if not watch.poll(seconds * 1000):
            raise subprocess.TimeoutExpired(child.args, seconds)
    finally:
        os.close(end)
    return child.wait()


def _content(descriptor: int, most: int | None = None) -> bytes:
    """Read an anonymous file from its beginning, in as many pieces as the kernel makes of it."""
    size = os.fstat(descriptor).st_size
    wanted = size if most is None else min(size, most)
    found = os.pread(descriptor, wanted, 0)
    while len(found) < wanted and (more := os.pread(descriptor, wanted - len(found), len(found))):
        found += more
    return found


def confined() -> None:
    """Say that this process has no network, and bounds that its children inherit: a tool starts in a third of the time.

    What a tool may use beyond that is bound when it has started; it runs without a wrapper before it. Core dumps are
    forbidden here and not then: gpg forbids them itself, and fails when the bound sinks while it does so.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _CONFINED.add(os.getpid())


def _bind(pid: int, limits: ChildLimits) -> None:
    for _, kind, wanted in _bounds(limits)[1:]:  # core dumps are forbidden already
        with contextlib.suppress(ProcessLookupError):  # it has ended
            most = _at_most(kind, wanted)
            resource.prlimit(pid, kind, (most, most))


def _prefix(limits: ChildLimits) -> list[str]:
    spelled = [f"--{name}={_at_most(kind, wanted)}" for name, kind, wanted in _bounds(limits)]
    return [*_without_network(), _found("prlimit"), *spelled, "--"]


def _bounds(limits: ChildLimits) -> tuple[tuple[str, int, int], ...]:
    return (
        ("core", resource.RLIMIT_CORE, 0),
        ("as", resource.RLIMIT_AS, limits.memory),
        ("cpu", resource.RLIMIT_CPU, int(limits.seconds) + 1),
        ("fsize", resource.RLIMIT_FSIZE, limits.output),
    )


def _at_most(kind: int, wanted: int) -> int:
    _, most = resource.getrlimit(kind)
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


@functools.cache
def _without_network() -> tuple[str, ...]:
    """Return the command that empties the network, in the form that this system allows; empty when none."""
    for arguments in (("--net",), ("--user", "--map-current-user", "--net")):
        command = (_found("unshare"), *arguments, "--")
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()


@functools.cache
def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise WrongUseError("program_missing", f"install {program} (see infra/setup); mail can't be opened without it")
    return path
