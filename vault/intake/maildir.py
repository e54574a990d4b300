"""A Maildir as a mailbox: each message is one file, which is unlinked or renamed alone, by its unique name."""

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError
from vault.intake.held import Held, hold
from vault.intake.message import LARGEST, Message, header_of

_HEADER: Final = 262_144  # bytes in which a header block ends
_PIECE: Final = 1_048_576  # bytes that are read at once
_UNREAD: Final = "a message's file can't be read; give us the right to it, the next run takes it"
_STAYS: Final = "the message was taken and can't be moved or removed; give us the right to its folder, or make room"


class MaildirMailbox(Private):
    """A Maildir on this machine.

    :param path: holds ``new``, ``cur`` and ``tmp``.
    :param name: the mailbox's name in the settings; empty for the first.
    :param move_to: the folder of a message that was taken; empty: it is removed.
    :param aside: the folder of a message that can't be taken.
    :param largest: bytes over which a message is not read.
    """

    def __init__(
        self, path: Path, *, name: str = "", move_to: str = "", aside: str = "Aside", largest: int = LARGEST
    ) -> None:
        self.name = name
        self._path = path
        self._prefix = f"maildir|{name}/" if name else "maildir|"  # no file's name holds a slash
        self._move_to = move_to
        self._aside = aside
        self._largest = largest

    def messages(self, limit: int) -> Generator[Message, None, None]:
        """Yield the oldest messages, at most ``limit``.

        :raises OutOfReachError: the folder is not there; at the end, when one of the files can't be read
            (``mailbox_message``) or there is no room for it (``temporary_space``): those behind it came.
        """
        trouble: OutOfReachError | None = None
        for path in self._firsts()[:limit]:
            try:
                message = self._read(path)
            except FileNotFoundError:
                continue  # a mail program moved it; it is found again at the next look
            except OSError:
                trouble = OutOfReachError("mailbox_message", _UNREAD, ref=self.name or None)
                continue
            except OutOfReachError as error:
                trouble = error
                continue
            yield message
        if trouble is not None:
            raise trouble

    def remove(self, *sources: str) -> None:
        """Unlink or move the very files that ``sources`` name.

        :raises RefusedError: a source is not this Maildir's, or a file can't be taken away; the others may be gone.
        """
        self._each(sources, self._move_to)

    def set_aside(self, *sources: str) -> None:
        """Move the very files that ``sources`` name to ``mailbox.aside``.

        :raises RefusedError: see :meth:`remove`.
        """
        self._each(sources, self._aside)

    def owns(self, source: str) -> bool:
        """Tell whether a source names a message of this Maildir."""
        unique = source.removeprefix(self._prefix)
        return unique not in (source, "") and "/" not in unique

    def count(self) -> int:
        """Count the messages."""
        return len(self._files())

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _read(self, path: Path) -> Message:
        about = path.stat()
        large = about.st_size > self._largest
        with path.open("rb") as file:
            raw = b"" if large else hold(_pieces(file))
            held = raw if isinstance(raw, Held) else None
            data = raw if isinstance(raw, bytes) and not large else _header(file)
        source = f"{self._prefix}{_unique(path)}"
        return Message(source, data, _moment(about.st_mtime), self.name, large, about.st_size, held)

    def _named(self, sources: Sequence[str]) -> list[Path]:
        if not all(self.owns(source) for source in sources):
            raise RefusedError(
                "mailbox_source", "this message does not lie in the configured Maildir; nothing was removed"
            )
        names = {source.removeprefix(self._prefix) for source in sources}
        return [path for path in self._firsts() if _unique(path) in names]

    def _each(self, sources: Sequence[str], folder: str) -> None:
        for path in self._named(sources):
            try:
                if folder:
                    self._rename(path, folder)
                else:
                    path.unlink(missing_ok=True)
            except OSError:  # no right, no room, a read-only disk; its own words hold the file's name
                raise RefusedError("mailbox_move_failed", _STAYS) from None

    def _rename(self, path: Path, folder: str) -> None:
        """Move a file into a folder beside the others (Maildir++), which is made when it is not there."""
        home = self._path / f".{folder}"
        for part in (home, *(home / name for name in ("tmp", "new", "cur"))):
            part.mkdir(mode=0o700, exist_ok=True)
        (home / "maildirfolder").touch(mode=0o600)
        try:
            path.rename(home / "cur" / (path.name if ":" in path.name else f"{path.name}:2,"))
        except FileNotFoundError:
            return  # gone already, or renamed by a mail program: then the next run moves it

    def _firsts(self) -> list[Path]:
        """List the messages; of two files that share a name the second waits until the first is gone."""
        firsts: dict[str, Path] = {}
        for path in self._files():
            firsts.setdefault(_unique(path), path)
        return list(firsts.values())

    def _files(self) -> list[Path]:
        if not (self._path / "new").is_dir():
            raise OutOfReachError("mailbox_away", "the Maildir is not there; mount it, the next run looks again")
        found = [p for name in ("new", "cur") for p in (self._path / name).glob("*") if not p.name.startswith(".")]
        return sorted((p for p in found if p.is_file() and not p.is_symlink()), key=lambda p: (_unique(p), p.name))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes; a fault while they are read is not one of where they are held."""
    try:
        yield from iter(partial(file.read, _PIECE), b"")
    except OSError:
        raise OutOfReachError("mailbox_message", _UNREAD) from None


def _header(file: BinaryIO) -> bytes:
    file.seek(0)
    return header_of(file.read(_HEADER))


def _unique(path: Path) -> str:
    """Return a message's name without the flags that mail programs put behind it."""
    return path.name.partition(":")[0]


def _moment(seconds: float) -> datetime:
    """Return a file's time; now, when it names a year that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)
