"""Free ports on the loopback interface, outside the range from which clients take theirs."""

import contextlib
import secrets
import socket

from vault.errors import OutOfReachError

_LOWEST = 20_000
_HIGHEST = 32_000  # Linux hands out 32768 and up to outgoing connections
_TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on 127.0.0.1 at this port now."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Find a port that nobody listens on, at random, so that parallel test runs rarely meet.

    :raises OutOfReachError: none was free in 200 tries.
    """
    return free_ports(1)


def free_ports(count: int) -> int:
    """Find `count` neighbouring free ports and return the first.

    :raises OutOfReachError: none were free in 200 tries.
    """
    for _ in range(_TRIES):
        first = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST - count)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise OutOfReachError("ports_taken", "no free port was found between 20000 and 32000; stop servers you do not need")


def answers(port: int, host: str = "127.0.0.1", *, seconds: float = 1.0) -> bool:
    """Tell whether something accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False
