"""What is imported: files in the order of their names, read item by item, with memory for one item at a time."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from vault.domain.private import Private
from vault.errors import RefusedError, WrongUseError
from vault.register.fhir.elements import Content
from vault.register.fhir.parse import malformed, parse
from vault.register.imports.bundles import Scanner

_NDJSON: Final = frozenset({".ndjson", ".jsonl"})
_LARGEST_LINE: Final = 1 << 28  # bytes
_FIRST_LINE: Final = 1 << 20  # bytes that are looked at to tell a file's form
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands: file and number from 1, first byte, bytes."""

    file: int
    number: int
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Read(Private, shows=("place",)):
    """An item as it was read, or why it can't be."""

    place: Place
    data: bytes = b""
    refused: RefusedError | None = None


class Format(Protocol):
    """How one format's files are cut into items."""

    @property
    def suffixes(self) -> frozenset[str]:
        """The endings of names that fit."""
        ...

    def items(self, file: BinaryIO, path: Path) -> Iterator[tuple[int, int] | RefusedError]:
        """Yield each item's first byte and size, or why it can't be read."""
        ...


class Files(Private):
    """The files of one import.

    :param path: a file, or a folder whose files of fitting names count.
    :raises WrongUseError: there is nothing to read.
    """

    __slots__ = ("_format", "paths")

    def __init__(self, path: Path, form: Format) -> None:
        self._format = form
        self.paths = [path] if path.is_file() else sorted(_fitting(path, form.suffixes))
        if not self.paths:
            raise WrongUseError("import_empty", "there is no file to import; give a file, or a folder that holds some")

    def digest(self) -> bytes:
        """Return what stands for the contents of all files, their names left out."""
        total = sha256()
        for path in self.paths:
            with _open(path) as file:
                one = sha256()
                while data := file.read(1 << 20):
                    one.update(data)
            total.update(one.digest())
        return total.digest()

    def items(self) -> Iterator[Read]:
        """Yield every item of every file."""
        for number, path in enumerate(self.paths, 1):
            with _open(path) as file, path.open("rb") as second:
                for count, found in enumerate(self._format.items(file, path), 1):
                    if isinstance(found, RefusedError):
                        yield Read(Place(number, count, 0, 0), refused=found)
                    else:
                        place = Place(number, count, *found)
                        yield Read(place, os.pread(second.fileno(), place.size, place.at))

    def fetch(self, places: Sequence[Place]) -> Iterator[Read]:
        """Read items again by their places."""
        handles: dict[int, BinaryIO] = {}
        try:
            for place in places:
                if place.file not in handles:
                    handles[place.file] = _open(self.paths[place.file - 1])
                yield Read(place, os.pread(handles[place.file].fileno(), place.size, place.at))
        finally:
            for handle in handles.values():
                handle.close()


class Fhir:
    """Bundles, single resources and NDJSON, told apart by name, else by the first lines."""

    suffixes = frozenset({*_NDJSON, ".json"})

    def items(self, file: BinaryIO, path: Path) -> Iterator[tuple[int, int] | RefusedError]:
        """Yield each resource's or entry's place."""
        if path.suffix.lower() in _NDJSON or _is_ndjson(file):
            yield from lines(file)
        else:
            yield from _whole(file, path.stat().st_size)


def lines(file: BinaryIO) -> Iterator[tuple[int, int] | RefusedError]:
    """Yield each line's place, without its end; blank lines are refused only when they are too long."""
    at = 0
    while line := file.readline(_LARGEST_LINE):
        skip = len(_BOM) if at == 0 and line.startswith(_BOM) else 0
        if not line.endswith(b"\n") and len(line) == _LARGEST_LINE:
            yield RefusedError("item_too_large", "a line is longer than 256 MiB; split it")
        else:
            yield at + skip, len(line.rstrip(b"\r\n")) - skip
        at += len(line)


def _whole(file: BinaryIO, size: int) -> Iterator[tuple[int, int] | RefusedError]:
    scanner = Scanner(file)
    found = False
    try:
        for span in scanner.entries():
            found = True
            yield span
    except RefusedError as error:
        yield error
        return
    if not found and scanner.resource_type != "Bundle":
        yield 0, size


def resource_of(data: bytes) -> tuple[Content, str | None] | None:
    """Return an item's resource and the full URL of its entry; None for a blank line.

    :raises RefusedError: no JSON object, an entry without a resource, or one that deletes.
    """
    if not data.strip():
        return None
    content = parse(data.removeprefix(_BOM))
    if "resourceType" in content:
        return _resource(content), None
    method = content.get("request", {}).get("method") if isinstance(content.get("request"), dict) else None
    inner: Any = content.get("resource")
    if not isinstance(inner, dict):
        if method == "DELETE":
            raise RefusedError("entry_deletes", "an import adds and never deletes; look at this entry by hand")
        raise RefusedError("entry_empty", "an entry holds no resource; export it again")
    url = content.get("fullUrl")
    return _resource(inner), url if isinstance(url, str) and url else None


def _resource(content: Content) -> Content:
    kind = content.get("resourceType")
    if not isinstance(kind, str):
        raise malformed()
    if kind == "Bundle":
        raise RefusedError("bundle_within", "a bundle stands within a file of resources; give it as a file of its own")
    return content


def _fitting(path: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    if path.is_dir():
        yield from (inner for inner in path.iterdir() if inner.suffix.lower() in suffixes and inner.is_file())


def _is_ndjson(file: BinaryIO) -> bool:
    """Tell whether a file's first line is a resource by itself and others follow."""
    first, second = file.readline(_FIRST_LINE), file.readline(_FIRST_LINE)
    file.seek(0)
    try:
        return bool(second.strip()) and "resourceType" in parse(first.removeprefix(_BOM))
    except RefusedError:
        return False


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        msg = f"a file of the import can't be read ({error.strerror}); look at its owner and rights"
        raise WrongUseError("import_unreadable", msg) from None
