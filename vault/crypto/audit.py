"""The key service's own audit: JSON lines, appended only, never a key and never what was indexed.

A line that can't be written is an error, and the caller refuses the use: no line, no key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vault.crypto.appended import AppendedFile
from vault.crypto.auditlines import PAGE_BYTES, AuditLine, AuditPage, render_line
from vault.errors import OutOfReachError, RefusedError

_LONGEST = 200  # characters of a name or reference


class Audit:
    """An open audit file, locked so that only one daemon appends to it."""

    __slots__ = ("_dirty", "_held", "_lines")

    def __init__(self, path: Path) -> None:
        """Open the file, made with mode 600 where it is missing.

        :raises WrongUseError: it can't be opened, others may read it, or another daemon writes it.
        """
        self._lines = AppendedFile(path, "audit")
        self._dirty = False
        self._held: list[bytes] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hand the lines of the block over at once at its end; until then none of its answers may leave.

        :raises OutOfReachError: they could not be written whole; refuse every use of the block.
        """
        self._held = []
        try:
            yield
        finally:
            held, self._held = b"".join(self._held), None
            if held:
                self._append(held)

    def write(self, office: str, verb: str, name: str, ref: str, outcome: str, *, use: str = "") -> None:
        """Append one line and hand it to the operating system.

        :param office: the office, or ``-`` before it is known.
        :param name: kind, box, label or signer.
        :param ref: the reference of a wrapped or sealed key; empty for other verbs.
        :param outcome: ``granted`` or a refusal's code.
        :param use: the id of the log receipt that allowed the use, or another word of what it is for.
        :raises OutOfReachError: the line could not be written whole; refuse the use.
        """
        at = datetime.now(UTC)
        whole = render_line(AuditLine(at, office, _fit(verb), _fit(name), _fit(ref), _fit(use), outcome))
        if self._held is None:
            self._append(whole)
        else:
            self._held.append(whole)

    def _append(self, lines: bytes) -> None:
        if not self._lines.append(lines):
            advice = "the key service can't write its audit and therefore refuses; free its disk or restore the file"
            raise OutOfReachError("key_audit_unwritable", advice)
        self._dirty = True

    def sync(self) -> None:
        """Bring the lines to the disk.

        :raises OSError: the disk did not take them.
        """
        if self._dirty:
            self._dirty = False
            self._lines.sync()

    def page(self, position: int) -> AuditPage:
        """Give whole lines from a place on, at most 256 KiB of them; none where nothing more stands there.

        :param position: bytes; 0, or where an earlier page ended.
        :raises RefusedError: no line begins there: the audit is another one, or was cut.
        """
        before = self._lines.piece(position - 1, 1) if position > 0 else b"\n"
        if position < 0 or before != b"\n":
            advice = "the key service's audit is shorter than what was read of it; find out who changed it"
            raise RefusedError("key_audit_cut", advice)
        lines = self._lines.piece(position, PAGE_BYTES)
        whole = lines[: lines.rfind(b"\n") + 1]
        return AuditPage(whole, position + len(whole))

    def close(self) -> None:
        """Close the file and let another daemon have it."""
        self._lines.close()


def _fit(word: str) -> str:
    return word if len(word) <= _LONGEST and word.isascii() and word.isprintable() else "?"
