"""Publishing puts each name once, whoever races for it, and keeps the full tiles in the database too."""

import threading
from collections.abc import Iterator

import pytest

from vault.accesslog.mirror import ShelfSource
from vault.accesslog.publish import publish
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import tile_name
from vault.accesslog.verify import verify_published
from vault.accesslog.writeonce import WriteOnce
from vault.errors import ConflictError, OutOfReachError, TamperedError
from vault.storage.database import Database
from vault.storage.tiles import LOG, TileRow, get_tiles, put_tiles
from vault.testing.accesslog import LogBench, MemoryShelf, log_bench, log_database, look


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with log_database("dsr_once") as opened:
        yield opened


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def grow(bench: LogBench, count: int) -> int:
    return bench.log.record([look()] * count)[-1].index + 1


def check(bench: LogBench, size: int) -> None:
    verdict = verify_published(ShelfSource(bench.shelf), bench.key)
    assert (verdict.size, verdict.faults) == (size, [])
    assert verify_database(bench.database, bench.key, bench.shelf).faults == []


def test_of_two_that_race_for_a_name_one_puts_and_the_other_is_refused(bench: LogBench) -> None:
    class Blind(MemoryShelf):
        """A bucket that shows nobody what stands there: as both of them saw it before the race."""

        def put_locked(self, key: str, data: bytes) -> None:
            self.replace_locked(key, data)

    shelf, refused = Blind(), []
    ready = threading.Barrier(2)

    def race(data: bytes) -> None:
        once = WriteOnce(bench.database, shelf)
        once.put("tile/0/000.p/3", data)
        ready.wait()
        try:
            once.flush()
        except ConflictError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=race, args=(data,)) for data in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["log_claim_differs"]
    assert len(shelf.versions["tile/0/000.p/3"]) == 1


def test_a_refused_name_holds_back_all_that_were_to_go_with_it(bench: LogBench) -> None:
    first, second = WriteOnce(bench.database, bench.shelf), WriteOnce(bench.database, bench.shelf)
    first.put("tile/0/001.p/3", b"one")
    first.flush()
    second.put("tile/0/000", bytes(8192))
    second.put("tile/0/001.p/3", b"two")

    with pytest.raises(ConflictError):
        second.flush()

    assert set(bench.shelf.versions) == {"tile/0/001.p/3"}
    with bench.database.connect() as connection:
        assert get_tiles(connection, LOG, [(0, 0)]) == {}


def test_a_claim_is_durable_before_its_object_is_put(bench: LogBench) -> None:
    class Away(MemoryShelf):
        def put_locked(self, key: str, data: bytes) -> None:
            raise OutOfReachError("objects_away", f"no {key} of {len(data)} bytes was put")

    once = WriteOnce(bench.database, Away())
    once.put("tile/0/000.p/1", b"one")
    with pytest.raises(OutOfReachError):
        once.flush()
    other = WriteOnce(bench.database, bench.shelf)
    other.put("tile/0/000.p/1", b"two")

    with pytest.raises(ConflictError):
        other.flush()


def test_full_tiles_stand_in_the_database_as_they_are_published(bench: LogBench) -> None:
    for count in (200, 700, 1):
        grow(bench, count)
        publish(bench.parts, bench.shelf)

    with bench.database.connect() as connection:
        stored = get_tiles(connection, LOG, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)])

    assert stored == {(0, index): bench.shelf.get_locked(tile_name(0, index)) for index in range(3)}


def test_lost_tiles_are_stored_again(bench: LogBench) -> None:
    grow(bench, 600)
    publish(bench.parts, bench.shelf)
    bench.run("delete from log_tiles where idx = 0")
    size = grow(bench, 1)

    publish(bench.parts, bench.shelf)

    with bench.database.connect() as connection:
        assert get_tiles(connection, LOG, [(0, 0)]) == {(0, 0): bench.shelf.get_locked("tile/0/000")}
    check(bench, size)


def test_leaves_that_do_not_give_the_published_root_refill_nothing(bench: LogBench) -> None:
    grow(bench, 600)
    publish(bench.parts, bench.shelf)
    bench.run("truncate log_tiles")
    bench.run("update log_leaves set leaf = (select leaf from log_leaves where idx = 0) where idx = 300")

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == "root_differs"
    with bench.database.connect() as connection:
        assert get_tiles(connection, LOG, [(0, 0), (0, 1)]) == {}


def test_another_stored_tile_stops_publishing(bench: LogBench) -> None:
    grow(bench, 200)
    publish(bench.parts, bench.shelf)
    with bench.database.connect() as connection:
        put_tiles(connection, LOG, [TileRow(0, 0, bytes(8192))])
    grow(bench, 100)

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == "stored_tile_differs"
    assert "tile/0/000" not in bench.shelf.versions
