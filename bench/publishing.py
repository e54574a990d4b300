"""What publishing costs: a checkpoint over many new entries, one over none, and a copy of them, on RADOS Gateway."""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.house import House, Office, house, on_disk
from bench.rows import Row
from vault.accesslog.entries import Access
from vault.accesslog.mirror import ShelfSource, copy_log
from vault.accesslog.publish import LogParts, log_keys, publish
from vault.domain.roles import OfficeName, Purpose
from vault.storage.objects import Objects
from vault.testing.rgw import rgw

NEW = 10_000
_ROUNDS = 3
_BATCH = 1_000
_ORIGIN = "bench.example/access-log"
_UNIT = "s"


def publishing_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises VaultError: a server is missing.
    """
    with house() as made, on_disk() as folder, rgw(folder / "rgw", durable=True) as store:
        objects = Objects(store.settings())
        objects.prepare()
        writer, keeper = made.office(OfficeName.COLLECTOR), made.office(OfficeName.KEEPER)
        parts = LogParts(keeper.database, keeper.service, _ORIGIN)
        say(f"publishing {NEW} new entries, {_ROUNDS} times over")
        grown, idle, copied = [], [], []
        for _ in range(_ROUNDS):
            _grow(writer)
            grown.append(_seconds(lambda: publish(parts, objects)))
            idle.append(_seconds(lambda: publish(parts, objects)))
            with TemporaryDirectory(dir=folder) as place:
                copied.append(_seconds(lambda: _copy(made, objects, Path(place))))
    note = f"{NEW} new entries, each claimed, put and compared; lock of 12 years; slowest {max(grown):.2f} {_UNIT}"
    yield Row("publishing/checkpoint", statistics.median(grown), _UNIT, limit=2.0, at_most=True, note=note)
    yield Row(
        "publishing/idle", statistics.median(idle), _UNIT, note="nothing new: the published edge is read and compared"
    )
    yield Row(
        "publishing/copy", copied[-1], _UNIT, note=f"{_ROUNDS * NEW} entries copied, each proved before it is stored"
    )


def _grow(writer: Office) -> None:
    for _ in range(NEW // _BATCH):
        writer.log.record([_look(number) for number in range(_BATCH)])


def _copy(made: House, objects: Objects, place: Path) -> None:
    keys = log_keys(made.service.client(OfficeName.KEEPER.value), _ORIGIN)
    copy_log(ShelfSource(objects), place, keys)


def _look(number: int) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:collector",
        actor_name="collector",
        role="office",
        purpose=Purpose.IDENTIFY,
        legal_ground="GDPR Article 15",
        case=None,
        subject=f"P-{number:07d}",
        kinds=("identity",),
    )


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
