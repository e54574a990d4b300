"""Makes a child's n-th system call of a kind fail, or kills the child there, by strace's tampering.

The child is forked from a server that has everything imported, prepares its work, and waits until strace
holds it; so only the work itself is counted. Calls are counted in each thread.
"""

import contextlib
import multiprocessing
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from vault.errors import OutOfReachError
from vault.testing.processes import find_program

# what to call a kind on every processor, and the error that it fails with
CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "openat": ("openat", "EMFILE"),
    "write": ("write", "ENOSPC"),
    "fsync": ("fsync", "EIO"),
    "rename": ("?rename,?renameat,?renameat2", "EIO"),
    "link": ("?link,?linkat", "EIO"),
    "close": ("close", "EIO"),
    "connect": ("connect", "ECONNREFUSED"),
    "sendto": ("sendto", "ENETDOWN"),
}
_LONGEST: Final = 60.0  # seconds
PATIENCE: Final = 4.0  # seconds: on a line that refuses to send and stays open an answer is waited for long
_NURSERY = multiprocessing.get_context("forkserver")

Work = Callable[..., Callable[[], object]]  # an importable function that prepares, and gives what is traced


@dataclass(frozen=True, slots=True)
class Fault:
    """One instance: the kind of call, whether it fails or kills, and which one in its thread, from 1."""

    call: str
    kills: bool
    when: int

    def __str__(self) -> str:
        return f"{self.call}-{self.when}-{'killed' if self.kills else 'failed'}"


def count_calls(work: Work, *args: object) -> dict[str, int]:
    """Do the work undisturbed; tell the most calls of each kind that one of its threads made.

    :raises AssertionError: it failed or hung.
    """
    with _traced(work, args, [f"trace={','.join(names for names, _ in CALLS.values())}"]) as (ended, log):
        if ended(_LONGEST) != 0:
            raise AssertionError("the work failed undisturbed")
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    most: Counter[str] = Counter()
    kinds = {name.lstrip("?"): kind for kind, (names, _) in CALLS.items() for name in names.split(",")}
    counted = Counter(_thread_and_kind(line, kinds) for line in lines)
    for (_, kind), number in counted.items():
        most[kind] = max(most[kind], number)
    return {kind: most[kind] for kind in CALLS}


def disturbed(fault: Fault, work: Work, *args: object) -> bool:
    """Do the work with one fault in it; tell whether it came to its end all the same.

    Work that waits for longer than :data:`PATIENCE` is killed, as its scheduler would kill it.
    """
    names, error = CALLS[fault.call]
    how = "signal=KILL" if fault.kills else f"error={error}"
    with _traced(work, args, [f"trace={names}", f"inject={names}:{how}:when={fault.when}"]) as (ended, _):
        return ended(PATIENCE) == 0


@contextlib.contextmanager
def _traced(
    work: Work, args: tuple[object, ...], expressions: list[str]
) -> Iterator[tuple[Callable[[float], int], Path]]:
    """Run a child under strace; yield the way to wait for its exit code, and the file that strace writes."""
    gate, theirs = _NURSERY.Pipe()
    child = _NURSERY.Process(target=_prepare_and_work, args=(theirs, work, args))
    with gate, tempfile.TemporaryDirectory(prefix="dsr-strace-") as folder:
        child.start()
        theirs.close()
        log = Path(folder) / "log"
        try:
            gate.recv_bytes()  # prepared, no thread of its own yet
            with _attached(child.pid or 0, log, expressions) as strace:
                gate.send_bytes(b"go")
                yield partial(_ended, child, strace), log
        finally:
            child.kill()
            child.join()


@contextlib.contextmanager
def _attached(pid: int, log: Path, expressions: list[str]) -> Iterator["subprocess.Popen[str]"]:
    options = [part for expression in expressions for part in ("-e", expression)]
    command = [find_program("strace", "strace"), "-f", "-o", str(log), *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            line = strace.stderr.readline() if strace.stderr else ""
            if "attached" not in line:
                raise OutOfReachError("server_failed", "strace may not trace here; allow ptrace of one's own processes")
            yield strace
        finally:
            strace.kill()


def _ended(child: ForkServerProcess, strace: "subprocess.Popen[str]", seconds: float) -> int:
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
    strace.communicate(timeout=_LONGEST)  # it writes the last lines, and ends with what it traced
    return child.exitcode or 0


def _prepare_and_work(gate: "Connection[bytes, bytes]", work: Work, args: tuple[object, ...]) -> None:
    act = work(*args)
    gate.send_bytes(b"prepared")
    gate.recv_bytes()
    try:
        act()
    except Exception:  # noqa: BLE001 - whatever a failing call leads to: it is no end, and its words are of no use
        sys.exit(1)


def _thread_and_kind(line: str, kinds: Mapping[str, str]) -> tuple[str, str]:
    """Read a line of strace: the thread's number, then the call, or the rest of one that was interrupted."""
    thread, _, rest = line.partition(" ")
    return thread, kinds.get(rest.lstrip().partition("(")[0], "")
