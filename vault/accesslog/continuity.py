"""What must hold before anything is signed: the stored log continues the published one, leaf by leaf.

Nothing here signs or puts; a difference raises and names what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Note, VerifierKey, open_checkpoint, parse_note, render_note
from vault.accesslog.tiles import WIDTH, TileReader
from vault.errors import TamperedError
from vault.storage import log as table
from vault.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint: its size and root hash, the note as the log signed it, and the same with its cosignatures."""

    size: int
    root: bytes
    note: bytes
    cosigned: bytes


def opened(data: bytes, keys: Sequence[VerifierKey]) -> Published:
    """Read a checkpoint that the log signed, with whatever cosignatures stand behind its own signatures.

    :raises TamperedError: it is none of this log's, or a signature under one of the keys is wrong.
    """
    checkpoint, note = open_checkpoint(data, keys), parse_note(data)
    own = Note(note.text, tuple(one for one in note.signatures if one.name == checkpoint.origin))
    return Published(checkpoint.size, checkpoint.root, render_note(own), data)


def stored_checkpoint(connection: Connection, keys: Sequence[VerifierKey]) -> Published | None:
    """Read the newest stored checkpoint, with its cosignatures where there are any.

    :raises TamperedError: it is not as it was signed.
    """
    row = table.last_checkpoint(connection)
    if row is None:
        return None
    size, note = row
    found = opened((table.cosigned(connection, size) or note).encode(), keys)
    if found.note != note.encode():
        raise differs("checkpoint_differs", "the stored checkpoint and its cosigned copy differ")
    if found.size != size:
        raise differs("checkpoint_size", "a stored checkpoint stands under another size")
    return found


def live_edge(connection: Connection) -> RightEdge:
    """Read the edge that appends leave.

    :raises TamperedError: it is missing or malformed.
    """
    rows = table.edges(connection)
    if len(rows) != 1:
        raise differs("log_edge_wrong", "the log's edge is missing")
    return RightEdge.parse(rows[0][1], rows[0][2])


def check_order(published: Published | None, stored: Published | None, live: RightEdge) -> None:
    """Check that published, stored and live are in this order, and agree where they are of one size.

    :raises TamperedError: one is behind the one before it, or another one of its size.
    """
    if published and (stored is None or stored.size < published.size):
        raise differs("log_rolled_back", "the database is behind the published checkpoint")
    if published and stored and stored.size == published.size and stored.note != published.note:
        raise differs("checkpoint_differs", "the stored and the published checkpoint differ")
    if stored and live.size < stored.size:
        raise differs("log_shrank", "the log is shorter than its last checkpoint")


def published_edge(published: Published | None, reader: TileReader) -> RightEdge:
    """Read the published tree's edge out of its tiles.

    :raises TamperedError: they do not give the published root.
    """
    if published is None:
        return RightEdge()
    edge = RightEdge.of(published.size, reader.node)
    if edge.root() != published.root:
        raise differs("published_tiles_differ", "the published tiles do not give the published root")
    return edge


def check_last_bundle(connection: Connection, reader: TileReader) -> None:
    """Check that the stored leaves of the last, partial bundle are the published ones: they are put again with more.

    :raises TamperedError: one differs.
    """
    full, partial = divmod(reader.size, WIDTH)
    stored = [leaf_hash(leaf) for _, leaf in table.leaves(connection, full * WIDTH, reader.size)]
    if partial and stored != reader.hashes(0, full):
        raise differs("leaf_differs", "a stored leaf differs from the published one")


def check_continues(connection: Connection, edge: RightEdge, stored: Published | None, live: RightEdge) -> None:
    """Grow the published edge by the stored leaves; it must meet the stored checkpoint and end in the stored edge.

    :raises TamperedError: it does not.
    """
    for index, leaf in table.leaves(connection, edge.size, live.size):
        _check_passes(edge, stored)
        if index != edge.size:
            raise differs("leaf_missing", "a leaf is missing from the log")
        edge.add(leaf_hash(leaf))
    _check_passes(edge, stored)
    if edge.packed() != live.packed():
        raise differs("log_edge_differs", "the log's leaves do not give its edge")


def differs(code: str, found: str) -> TamperedError:
    """Give the error for a log that must not be signed."""
    return TamperedError(code, f"{found}; nothing was signed, run dsr log verify and restore the log")


def _check_passes(edge: RightEdge, stored: Published | None) -> None:
    if stored and edge.size == stored.size and edge.root() != stored.root:
        raise differs("root_differs", "the log's leaves do not give the root of its last checkpoint")
