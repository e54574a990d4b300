"""Files that a kill finds whole or not at all: written beside their place, brought to the disk, then put there."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_DRAFT = ".draft-"


def write_once(path: Path, content: bytes, mode: int) -> Path | None:
    """Write a file, or leave the one that stands there.

    :returns: the path, or None where a file stood already.
    :raises OSError: the disk or the directory did not take it.
    """
    if path.exists():
        return None
    with _draft(path, content, mode) as draft:
        try:
            os.link(draft, path)  # unlike a rename, never over another's file
        except FileExistsError:
            return None
    sync_directory(path.parent)
    return path


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put new content in a file's place: at any moment there stands the old or the new, whole.

    :raises OSError: the disk or the directory did not take it; the old content stands.
    """
    with _draft(path, content, mode) as draft:
        draft.rename(path)
    sync_directory(path.parent)


@contextlib.contextmanager
def alone(path: Path, *beside: Path) -> Iterator[None]:
    """Be the only one to change a file while inside; whoever else comes waits. Drafts that a kill left are removed.

    :param beside: further files of the same directory that are changed inside too.
    :raises OSError: the directory can't be opened.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        for one in (path, *beside):
            for left in path.parent.glob(f".{one.name}{_DRAFT}*"):
                left.unlink()
        yield
    finally:
        os.close(directory)


@contextlib.contextmanager
def _draft(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}{_DRAFT}{secrets.token_hex(4)}")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fchmod(file, mode)  # whatever the umask took away
            os.fsync(file)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Bring a directory's entries to the disk: a file whose name is lost is lost.

    :raises OSError: the directory can't be opened, or the disk did not take them.
    """
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
