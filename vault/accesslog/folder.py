"""A directory that holds a copy of the published log: whole files only, and none ever replaced by other bytes.

A file is written under another name, forced to disk and renamed; a copier killed anywhere leaves whole
files, and at most one draft that the next one overwrites.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vault.errors import ConflictError, OutOfReachError, TamperedError

_OWN: Final = ".copying"  # a folder of ours: the lock and the draft


class Folder:
    """The directory, made where it is missing; use it inside :func:`opened`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._draft = root / _OWN / "draft"
        self._unsaved: set[Path] = set()

    def has(self, name: str) -> bool:
        """Tell whether a name is there; if so, it will be saved with what is new."""
        path = self._root / name
        if not path.is_file():
            return False
        self._note(path.parent)  # whoever put it may have been killed before it was saved
        return True

    def put(self, name: str, data: bytes) -> bool:
        """Store a file once; tell whether it is new.

        :raises TamperedError: other bytes stand under that name; they stay.
        """
        path = self._root / name
        if not path.exists():
            self._write(path, data)
            return True
        if path.read_bytes() != data:
            raise TamperedError("log_copy_differs", "the log shows other bytes than it did; keep this copy, report it")
        return False

    def replace(self, name: str, data: bytes) -> None:
        """Store the newest version of a file, once all that was put before is on disk."""
        self.save()
        self._write(self._root / name, data)
        self.save()

    def save(self) -> None:
        """Force the names of all files that were put or met to disk."""
        for directory in sorted(self._unsaved):
            _sync(directory)
        self._unsaved.clear()

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._draft.open("wb") as draft:
            draft.write(data)
            draft.flush()
            os.fsync(draft.fileno())
        self._draft.rename(path)
        self._note(path.parent)

    def _note(self, directory: Path) -> None:
        """Remember to save a directory and those above it, up to the copy's own."""
        while directory not in self._unsaved:
            self._unsaved.add(directory)
            directory = directory.parent if directory != self._root else directory


@contextmanager
def opened(root: Path) -> Iterator[Folder]:
    """Lend a folder to one copier at a time.

    :raises ConflictError: another one is at work there.
    :raises OutOfReachError: the disk refuses.
    """
    try:
        (root / _OWN).mkdir(parents=True, exist_ok=True)
        with (root / _OWN / "lock").open("wb") as lock:
            _lock(lock.fileno())
            yield Folder(root)
    except OSError as error:
        advice = f"the copy's disk refuses ({error.strerror}); look after it, then copy again"
        raise OutOfReachError("log_copy_disk", advice) from None


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConflictError(
            "log_copying", "another process copies the log into this folder; wait for its end"
        ) from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
