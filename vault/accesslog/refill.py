"""Stores again what the database lacks of the published tree's full tiles, from the leaves; never another tile."""

from vault.accesslog.continuity import Published, differs
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.tiles import HEIGHT, TileWriter
from vault.accesslog.writeonce import full_tiles
from vault.storage import log as table
from vault.storage.database import Connection, Database
from vault.storage.tiles import LOG, count_tiles, put_tiles

_TOGETHER = 64


def refill(connection: Connection, database: Database, head: Published | None) -> None:
    """Bring ``log_tiles`` up to the published checkpoint, where its tiles were lost with a restore.

    :param connection: reads the leaves; the tiles are stored by a transaction of their own.
    :raises TamperedError: the leaves do not give the published root, or another tile is stored.
    """
    if head is None or _complete(connection, head.size):
        return
    with database.connect() as other:  # all or nothing: what does not give the published root leaves no tile
        edge, waiting = RightEdge(), dict[str, bytes]()
        writer = TileWriter(waiting.__setitem__, lambda *_: None)
        for _, leaf in table.leaves(connection, 0, head.size):
            hashed = leaf_hash(leaf)
            edge.add(hashed)
            writer.add(leaf, hashed)
            if len(waiting) >= _TOGETHER:
                put_tiles(other, LOG, full_tiles(waiting))
                waiting.clear()
        if edge.root() != head.root:
            raise differs("root_differs", "the log's leaves do not give the published root")
        put_tiles(other, LOG, full_tiles(waiting))


def _complete(connection: Connection, size: int) -> bool:
    level = 0
    while (full := size >> HEIGHT * (level + 1)) > 0:
        if count_tiles(connection, LOG, level, full) < full:
            return False
        level += 1
    return True
