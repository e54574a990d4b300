"""The ledger of destroyed keys: on the disk before anybody is told, outside every database, and never shortened.

One JSON line a key, kind and reference only. A backup of the database brings the wrapped key
back; the ledger, which stands with the key service, keeps it shut.
"""

import json
import re
from pathlib import Path
from typing import Final

from vault.crypto.appended import AppendedFile
from vault.crypto.durable import sync_directory
from vault.crypto.keyservice import KINDS, check_reference
from vault.errors import KeyMissingError, OutOfReachError, WrongUseError

DESTROYED: Final = "key_destroyed"
_HEADS: Final = tuple(b'{"kind": "%s", "ref": "' % kind.encode("ascii") for kind in KINDS)
_TORN_REF: Final = re.compile(rb'(?:[ !#-\[\]-~]|\\["\\])*["\\]?')


class Ledger:
    """An open ledger, locked so that only one daemon appends to it."""

    __slots__ = ("_destroyed", "_lines")

    def __init__(self, path: Path) -> None:
        """Open the file, made with mode 600 where it is missing, and learn what it says.

        :raises WrongUseError: it can't be opened, others may read it, another daemon writes it, or a whole
            line of it is none that a ledger has: then nobody knows which keys were destroyed.
        """
        self._lines = AppendedFile(path, "ledger")
        try:
            self._destroyed = _parse(self._lines.read())
            sync_directory(path.parent)  # a new file's name must outlast a power cut, as its lines do
        except (WrongUseError, OSError) as error:
            self._lines.close()
            raise error if isinstance(error, WrongUseError) else _unreadable() from None

    def __len__(self) -> int:
        return len(self._destroyed)

    def check(self, kind: str, ref: str) -> None:
        """Let pass a key that was not destroyed.

        :raises KeyMissingError: ``key_destroyed``.
        """
        if (kind, ref) in self._destroyed:
            raise key_destroyed()

    def add(self, kind: str, ref: str) -> None:
        """Note a destroyed key; when this returns, the disk has it. Again changes nothing.

        :raises RefusedError: this is no kind, or no reference.
        :raises OutOfReachError: the line is not known to be on the disk; the key is not destroyed yet.
        """
        check_reference(kind, ref)
        if (kind, ref) in self._destroyed:
            return
        if not self._lines.append(_render(kind, ref)):
            raise _unwritable()
        try:
            self._lines.sync()
        except OSError:
            raise _unwritable() from None
        self._destroyed.add((kind, ref))

    def close(self) -> None:
        """Close the file and let another daemon have it."""
        self._lines.close()


def key_destroyed() -> KeyMissingError:
    """Give the one answer about a destroyed key."""
    return KeyMissingError(DESTROYED, "this key was destroyed on purpose; what it sealed is erased for good")


def _parse(text: bytes) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for line in text.split(b"\n"):
        if _torn(line):  # nobody was told that this key is destroyed
            continue
        try:
            body = json.loads(line)
            kind, ref = body["kind"], body["ref"]
        except (ValueError, KeyError, TypeError):
            raise _damaged() from None
        if kind not in KINDS or not isinstance(ref, str) or _render(kind, ref) != line + b"\n":
            raise _damaged()
        found.add((kind, ref))
    return found


def _torn(line: bytes) -> bool:
    """Tell a line that a kill cut short, or no line at all, from a whole one."""
    return any(
        head.startswith(line) or (line.startswith(head) and _TORN_REF.fullmatch(line, len(head)) is not None)
        for head in _HEADS
    )


def _render(kind: str, ref: str) -> bytes:
    return json.dumps({"kind": kind, "ref": ref}).encode("ascii") + b"\n"


def _unreadable() -> WrongUseError:
    return WrongUseError("ledger_missing", "the ledger's directory can't be read; give it to the key service's account")


def _damaged() -> WrongUseError:
    return WrongUseError("ledger_damaged", "a line of the ledger of destroyed keys is damaged; restore its backup")


def _unwritable() -> OutOfReachError:
    advice = "the key was not destroyed: its ledger can't be written; free the key service's disk and do it again"
    return OutOfReachError("key_ledger_unwritable", advice)
