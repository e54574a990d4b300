"""The inside of a sandboxed child: gives up what it does not need, calls one function, answers on a pipe.

Run as ``python -m vault.intake.child module:function MEMORY SECONDS FILES`` by :mod:`vault.intake.sandbox`.
"""

import contextlib
import ctypes
import importlib
import os
import resource
import signal
import sys
from pathlib import Path

from vault.errors import VaultError

ANSWERED, RAISED, NO_MEMORY, FAILED = b"\x00", b"\x01", b"\x02", b"\x03"  # first byte of what a child says
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # os.unshare comes with Python 3.12 only
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def give_up_network() -> bool:
    """Move into an empty network namespace; return whether the kernel allowed it.

    Root needs no user namespace. Where neither is allowed (some container engines) the child keeps
    the network, and ``dsr doctor`` says so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):  # unmapped ids only look odd to the child
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    return True


def network_report(_payload: bytes) -> bytes:
    """Say how many network interfaces a child sees besides loopback; for the doctor and the tests."""
    import socket  # noqa: PLC0415 - no other child needs it

    return str(sum(name != "lo" for _, name in socket.if_nameindex())).encode()


def bound(kind: int, wanted: int) -> None:
    """Bound a resource of this process for good, or leave a lower bound as it is."""
    _, most = resource.getrlimit(kind)
    value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(kind, (value, value))


def _limit(memory: int, seconds: int, files: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)
    bounds = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds))
    for kind, wanted in (*bounds, (resource.RLIMIT_FSIZE, files)):
        bound(kind, wanted)


def _answer(function_path: str, payload: bytes) -> bytes:
    module, name = function_path.split(":")
    try:
        result: bytes = getattr(importlib.import_module(module), name)(payload)
    except VaultError as error:
        return RAISED + f"{type(error).__name__}\n{error.code}\n{error.advice}".encode()
    except MemoryError:
        return NO_MEMORY
    except Exception:  # noqa: BLE001 - the parent turns any failure into one code; its text may be personal
        return FAILED
    return ANSWERED + result


def main(arguments: list[str]) -> None:
    """Read the payload from standard input, call the function, write one framed answer."""
    function_path, memory, seconds, files = arguments
    give_up_network()
    _limit(int(memory), int(seconds), int(files))
    with os.fdopen(os.dup(1), "wb") as answer, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # whatever a library prints does not reach the answer
        with os.fdopen(0, "rb") as source:
            payload = source.read()
        answer.write(_answer(function_path, payload))


if __name__ == "__main__":
    main(sys.argv[1:])
