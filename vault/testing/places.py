"""Where a server's files lie: private, short, reachable for the server's account, and gone afterwards."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from vault.testing import processes
from vault.testing.processes import Account, Running, identity

_FAST = Path("/dev/shm")  # noqa: S108 - only a parent: what is made in it is a private directory with a random name
_Server = TypeVar("_Server")
# Kills every process of the sessions in $0 and removes the files in "$@"; in /proc/PID/stat the
# session is the fourth word after the name, which stands in brackets.
_GUARD = """
trap "" INT TERM HUP
read -r _ && exit 0
for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    set -f; fields=${line##*) }; rest=${fields#* * * }; set +f
    pid=${stat#/proc/}
    case " $0 " in *" ${rest%% *} "*) kill -KILL "${pid%/stat}" ;; esac
done 2>/dev/null
sleep 0.2
rm -rf -- "$@"
"""


def write_private(path: Path, text: str, account: Account | None = None) -> Path:
    """Write a file that only its owner may read, replacing what was there in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    give(draft, account)
    draft.replace(path)
    return path


def private_directory(prefix: str, account: Account | None = None, *, parent: Path | None = None) -> Path:
    """Make a directory with a short random name that only we, or `account`, may enter.

    :param parent: where; else memory (`/dev/shm`) where it can be written, else the temporary directory.
    """
    if parent is None and os.access(_FAST, os.W_OK | os.X_OK):
        parent = _FAST
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    give(path, account)
    return path


def reachable(path: Path, account: Account | None) -> bool:
    """Tell whether that account may enter the directory or run the program at `path`."""
    done = subprocess.run(["test", "-x", str(path)], check=False, cwd="/", **identity(account))
    return done.returncode == 0


def base_of(home: Path, account: Account | None) -> Path:
    """Choose where a server's data lie: in `home`, unless the server's account can't come that far."""
    note = home / "base"
    if note.exists():
        return Path(note.read_text(encoding="utf-8"))
    base = home / "server"
    base.mkdir(mode=0o700, exist_ok=True)
    give(base, account)
    if account is not None:
        home.chmod(0o711)  # the account may pass through, not look around
    if not reachable(base, account):
        home.chmod(0o700)
        parent = _FAST if home.is_relative_to(_FAST) else Path("/var/tmp")  # noqa: S108 - mkdtemp
        base = private_directory("dsr-data-", account, parent=parent)
    note.write_text(str(base), encoding="utf-8")
    return base


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of a file or directory."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def empty(directory: Path) -> None:
    """Remove what an unfinished set-up left in a directory."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def run_directory(home: Path, account: Account | None) -> Path:
    """Make the directory for a server's sockets, whose paths must stay short; it goes when the server stops."""
    path = private_directory("dsr-run-", account, parent=Path("/tmp"))  # noqa: S108 - mkdtemp
    write_private(home / "run", str(path))
    return path


def close_run_directory(home: Path) -> None:
    """Remove the sockets' directory, if there is one."""
    for path in _noted(home, "run"):
        shutil.rmtree(path, ignore_errors=True)
    (home / "run").unlink(missing_ok=True)


def discard(home: Path) -> None:
    """Remove all that a stopped server kept: data, passwords, logs."""
    for path in (*_noted(home, "base"), *_noted(home, "run"), home):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def lent(
    start: Callable[[Path], _Server], stop: Callable[[Path], None], directory: Path | None, prefix: str
) -> Iterator[_Server]:
    """Run a server while inside; without `directory` it lives in memory and leaves nothing behind."""
    home = directory or private_directory(prefix)
    try:
        server = start(home)
        leftovers = _noted(home, "run") + ([] if directory else [*_noted(home, "base"), home])
        with guarded(processes.running_in(home), *leftovers):
            yield server
    finally:
        stop(home)
        if directory is None:
            discard(home)


@contextlib.contextmanager
def guarded_house(house: Path) -> Iterator[None]:
    """Guard every server whose home lies somewhere under `house`, and the folder itself."""
    homes = sorted({path.parent for path in house.rglob("*.pid")})
    leftovers = [path for home in homes for name in ("run", "base") for path in _noted(home, name)]
    leftovers += _noted(house, "nest")
    with guarded([process for home in homes for process in processes.running_in(home)], *leftovers, house):
        yield


@contextlib.contextmanager
def guarded(processes_to_end: Sequence[Running], *leftovers: Path) -> Iterator[None]:
    """While inside, see to it that the servers end and `leftovers` go even if we are killed with SIGKILL.

    A shell holds the read end of a pipe: our death closes the other end, whatever killed us.
    """
    sessions = " ".join(str(process.pid) for process in processes_to_end)
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, sessions, *map(str, leftovers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.communicate(b"done\n")


def _noted(home: Path, name: str) -> list[Path]:
    note = home / name
    return [Path(note.read_text(encoding="utf-8"))] if note.is_file() else []
