"""The key service's own audit: JSON lines, appended only, never a key and never what was indexed.

A line that can't be written is an error, and the caller refuses the use: no line, no key.
"""

import fcntl
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from vault.errors import OutOfReachError, WrongUseError

_LONGEST = 200  # characters of a name or reference


class Audit:
    """An open audit file, locked so that only one daemon appends to it."""

    __slots__ = ("_dirty", "_file", "_torn")

    def __init__(self, path: Path) -> None:
        """Open the file, made with mode 600 where it is missing.

        :raises WrongUseError: it can't be opened, others may read it, or another daemon writes it.
        """
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            advice = (
                f"the audit file can't be opened ({error.strerror}); give its directory to the key service's account"
            )
            raise WrongUseError("audit_missing", advice) from None
        try:
            self._torn = self._check()
        except WrongUseError:
            os.close(self._file)
            raise
        self._dirty = False

    def _check(self) -> bool:
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            raise WrongUseError("audit_readable", "others may open the audit file; run chmod 600 on it")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WrongUseError("audit_in_use", "another key service writes this audit file; stop it first") from None
        # a daemon killed in the middle of a line leaves it torn: the next line must not be glued to it
        return found.st_size > 0 and os.pread(self._file, 1, found.st_size - 1) != b"\n"

    def write(self, office: str, verb: str, name: str, ref: str, outcome: str) -> None:
        """Append one line and hand it to the operating system.

        :param office: the office, or ``-`` before it is known.
        :param name: kind, box, label or signer.
        :param ref: the reference of a wrapped or sealed key; empty for other verbs.
        :param outcome: ``granted`` or a refusal's code.
        :raises OutOfReachError: the line could not be written whole; refuse the use.
        """
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "office": office,
                "verb": _fit(verb),
                "name": _fit(name),
                "ref": _fit(ref),
                "outcome": outcome,
            }
        )
        self._append(line.encode("ascii") + b"\n")

    def _append(self, line: bytes) -> None:
        whole = b"\n" + line if self._torn else line
        try:
            written = os.write(self._file, whole) if os.fstat(self._file).st_nlink else 0
        except OSError:
            written = 0
        if written != len(whole):
            self._torn = self._torn or written > 0
            advice = "the key service can't write its audit and therefore refuses; free its disk or restore the file"
            raise OutOfReachError("key_audit_unwritable", advice)
        self._torn = False
        self._dirty = True

    def sync(self) -> None:
        """Bring the lines to the disk.

        :raises OSError: the disk did not take them.
        """
        if self._dirty:
            self._dirty = False
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file and let another daemon have it."""
        os.close(self._file)


def _fit(word: str) -> str:
    return word if len(word) <= _LONGEST and word.isascii() and word.isprintable() else "?"
