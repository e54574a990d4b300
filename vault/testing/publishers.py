"""Publishing and copying as other processes do it: importable, prepared first, on a log whose key comes from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vault.accesslog.mirror import ShelfSource, copy_log
from vault.accesslog.publish import LogParts, log_keys, publish
from vault.crypto.custody import Custody, Keys
from vault.crypto.keyservice import BOXES, LABELS, SIGNERS, KeyService
from vault.settings import ObjectSettings
from vault.storage.database import Database
from vault.storage.objects import Objects
from vault.testing.accesslog import ORIGIN

_SEED = bytes([1] * 32)


@dataclass(frozen=True, slots=True)
class Wares:
    """What such a process is handed.

    :param info: the database's connection string.
    """

    info: str
    objects: ObjectSettings


def seeded_service() -> KeyService:
    """Make the key service that all these processes share: one log, one key."""
    boxes, macs, signers = (dict.fromkeys(names, _SEED) for names in (BOXES, LABELS, SIGNERS))
    return Custody(Keys(1, {1: bytes(32)}, boxes, macs, signers))


def publisher(wares: Wares) -> Callable[[], object]:
    """Prepare to publish once."""
    database, objects = Database(wares.info), Objects(wares.objects)

    def act() -> None:
        publish(LogParts(database, seeded_service(), ORIGIN), objects)
        database.close()

    return act


def copier(wares: Wares, folder: Path) -> Callable[[], object]:
    """Prepare to copy once."""
    source, keys = ShelfSource(Objects(wares.objects)), log_keys(seeded_service(), ORIGIN)
    return lambda: copy_log(source, folder, keys)
