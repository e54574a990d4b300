"""Publishing: a checkpoint that continues every earlier one, and the tiles that let strangers check it.

Nothing is signed before the new leaves, put behind the tree that is published already, give the
stored edge. Every tile is put before the checkpoint that needs it, under a name that never holds other
bytes; a publisher killed anywhere is finished by the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import (
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    open_checkpoint,
    render_checkpoint,
    render_note,
)
from vault.accesslog.tiles import CHECKPOINT, WIDTH, TileReader, TileWriter, history_name, render_bundle
from vault.crypto.keyservice import KeyService
from vault.errors import KeyMissingError, TamperedError
from vault.storage import log as table
from vault.storage.database import Connection, Database

_SIGNER = "log"


class Shelf(Protocol):
    """The log's bucket (:class:`vault.storage.objects.Objects`)."""

    def put_locked(self, key: str, data: bytes) -> None:
        """Store an object once; other bytes under the same name are refused."""
        ...

    def replace_locked(self, key: str, data: bytes) -> None:
        """Store the newest version of an object; the earlier ones stay."""
        ...

    def get_locked(self, key: str) -> bytes:
        """Give an object, or raise KeyMissingError."""
        ...

    def list_locked(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield names in order, those behind ``after`` only."""
        ...


@dataclass(frozen=True, slots=True)
class LogParts:
    """What publishing needs: the database, a key service that signs as the log, and the log's origin."""

    database: Database
    service: KeyService
    origin: str


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint: its size and root hash, and the signed note."""

    size: int
    root: bytes
    note: bytes


def log_key(service: KeyService, origin: str) -> VerifierKey:
    """Give the key that the log's checkpoints are checked with."""
    return VerifierKey(origin, service.public(_SIGNER))


def sign_checkpoint(checkpoint: Checkpoint, service: KeyService) -> bytes:
    """Sign a tree head as the log of its origin; whoever calls has checked that it continues every earlier one."""
    key, text = log_key(service, checkpoint.origin), render_checkpoint(checkpoint)
    signature = Signature(key.name, key.identifier, service.sign(_SIGNER, text.encode()))
    return render_note(Note(text, (signature,)))


def publish(parts: LogParts, shelf: Shelf) -> Published:
    """Bring the published log up to the stored one and return its newest checkpoint.

    :raises ConflictError: another publisher is at work, or other bytes stand under a name.
    :raises TamperedError: the stored log does not continue the published one; nothing was signed.
    """
    key = log_key(parts.service, parts.origin)
    with parts.database.connect() as connection:
        table.lock_publishing(connection)
        published = _published(shelf, key)
        stored = _stored(connection, key)
        live = _live(connection)
        _check_order(published, stored, live)
        _check_continues(connection, _edge(shelf, published), stored, live)
        if published:
            shelf.put_locked(history_name(published.size), published.note)  # where the last publisher was killed
        if stored and (published is None or published.size < stored.size):
            _deliver(connection, shelf, published, stored)
            published = stored
        if stored is None or stored.size < live.size:
            stored = _sign(parts, key, live)
            _deliver(connection, shelf, published, stored)
        return stored


def _published(shelf: Shelf, key: VerifierKey) -> Published | None:
    try:
        note = shelf.get_locked(CHECKPOINT)
    except KeyMissingError:
        return None
    return _opened(note, key)


def _stored(connection: Connection, key: VerifierKey) -> Published | None:
    row = table.last_checkpoint(connection)
    if row is None:
        return None
    stored = _opened(row[1].encode(), key)
    if stored.size != row[0]:
        raise _differs("checkpoint_size", "a stored checkpoint stands under another size")
    return stored


def _opened(note: bytes, key: VerifierKey) -> Published:
    checkpoint = open_checkpoint(note, key)
    return Published(checkpoint.size, checkpoint.root, note)


def _live(connection: Connection) -> RightEdge:
    rows = table.edges(connection)
    if len(rows) != 1:
        raise _differs("log_edge_wrong", "the log's edge is missing")
    return RightEdge.parse(rows[0][1], rows[0][2])


def _check_order(published: Published | None, stored: Published | None, live: RightEdge) -> None:
    if published and (stored is None or stored.size < published.size):
        raise _differs("log_rolled_back", "the database is behind the published checkpoint")
    if published and stored and stored.size == published.size and stored.note != published.note:
        raise _differs("checkpoint_differs", "the stored and the published checkpoint differ")
    if stored and live.size < stored.size:
        raise _differs("log_shrank", "the log is shorter than its last checkpoint")


def _edge(shelf: Shelf, published: Published | None) -> RightEdge:
    if published is None:
        return RightEdge()
    edge = RightEdge.of(published.size, _reader(shelf, published.size).node)
    if edge.root() != published.root:
        raise _differs("published_tiles_differ", "the published tiles do not give the published root")
    return edge


def _check_continues(connection: Connection, edge: RightEdge, stored: Published | None, live: RightEdge) -> None:
    """Grow the published edge by the stored leaves; it must meet the stored checkpoint and end in the stored edge."""
    for index, leaf in table.leaves(connection, edge.size, live.size):
        _check_passes(edge, stored)
        if index != edge.size:
            raise _differs("leaf_missing", "a leaf is missing from the log")
        edge.add(leaf_hash(leaf))
    _check_passes(edge, stored)
    if edge.packed() != live.packed():
        raise _differs("log_edge_differs", "the log's leaves do not give its edge")


def _check_passes(edge: RightEdge, stored: Published | None) -> None:
    if stored and edge.size == stored.size and edge.root() != stored.root:
        raise _differs("root_differs", "the log's leaves do not give the root of its last checkpoint")


def _sign(parts: LogParts, key: VerifierKey, live: RightEdge) -> Published:
    note = sign_checkpoint(Checkpoint(parts.origin, live.size, live.root()), parts.service)
    signed = _opened(note, key)
    # committed and durable, with every leaf under it, before a stranger sees it
    with parts.database.connect() as connection:
        table.add_checkpoint(connection, signed.size, note.decode())
    return signed


def _deliver(connection: Connection, shelf: Shelf, published: Published | None, target: Published) -> None:
    size = published.size if published else 0
    before = _reader(shelf, size)
    partial = size % WIDTH
    head = [leaf for _, leaf in table.leaves(connection, size - partial, size)]
    if partial and [leaf_hash(leaf) for leaf in head] != before.hashes(0, size // WIDTH):
        raise _differs("leaf_differs", "a stored leaf differs from the published one")
    writer = TileWriter(
        shelf.put_locked,
        lambda name, leaves: shelf.put_locked(name, render_bundle(leaves)),
        before=before,
        leaves=head,
    )
    for _, leaf in table.leaves(connection, size, target.size):
        writer.add(leaf, leaf_hash(leaf))
    writer.finish()
    # the head before the history: a history beyond the head then always means that somebody put an older head back
    shelf.replace_locked(CHECKPOINT, target.note)
    shelf.put_locked(history_name(target.size), target.note)


def _reader(shelf: Shelf, size: int) -> TileReader:
    return TileReader(lambda name, _: shelf.get_locked(name), size)


def _differs(code: str, found: str) -> TamperedError:
    return TamperedError(code, f"{found}; nothing was signed, run dsr log verify and restore the log")
