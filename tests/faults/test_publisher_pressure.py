"""Many publishers, a database that restarts, a bucket that is away for an hour, a clock that goes back."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from vault.accesslog.mirror import ShelfSource
from vault.accesslog.notes import open_checkpoint
from vault.accesslog.publish import LogParts, publish
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import verify_published
from vault.errors import ConflictError, OutOfReachError
from vault.settings import DatabaseSettings
from vault.storage.database import Database
from vault.storage.migrate import migrate
from vault.testing.accesslog import ORIGIN, LogBench, MemoryShelf, log_bench, look
from vault.testing.postgres import postgres
from vault.testing.processes import wait_until

CUT = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 7043"


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres(durable=True) as server:  # what is committed survives the crash of all its processes
        made = server.create_database("dsr_pressure")
        migrate(made)
        yield made


@pytest.fixture
def database(settings: DatabaseSettings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def grow(bench: LogBench, count: int) -> int:
    return bench.log.record([look()] * count)[-1].index + 1


def check(bench: LogBench, shelf: MemoryShelf, size: int) -> None:
    verdict = verify_published(ShelfSource(shelf), bench.key)
    assert (verdict.size, verdict.faults) == (size, [])
    assert verify_database(bench.database, bench.key, shelf).faults == []
    assert {name for name, versions in shelf.versions.items() if len(versions) > 1} <= {CHECKPOINT}


def heads(bench: LogBench, shelf: MemoryShelf) -> list[int]:
    return [open_checkpoint(note, bench.key).size for note in shelf.versions[CHECKPOINT]]


class Meanwhile(MemoryShelf):
    """A bucket at whose n-th write something happens first."""

    def __init__(self, number: int, happens: Callable[[], None]) -> None:
        super().__init__()
        self.left, self.happens = number, happens
        self._turn = threading.Lock()

    def _write(self) -> None:
        with self._turn:
            self.left -= 1
            if self.left == 0:
                self.happens()

    def put_locked(self, key: str, data: bytes) -> None:
        self._write()
        super().put_locked(key, data)

    def replace_locked(self, key: str, data: bytes) -> None:
        self._write()
        super().replace_locked(key, data)


def test_many_publishers_at_once_put_each_name_once_and_never_an_older_head(
    bench: LogBench, settings: DatabaseSettings
) -> None:
    stop = threading.Event()
    faults: list[BaseException] = []

    def keep_publishing() -> None:
        mine = Database(settings, size=4)
        parts = LogParts(mine, bench.service, ORIGIN)
        try:
            while not stop.is_set():
                with suppress(ConflictError):
                    publish(parts, bench.shelf)
        except BaseException as fault:
            faults.append(fault)
            raise
        finally:
            mine.close()

    threads = [threading.Thread(target=keep_publishing) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        size = grow(bench, 45)
    stop.set()
    for thread in threads:
        thread.join()
    publish(bench.parts, bench.shelf)

    assert faults == []
    check(bench, bench.shelf, size)
    assert heads(bench, bench.shelf) == sorted(set(heads(bench, bench.shelf)))


def test_a_publisher_whose_lock_is_gone_puts_no_head(bench: LogBench) -> None:
    def cut() -> None:
        bench.run(CUT)

    grow(bench, 300)
    shelf = Meanwhile(3, cut)

    with pytest.raises(OutOfReachError):
        publish(bench.parts, shelf)

    assert CHECKPOINT not in shelf.versions
    assert publish(bench.parts, shelf).size == 300
    check(bench, shelf, 300)


@pytest.mark.parametrize("write", [1, 4, 6, 7], ids=["tile", "later tile", "head", "history"])
def test_a_database_that_restarts_while_we_publish_loses_nothing(bench: LogBench, write: int) -> None:
    def restart() -> None:
        with bench.database.connect() as connection:
            row = connection.execute("select pg_backend_pid()").fetchone()
        assert row
        os.kill(row[0], signal.SIGKILL)  # then the server ends every connection and starts anew from its log

    size = grow(bench, 300)
    shelf = Meanwhile(write, restart)

    with suppress(OutOfReachError):
        publish(bench.parts, shelf)

    assert shelf.left <= 0
    again: list[int] = []

    def publishes() -> bool:
        with suppress(OutOfReachError, ConflictError):
            again.append(publish(bench.parts, shelf).size)
        return bool(again)

    wait_until(publishes, "the database")
    assert again == [size]
    check(bench, shelf, size)
    assert grow(bench, 1) == size + 1


def test_a_bucket_that_is_away_for_an_hour_gets_one_checkpoint_over_all(bench: LogBench) -> None:
    class Away(MemoryShelf):
        here = True

        def get_locked(self, key: str) -> bytes:
            if not self.here:
                raise OutOfReachError("objects_away", "away")
            return super().get_locked(key)

    shelf = Away()
    grow(bench, 10)
    publish(bench.parts, shelf)
    shelf.here = False
    for _ in range(60):
        size = grow(bench, 7)
        with pytest.raises(OutOfReachError):
            publish(bench.parts, shelf)
    shelf.here = True

    assert publish(bench.parts, shelf).size == size == 430
    assert heads(bench, shelf) == [10, 430]
    check(bench, shelf, size)


def test_a_clock_that_goes_back_changes_no_order(bench: LogBench) -> None:
    now = look().at
    for minutes in (0, 60, -600, 5, -525_600):
        bench.log.record([look(at=now + timedelta(minutes=minutes))] * 100)
        size = publish(bench.parts, bench.shelf).size

    check(bench, bench.shelf, size)
    assert heads(bench, bench.shelf) == [100, 200, 300, 400, 500]
