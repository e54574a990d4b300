"""A private file that is only appended to, by one process, in whole lines; what a kill left torn spoils no line."""

import fcntl
import os
import stat
from pathlib import Path

from vault.errors import WrongUseError


class AppendedFile:
    """An open file of lines, locked; made with mode 600 where it is missing.

    :param name: what it is, one word: it heads the codes of the errors (``audit_missing``).
    """

    __slots__ = ("_file", "_name", "_torn")

    def __init__(self, path: Path, name: str) -> None:
        """Open the file.

        :raises WrongUseError: it can't be opened, others may read it, or another process writes it.
        """
        self._name = name
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            advice = f"the {name} file can't be opened ({error.strerror}); give its directory to this account"
            raise WrongUseError(f"{name}_missing", advice) from None
        try:
            self._torn = self._check()
        except WrongUseError:
            os.close(self._file)
            raise

    def _check(self) -> bool:
        name, found = self._name, os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            raise WrongUseError(f"{name}_readable", f"others may open the {name} file; run chmod 600 on it")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            advice = f"another key service writes this {name} file; stop it first"
            raise WrongUseError(f"{name}_in_use", advice) from None
        # a process killed in the middle of a line leaves it torn: the next line must not be glued to it
        return found.st_size > 0 and os.pread(self._file, 1, found.st_size - 1) != b"\n"

    def append(self, line: bytes) -> bool:
        """Hand one line or several to the operating system.

        :param line: ends with a line feed.
        :returns: False when it was not taken whole, or nobody could find the file again.
        """
        whole = b"\n" + line if self._torn else line
        try:
            written = os.write(self._file, whole) if os.fstat(self._file).st_nlink else 0
        except OSError:
            written = 0
        if written != len(whole):
            self._torn = self._torn or written > 0
            return False
        self._torn = False
        return True

    def sync(self) -> None:
        """Bring the lines to the disk.

        :raises OSError: the disk did not take them.
        """
        os.fsync(self._file)

    def read(self) -> bytes:
        """Give all that stands in the file."""
        return os.pread(self._file, os.fstat(self._file).st_size, 0)

    def piece(self, start: int, most: int) -> bytes:
        """Give what stands from a place on, in bytes, and at most so many of them."""
        return os.pread(self._file, most, start)

    def close(self) -> None:
        """Close the file and let another process have it."""
        os.close(self._file)
