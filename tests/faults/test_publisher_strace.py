"""System calls of a publisher or copier fail, or are its last: what is there checks out, the next run ends well.

Each call that sends, connects, opens, writes, closes, renames or forces to disk, at every instance in `make fuzz`;
a seeded sample of them in `make test`.
"""

import os
import random
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from vault.accesslog.mirror import ShelfSource
from vault.accesslog.publish import LogParts, log_keys, publish
from vault.accesslog.recount import verify_database
from vault.accesslog.sources import DirectorySource, Source
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import verify_published
from vault.errors import ConflictError, KeyMissingError
from vault.settings import DatabaseSettings
from vault.storage.database import Database, conninfo
from vault.storage.migrate import migrate
from vault.storage.objects import Objects
from vault.testing.accesslog import ORIGIN, log_bench, look
from vault.testing.object_server import ObjectServer
from vault.testing.postgres import postgres
from vault.testing.processes import wait_until
from vault.testing.publishers import Wares, copier, publisher, seeded_service
from vault.testing.rgw import rgw
from vault.testing.syscalls import CALLS, Fault, Work, count_calls, disturbed

WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
SAMPLE = 2  # that fail and as many that kill, of each test
TOGETHER = 12  # faults that one log goes through
BUCKETS = count(1)  # a log each
KEYS = log_keys(seeded_service(), ORIGIN)


class Place:
    """A log in a real database and a real locked bucket, and a folder to copy it into."""

    def __init__(self, database: Database, info: str, store: ObjectServer, folder: Path) -> None:
        self.database, self.info, self.store, self.folder = database, info, store, folder
        self.renew()

    def renew(self) -> None:
        """Begin a new log, in a bucket of its own: checking a long one takes long."""
        self.bench = log_bench(self.database)
        self.wares = Wares(self.info, self.store.settings(log_bucket=f"log-{next(BUCKETS)}"))
        self.objects = Objects(self.wares.objects)
        self.objects.prepare()
        shutil.rmtree(self.folder, ignore_errors=True)

    def grow(self) -> int:
        """Add entries; every second time they fill a tile. Tell how many there are."""
        return self.bench.log.record([look()] * 130)[-1].index + 1

    def publish(self) -> int:
        parts = LogParts(self.bench.database, seeded_service(), ORIGIN)
        published: list[int] = []

        def done() -> bool:
            try:
                published.append(publish(parts, self.objects).size)
            except ConflictError:  # the server has yet to notice that the killed publisher's connection is gone
                return False
            return True

        wait_until(done, "the dead publisher's lock")
        return published[0]

    def check(self) -> None:
        """Find nothing wrong, neither in the database nor in what is published."""
        assert verify_database(self.bench.database, KEYS[0], self.objects).faults == []
        self.check_copy(ShelfSource(self.objects))

    def check_copy(self, source: Source) -> None:
        try:
            source.fetch(CHECKPOINT, 10_000)
        except KeyMissingError:
            return
        assert verify_published(source, KEYS[0]).faults == []


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres() as server:
        made = server.create_database("dsr_calls")
        migrate(made)
        yield made


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectServer]:
    with rgw() as server:
        yield server


@pytest.fixture
def place(settings: DatabaseSettings, store: ObjectServer, tmp_path: Path) -> Iterator[Place]:
    database = Database(settings)
    yield Place(database, conninfo(settings), store, tmp_path / "copy")
    database.close()


def faults(work: Work, *args: object) -> list[Fault]:
    """List every instance, or draw some, half of them kills."""
    calls = count_calls(work, *args)
    each = [[Fault(call, kills, when + 1) for call in CALLS for when in range(calls[call])] for kills in (False, True)]
    draw = random.Random(7)  # noqa: S311 - a sample, no secret
    return [fault for some in each for fault in (some if WHOLE else draw.sample(some, SAMPLE))]


def test_a_publisher_disturbed_anywhere_leaves_a_sound_log_and_is_finished_by_the_next(place: Place) -> None:
    place.grow()
    killed = 0
    for number, fault in enumerate(faults(publisher, place.wares), 1):
        if number % TOGETHER == 0:
            place.renew()
        size = place.grow()

        ended = disturbed(fault, publisher, place.wares)

        place.check()
        killed += fault.kills and not ended
        assert place.publish() == size, str(fault)
        place.check()
    assert killed


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_a_copier_disturbed_anywhere_leaves_a_sound_copy_and_is_finished_by_the_next(
    place: Place, *, again: bool
) -> None:
    killed = 0
    begin(place, again=again)
    for number, fault in enumerate(faults(copier, place.wares, place.folder), 1):
        if number % TOGETHER == 0:
            place.renew()
            begin(place, again=again)
        if not again:
            shutil.rmtree(place.folder, ignore_errors=True)
        place.grow()
        size = place.publish()

        ended = disturbed(fault, copier, place.wares, place.folder)

        killed += fault.kills and not ended
        if place.folder.is_dir():
            place.check_copy(DirectorySource(place.folder))
        copier(place.wares, place.folder)()
        verdict = verify_published(DirectorySource(place.folder), KEYS[0])
        assert (verdict.size, verdict.faults) == (size, []), str(fault)
    assert killed


def begin(place: Place, *, again: bool) -> None:
    """Publish a log, and where the copy is carried on, copy it and publish more."""
    place.grow()
    place.publish()
    if again:
        copier(place.wares, place.folder)()
        place.grow()
        place.publish()
