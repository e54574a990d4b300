"""An access log to test with: a database of its own, keys in memory, a bucket in memory, looks to record."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from vault.accesslog.days import close_days
from vault.accesslog.entries import Access, SealedAccess, SealedLook
from vault.accesslog.leaves import Leaf, render_leaf
from vault.accesslog.log import AccessLog
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Checkpoint, VerifierKey
from vault.accesslog.publish import LogParts, log_key, sign_checkpoint
from vault.accesslog.tiles import CHECKPOINT, TileWriter, history_name, render_bundle
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.domain.roles import Purpose
from vault.errors import ConflictError, KeyMissingError
from vault.storage.database import Database
from vault.storage.migrate import migrate
from vault.testing.keyservice import memory_ring, memory_service
from vault.testing.postgres import postgres

ORIGIN = "clinic.example/access-log"
CASE = "DSR-2026-7K3QXM"
SUBJECT = "P-4F7Q"
_LOOK = Access(
    at=datetime(2026, 11, 20, 8, 30, 15, 250_000, tzinfo=UTC),
    actor="staff:7",
    actor_name="Aino Lääkäri",
    role="clinician",
    purpose=Purpose.REVIEW,
    legal_ground="GDPR Article 15",
    case=CASE,
    subject=SUBJECT,
    kinds=("identity", "visit"),
)


def look(**changes: Any) -> Access:
    """Describe a look: a clinician's review, with these fields changed."""
    return replace(_LOOK, **changes)


@dataclass(slots=True)
class MemoryShelf:
    """The log's bucket in memory (:class:`vault.accesslog.publish.Shelf`); every version stays."""

    versions: dict[str, list[bytes]] = field(default_factory=dict)

    def put_locked(self, key: str, data: bytes) -> None:
        """Store an object once."""
        if self.versions.setdefault(key, [data])[-1] != data:
            raise ConflictError("log_object_differs", "other bytes stand under this name; run dsr log verify")

    def replace_locked(self, key: str, data: bytes) -> None:
        """Store the newest version."""
        self.versions.setdefault(key, []).append(data)

    def get_locked(self, key: str) -> bytes:
        """Give the newest version."""
        if key not in self.versions:
            raise KeyMissingError("object_missing", "no such object; run the step that makes it again")
        return self.versions[key][-1]

    def list_locked(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield names in order, those behind ``after`` only."""
        yield from (key for key in sorted(self.versions) if key.startswith(prefix) and key > after)


@dataclass(frozen=True, slots=True)
class LogBench:
    """A fresh access log and all around it."""

    database: Database
    service: KeyService
    keys: KeyRing
    log: AccessLog
    shelf: MemoryShelf

    @property
    def parts(self) -> LogParts:
        """What publishing takes."""
        return LogParts(self.database, self.service, ORIGIN)

    @property
    def key(self) -> VerifierKey:
        """The log's public key."""
        return log_key(self.service, ORIGIN)

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """Do to the tables what an intruder would."""
        with self.database.connect() as connection:
            connection.execute(statement.encode(), values)


@contextmanager
def log_database(name: str) -> Iterator[Database]:
    """Run a PostgreSQL with a migrated database of this name while inside."""
    with postgres() as server:
        settings = server.create_database(name)
        migrate(settings)
        database = Database(settings)
        yield database
        database.close()


def log_bench(database: Database) -> LogBench:
    """Empty the log's tables and lay an access log with fresh keys over them."""
    empty(database)
    service = memory_service()
    keys = memory_ring(service)
    return LogBench(database, service, keys, AccessLog(database, keys, service), MemoryShelf())


def stored(look: SealedLook) -> SealedAccess:
    """Make of a sealed look what the database makes: its row with the leaf (``docs/formats/access-log.md``)."""
    staff = sha256(look.staff + look.reader).digest()
    leaf = Leaf(look.at, look.case, look.tag, sha256(look.entry).digest(), staff, look.use)
    return SealedAccess(render_leaf(leaf), *look[1:])


def empty(database: Database) -> None:
    """Empty the log's tables."""
    with database.connect() as connection:
        connection.execute("truncate log_leaves, log_checkpoints, log_edge, log_days, log_tiles, log_claims")
        connection.execute("truncate log_progress")
        connection.execute("insert into log_edge (size, hashes) values (0, '')")


def close_in(info: str, now: datetime) -> None:
    """Close the days that have ended, as a process of its own does.

    :param info: the database's connection string.
    """
    database = Database(info)
    close_days(database, now)
    database.close()


def publish_leaves(shelf: MemoryShelf, leaves: Sequence[bytes], service: KeyService, *sizes: int) -> None:
    """Publish leaves without a database: tiles and checkpoints at these sizes, in rising order."""
    writer = TileWriter(shelf.put_locked, lambda name, bundle: shelf.put_locked(name, render_bundle(bundle)))
    edge = RightEdge()
    for size in sizes:
        for leaf in leaves[edge.size : size]:
            edge.add(leaf_hash(leaf))
            writer.add(leaf, leaf_hash(leaf))
        writer.finish()
        note = sign_checkpoint(Checkpoint(ORIGIN, size, edge.root()), service)
        shelf.put_locked(history_name(size), note)
        shelf.replace_locked(CHECKPOINT, note)


def any_leaves(count: int) -> list[bytes]:
    """Make leaves that commit to nothing."""
    start = _LOOK.at.replace(microsecond=0)
    return [
        render_leaf(
            Leaf(
                start + timedelta(seconds=number), CASE, None, leaf_hash(b"%d" % number), leaf_hash(b"staff"), bytes(16)
            )
        )
        for number in range(count)
    ]


def copy_to(shelf: MemoryShelf, directory: Path) -> Path:
    """Copy a bucket into a directory, as an auditor would."""
    for name, versions in shelf.versions.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(versions[-1])
    return directory
