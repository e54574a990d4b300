"""Publishing from a real PostgreSQL: continues or refuses, puts each name once, and is finished by the next run."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from vault.accesslog.continuity import Published
from vault.accesslog.log import AccessLog
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import open_checkpoint
from vault.accesslog.publish import LogParts, Shelf, publish
from vault.accesslog.recount import verify_database
from vault.accesslog.sources import DirectorySource
from vault.accesslog.tiles import CHECKPOINT, history_name
from vault.accesslog.verify import verify_published
from vault.errors import ConflictError, TamperedError, VaultError
from vault.settings import DatabaseSettings
from vault.storage import log as table
from vault.storage.database import Database, conninfo
from vault.storage.migrate import migrate
from vault.storage.objects import Objects
from vault.testing.accesslog import ORIGIN, LogBench, MemoryShelf, copy_to, log_bench, look
from vault.testing.keyservice import memory_service
from vault.testing.postgres import postgres
from vault.testing.rgw import rgw


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres() as server:
        made = server.create_database("dsr_publish")
        migrate(made)
        yield made


@pytest.fixture(scope="module")
def database(settings: DatabaseSettings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def grow(bench: LogBench, count: int) -> None:
    for start in range(0, count, 1000):
        bench.log.record([look()] * min(1000, count - start))


def names(bench: LogBench) -> set[str]:
    return set(bench.shelf.versions)


def checks_out(bench: LogBench, directory: Path) -> bool:
    verdict = verify_published(DirectorySource(copy_to(bench.shelf, directory)), bench.key)
    assert verify_database(bench.database, bench.key, bench.shelf).faults == []
    return verdict.ok


def stored_notes(bench: LogBench) -> dict[int, str]:
    with bench.database.connect() as connection:
        return dict(table.checkpoints(connection))


def test_an_empty_log_is_published(bench: LogBench, tmp_path: Path) -> None:
    published = publish(bench.parts, bench.shelf)

    assert published.size == 0
    assert names(bench) == {CHECKPOINT, history_name(0)}
    assert checks_out(bench, tmp_path)


def test_a_growing_log_is_published_again_and_again(bench: LogBench, tmp_path: Path) -> None:
    for count in (1, 4, 250, 1, 1, 700, 0):
        grow(bench, count)
        published = publish(bench.parts, bench.shelf)

        assert bench.shelf.get_locked(CHECKPOINT) == published.note
        assert open_checkpoint(published.note, bench.key).root == published.root
        assert checks_out(bench, tmp_path)
    assert {"tile/0/000.p/1", "tile/0/000.p/5", "tile/0/000.p/255", "tile/0/000", "tile/0/001.p/1"} <= names(bench)
    assert {"tile/1/000.p/1", "tile/1/000.p/3", "tile/entries/003.p/189"} <= names(bench)


def test_a_log_that_did_not_grow_is_not_published_again(bench: LogBench) -> None:
    grow(bench, 3)
    first = publish(bench.parts, bench.shelf)
    before = {name: list(versions) for name, versions in bench.shelf.versions.items()}

    assert publish(bench.parts, bench.shelf) == first
    assert bench.shelf.versions == before


def test_the_checkpoint_names_no_time_and_nobody(bench: LogBench) -> None:
    grow(bench, 3)

    lines = publish(bench.parts, bench.shelf).note.decode().split("\n")

    assert (lines[0], lines[1], lines[3], len(lines)) == (ORIGIN, "3", "", 6)
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")


def test_two_publishers_do_not_work_at_once(bench: LogBench, settings: DatabaseSettings) -> None:
    with psycopg.connect(conninfo(settings)) as other:
        other.execute("select pg_advisory_xact_lock(7043)")

        with pytest.raises(ConflictError) as caught:
            publish(bench.parts, bench.shelf)

    assert caught.value.code == "log_publishing"
    assert publish(bench.parts, bench.shelf).size == 0


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        ("delete from log_leaves where idx = 8", "log_edge_differs"),
        ("delete from log_leaves where idx = 7", "leaf_missing"),
        ("update log_leaves set leaf = (select leaf from log_leaves where idx = 0) where idx = 7", "log_edge_differs"),
        ("update log_edge set hashes = set_byte(hashes, 0, 0) ", "log_edge_differs"),
        ("update log_edge set size = 8", "edge_malformed"),
        ("truncate log_edge", "log_edge_wrong"),
        ("delete from log_checkpoints where size = 5", "log_rolled_back"),
        ("delete from log_checkpoints", "log_rolled_back"),
        ("update log_checkpoints set size = 6 where size = 5", "checkpoint_size"),
        ("update log_checkpoints set note = '' where size = 5", "note_malformed"),
        ("update log_leaves set leaf = (select leaf from log_leaves where idx = 0) where idx = 4", "leaf_differs"),
    ],
)
def test_a_log_that_does_not_continue_is_not_signed(bench: LogBench, harm: str, code: str) -> None:
    for count in (3, 2):
        grow(bench, count)
        publish(bench.parts, bench.shelf)
    grow(bench, 4)
    before = {name: list(versions) for name, versions in bench.shelf.versions.items()}
    bench.run(harm)
    signed = set(stored_notes(bench))

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == code
    assert bench.shelf.versions == before
    assert set(stored_notes(bench)) == signed


def test_a_shortened_log_is_not_signed(bench: LogBench) -> None:
    grow(bench, 5)
    publish(bench.parts, bench.shelf)
    edge = RightEdge()
    with bench.database.connect() as connection:
        for _, leaf in table.leaves(connection, 0, 4):
            edge.add(leaf_hash(leaf))
    bench.run("delete from log_leaves where idx = 4")
    bench.run("update log_edge set size = 4, hashes = %s", (edge.packed(),))

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == "log_shrank"
    assert set(stored_notes(bench)) == {5}


def test_a_rewritten_log_is_not_signed(bench: LogBench) -> None:
    grow(bench, 300)
    publish(bench.parts, bench.shelf)
    again = log_bench(bench.database)
    grow(again, 300)

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == "log_rolled_back"


@pytest.mark.parametrize("name", ["tile/0/000.p/5", "tile/1/000.p/1"])
def test_changed_published_tiles_stop_publishing(bench: LogBench, name: str) -> None:
    grow(bench, 5 if name.startswith("tile/0") else 256)
    publish(bench.parts, bench.shelf)
    data = bytearray(bench.shelf.get_locked(name))
    data[0] ^= 1
    bench.shelf.versions[name].append(bytes(data))
    grow(bench, 1)

    with pytest.raises(TamperedError) as caught:
        publish(bench.parts, bench.shelf)

    assert caught.value.code == "published_tiles_differ"


def test_another_key_does_not_continue_this_log(bench: LogBench) -> None:
    grow(bench, 5)
    publish(bench.parts, bench.shelf)

    with pytest.raises(TamperedError):
        publish(LogParts(bench.database, memory_service(), ORIGIN), bench.shelf)


class Breaking(MemoryShelf):
    """A bucket that goes away at the n-th write."""

    def __init__(self, shelf: MemoryShelf, writes: int) -> None:
        super().__init__(shelf.versions)
        self.writes = writes

    def _count(self) -> None:
        if self.writes == 0:
            raise ConnectionError
        self.writes -= 1

    def put_locked(self, key: str, data: bytes) -> None:
        self._count()
        super().put_locked(key, data)

    def replace_locked(self, key: str, data: bytes) -> None:
        self._count()
        super().replace_locked(key, data)


def test_a_publisher_that_breaks_anywhere_is_finished_by_the_next(bench: LogBench, tmp_path: Path) -> None:
    grow(bench, 3)
    publish(bench.parts, bench.shelf)
    writes, done = 0, False
    while not done:
        grow(bench, 127)
        try:
            publish(bench.parts, Breaking(bench.shelf, writes))
            done = True
        except ConnectionError:
            writes += 1
        if writes % 2:
            grow(bench, 40)
        assert verify_published(DirectorySource(copy_to(bench.shelf, tmp_path)), bench.key).ok
        assert verify_database(bench.database, bench.key, bench.shelf).ok

    publish(bench.parts, bench.shelf)

    assert writes >= 6
    assert checks_out(bench, tmp_path)
    assert set(map(history_name, stored_notes(bench))) == {name for name in names(bench) if "checkpoints/" in name}


def test_a_first_publisher_that_breaks_anywhere_is_finished_by_the_next(database: Database, tmp_path: Path) -> None:
    for writes in range(6):
        bench = log_bench(database)
        grow(bench, 260)
        with pytest.raises(ConnectionError):
            publish(bench.parts, Breaking(bench.shelf, writes))
        grow(bench, 3)

        assert publish(bench.parts, bench.shelf).size == 263
        assert checks_out(bench, tmp_path / str(writes))


def test_the_row_is_committed_before_anybody_sees_the_checkpoint(bench: LogBench) -> None:
    grow(bench, 5)
    seen: list[int] = []

    class Looking(MemoryShelf):
        def put_locked(self, key: str, data: bytes) -> None:
            seen.extend(stored_notes(bench))
            super().put_locked(key, data)

    publish(bench.parts, Looking())

    assert set(seen) == {5}


def test_a_real_bucket_with_object_lock_holds_the_log(bench: LogBench, tmp_path: Path) -> None:
    with rgw() as server:
        objects = Objects(server.settings())
        objects.prepare()
        shelf: Shelf = objects
        sizes: list[Published] = []
        for count in (3, 260):
            grow(bench, count)
            sizes.append(publish(bench.parts, shelf))
        publish(bench.parts, shelf)
        for name in objects.list_locked():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(objects.get_locked(name))

        assert verify_published(DirectorySource(tmp_path), bench.key).to_json()["size"] == 263
        assert verify_database(bench.database, bench.key, shelf).faults == []
        assert list(objects.list_locked("checkpoints/", after=history_name(3))) == [history_name(263)]
        bench.run("delete from log_checkpoints where size = 263")
        assert not verify_database(bench.database, bench.key, shelf).ok
        with pytest.raises(ConflictError):
            objects.put_locked("tile/0/000", b"other bytes")


def test_a_log_of_another_process_is_continued(bench: LogBench, settings: DatabaseSettings, tmp_path: Path) -> None:
    other = Database(settings)
    try:
        grow(bench, 2)
        AccessLog(other, bench.keys, bench.service).record([look()])
        publish(LogParts(other, bench.service, ORIGIN), bench.shelf)
        grow(bench, 1)
        publish(bench.parts, bench.shelf)
    finally:
        other.close()

    assert checks_out(bench, tmp_path)


def test_faults_are_of_our_family(bench: LogBench) -> None:
    bench.run("update log_checkpoints set note = ''")
    bench.run("truncate log_edge")

    with pytest.raises(VaultError):
        publish(bench.parts, bench.shelf)
