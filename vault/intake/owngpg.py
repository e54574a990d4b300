"""gpg in the home of our own keys: offline, without a terminal, and without disturbing an agent that serves others."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vault.errors import OutOfReachError

_SECONDS = 60
_SHORT = 70  # characters of a home in which gpg's agent can make its sockets
_OPTIONS = ("--no-options", "--batch", "--no-tty", "--quiet", "--fixed-list-mode", "--display-charset", "utf-8")
_OFFLINE = ("--disable-dirmngr", "--no-auto-key-retrieve", "--no-auto-key-locate")
_ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}


def run_gpg(home: Path, *arguments: str, data: bytes = b"", bad: bytes | None = None) -> bytes:
    """Run gpg and return what it prints; where it fails, return ``bad``.

    :raises OutOfReachError: gpg is missing, or fails and ``bad`` is None.
    """
    command = ["gpg", *_OPTIONS, *_OFFLINE, "--homedir", str(home), *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, env=_ENVIRONMENT, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise OutOfReachError("gpg_missing", "gpg does not start or end; install the package gnupg") from None
    if done.returncode == 0:
        return done.stdout
    if bad is None:
        raise OutOfReachError("mail_key_not_made", "gpg refuses; see that the passphrase fits and the home is ours")
    return bad


@contextlib.contextmanager
def short_home(home: Path) -> Iterator[Path]:
    """Yield a path to the home that is short enough for the agent's sockets."""
    if len(str(home.absolute())) <= _SHORT:
        yield home.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="dsr-k-") as place:
        link = Path(place) / "h"
        link.symlink_to(home.absolute())
        yield link


@contextlib.contextmanager
def agent(home: Path) -> Iterator[None]:
    """End the agent afterwards, unless it runs already and serves somebody else."""
    asks = ["gpg-connect-agent", "--homedir", str(home), "--no-autostart", "GETINFO pid", "/bye"]
    running = b"OK" in _quietly(asks)
    try:
        yield
    finally:
        if not running:
            _quietly(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])


def _quietly(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, env=_ENVIRONMENT, timeout=_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return b""
