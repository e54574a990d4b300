"""Copies a published log into a directory of one's own; nothing is stored there before it is proved.

The source's checkpoint must continue the copy's, each tile must be what its parent says, each bundle what
its tile says. The copy's checkpoint is replaced last: it always finds below it all that it needs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.accesslog.continuity import Published, opened
from vault.accesslog.folder import Folder
from vault.accesslog.folder import opened as opened_folder
from vault.accesslog.merkle import RightEdge, consistency_proof, leaf_hash, verify_consistency
from vault.accesslog.notes import LONGEST_NOTE, VerifierKey, parse_note
from vault.accesslog.publish import Shelf
from vault.accesslog.sources import DirectorySource, Source
from vault.accesslog.tiles import (
    CHECKPOINT,
    HEIGHT,
    HISTORY,
    WIDTH,
    TileReader,
    bundle_name,
    fetch_bundle,
    history_name,
    history_size,
    render_bundle,
    subtree_root,
    tile_name,
)
from vault.errors import KeyMissingError, LimitError, TamperedError


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds now: its checkpoint, and how many files are new or newer."""

    head: Published
    files: int


class ShelfSource:
    """The log's bucket as a source (:class:`vault.accesslog.sources.Source`)."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def fetch(self, name: str, limit: int) -> bytes:
        """Give an object."""
        data = self._shelf.get_locked(name)
        if len(data) > limit:
            raise LimitError("log_resource_large", "an object is larger than it may be; this is not the log's own")
        return data

    def history(self) -> Iterator[str]:
        """Yield the names of all checkpoints by size."""
        yield from self._shelf.list_locked(HISTORY)


def copy_log(source: Source, root: Path, keys: Sequence[VerifierKey]) -> Copied:
    """Bring a copy up to the source's newest checkpoint; run again, it fetches what is new.

    :param keys: the log's public keys, the newest first.
    :raises TamperedError: the source does not continue what was copied, or shows tiles of another tree.
    :raises OutOfReachError: the source or the disk does not answer; what was stored stays.
    """
    with opened_folder(root) as folder:
        new = opened(source.fetch(CHECKPOINT, LONGEST_NOTE), keys)
        old = _own(DirectorySource(root), keys)
        reader = TileReader(source.fetch, new.size)
        _check_continues(old, new, reader)
        copy = _Copy(source, reader, folder, TileReader(DirectorySource(root).fetch, new.size))
        files = copy.fill()
        if old is None or _adds(old, new):
            folder.replace(CHECKPOINT, new.cosigned)
            files += 1
        files += _history(source, folder, keys, new)
        folder.save()
    return Copied(new, files)


def _own(copy: Source, keys: Sequence[VerifierKey]) -> Published | None:
    try:
        return opened(copy.fetch(CHECKPOINT, LONGEST_NOTE), keys)
    except KeyMissingError:
        return None


def _check_continues(old: Published | None, new: Published, reader: TileReader) -> None:
    """Check that the source's tiles give its root, and that the copy's tree is the beginning of it (RFC 6962)."""
    if RightEdge.of(new.size, reader.node).root() != new.root:
        raise _differs("root_differs", "the log's tiles do not give the root of its checkpoint")
    if old and new.size < old.size:
        raise _differs("log_rolled_back", "the log is shorter than the copy")
    if old:
        proof = consistency_proof(old.size, new.size, reader.node)
        verify_consistency(old.size, new.size, proof, old.root, new.root)


class _Copy:
    """Stores what a tree consists of, from its top down, each tile once its parent is stored.

    :param theirs: the source's tiles, whose right edge gives the signed root.
    :param ours: the copy's.
    """

    def __init__(self, source: Source, theirs: TileReader, folder: Folder, ours: TileReader) -> None:
        self._source, self._theirs, self._folder, self._ours = source, theirs, folder, ours

    def fill(self) -> int:
        """Store what the copy lacks; tell how many files that were."""
        size, files = self._theirs.size, 0
        for level in reversed(range(-(-size.bit_length() // HEIGHT))):
            files += sum(self._tile(level, *place) for place in _places(size >> HEIGHT * level))
        return files + sum(self._bundle(*place) for place in _places(size))

    def _tile(self, level: int, index: int, width: int) -> bool:
        name = tile_name(level, index, width)
        if self._folder.has(name):
            return False
        hashes = self._theirs.hashes(level, index)
        # a partial tile lies on the right edge, which has given the root already
        if width == WIDTH and subtree_root(hashes) != self._ours.hashes(level + 1, index // WIDTH)[index % WIDTH]:
            raise _differs("tile_differs", "a tile of the log is not what the tile above it says")
        return self._folder.put(name, b"".join(hashes))

    def _bundle(self, index: int, width: int) -> bool:
        name = bundle_name(index, width)
        if self._folder.has(name):
            return False
        leaves = fetch_bundle(self._source.fetch, index, width)
        if [leaf_hash(leaf) for leaf in leaves] != self._ours.hashes(0, index):
            raise _differs("tile_differs", "entries of the log are not what its tiles say")
        return self._folder.put(name, render_bundle(leaves))


def _places(count: int) -> Iterator[tuple[int, int]]:
    for index in range(-(-count // WIDTH)):
        yield index, min(WIDTH, count - index * WIDTH)


def _adds(old: Published, new: Published) -> bool:
    """Tell whether the source's checkpoint is larger than the copy's, or cosigned by more."""
    had, has = (set(parse_note(one.cosigned).signatures) for one in (old, new))
    return new.size > old.size or had < has


def _history(source: Source, folder: Folder, keys: Sequence[VerifierKey], head: Published) -> int:
    """Copy the checkpoints that are listed, up to the head; at least the head's own, where it stands already."""
    sizes = {history_size(name) for name in source.history()} | {head.size}
    names = [history_name(size) for size in sorted(size for size in sizes if size is not None and size <= head.size)]
    return sum(_checkpoint(source, folder, keys, name) for name in names)


def _checkpoint(source: Source, folder: Folder, keys: Sequence[VerifierKey], name: str) -> bool:
    if folder.has(name):
        return False
    try:
        data = source.fetch(name, LONGEST_NOTE)
    except KeyMissingError:
        return False  # the publisher puts it after the head
    if opened(data, keys).size != history_size(name):
        raise _differs("checkpoint_size", "a checkpoint stands under another size")
    return folder.put(name, data)


def _differs(code: str, found: str) -> TamperedError:
    return TamperedError(code, f"{found}; keep this copy as it is and report it")
