"""Appending on a real PostgreSQL: durable before receipts, one tree for many writers, all of a batch or nothing."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from vault.accesslog.entries import SealedLook
from vault.accesslog.leaves import parse_leaf
from vault.accesslog.log import LARGEST_BATCH, LONGEST_LIFETIME, AccessLog
from vault.accesslog.merkle import RightEdge, leaf_hash, verify_inclusion
from vault.accesslog.proofs import heads, prove
from vault.accesslog.publish import publish
from vault.accesslog.recount import verify_database
from vault.crypto.keyring import KeyRing
from vault.errors import KeyMissingError, NoReceiptError, OutOfReachError, RefusedError, TamperedError
from vault.settings import DatabaseSettings
from vault.storage import log as table
from vault.storage.database import Database, conninfo
from vault.storage.migrate import migrate
from vault.testing.accesslog import CASE, SUBJECT, LogBench, log_bench, look, stored
from vault.testing.keyservice import MemoryKeys, MemorySealedKeys, memory_ring, memory_service
from vault.testing.postgres import postgres


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres() as server:
        made = server.create_database("dsr_append")
        migrate(made)
        yield made


@pytest.fixture(scope="module")
def database(settings: DatabaseSettings) -> Iterator[Database]:
    opened = Database(settings, size=10)
    yield opened
    opened.close()


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def rows_of(database: Database) -> list[table.LeafRow]:
    with database.connect() as connection:
        return list(table.rows(connection))


def test_a_receipt_stands_for_a_committed_entry(bench: LogBench, settings: DatabaseSettings) -> None:
    receipt = bench.log.record([look()])[0]

    with psycopg.connect(conninfo(settings)) as stranger:
        assert stranger.execute("select idx from log_leaves").fetchall() == [(receipt.index,)]
    bench.log.spend(receipt, case=CASE, subject=SUBJECT, kinds=["visit"])


def test_receipts_come_in_the_order_of_the_looks(bench: LogBench) -> None:
    receipts = bench.log.record([look(subject=f"P-{number}") for number in range(20)])

    assert [(one.index, one.subject) for one in receipts] == [(number, f"P-{number}") for number in range(20)]
    assert bench.log.record([look()])[0].index == 20


def test_nothing_to_record_records_nothing(bench: LogBench) -> None:
    assert bench.log.record([]) == []
    assert rows_of(bench.database) == []


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), LONGEST_LIFETIME + timedelta(seconds=1)])
def test_an_unfit_lifetime_is_refused(bench: LogBench, lifetime: timedelta) -> None:
    with pytest.raises(RefusedError):
        bench.log.record([look()], lifetime=lifetime)


def test_one_unfit_look_refuses_the_batch(bench: LogBench) -> None:
    with pytest.raises(RefusedError):
        bench.log.record([look(), look(kinds=())])
    with pytest.raises(RefusedError):
        bench.log.record([look()] * (LARGEST_BATCH + 1))

    assert rows_of(bench.database) == []


def test_receipts_expire_by_the_log_s_clock(bench: LogBench) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    log = AccessLog(bench.database, bench.keys, bench.service, now=lambda: now)
    early, late = log.record([look()] * 2, lifetime=timedelta(minutes=2))

    now += timedelta(minutes=1, seconds=59)
    log.spend(early, case=CASE, subject=SUBJECT, kinds=["visit"])
    now += timedelta(seconds=1)

    with pytest.raises(NoReceiptError):
        log.spend(late, case=CASE, subject=SUBJECT, kinds=["visit"])


def test_a_refused_look_is_logged_and_opens_nothing(bench: LogBench) -> None:
    receipt = bench.log.record([look(outcome="wrong_role")])[0]

    with pytest.raises(NoReceiptError):
        bench.log.spend(receipt, case=CASE, subject=SUBJECT, kinds=["visit"])
    assert [access.outcome for access in bench.log.who(SUBJECT)] == ["wrong_role"]


def test_eight_writers_make_one_tree(bench: LogBench) -> None:
    logs = [AccessLog(bench.database, bench.keys, bench.service) for _ in range(8)]

    def write(number: int) -> list[int]:
        sizes = [1] * 20 + [7, 1, 30]
        return [
            receipt.index
            for size in sizes
            for receipt in logs[number].record([look(subject=f"P-{number}") for _ in range(size)])
        ]

    with ThreadPoolExecutor(8) as pool:
        indexes = [index for one in pool.map(write, range(8)) for index in one]

    assert sorted(indexes) == list(range(8 * 58))
    assert verify_database(bench.database, bench.key, None).ok
    assert Counter(row.tag for row in rows_of(bench.database)).total() == 8 * 58


def test_who_tells_one_subject_s_accesses_oldest_first_through_the_years(bench: LogBench) -> None:
    years = [look(at=datetime(year, 6, 1, tzinfo=UTC), count=year) for year in (2026, 2027, 2028)]
    bench.log.record([years[0], look(subject="P-OTHER"), years[1]])
    bench.log.record([look(subject=None), years[2]])

    assert bench.log.who(SUBJECT) == years
    assert [entry.index for entry in bench.log.entries(SUBJECT)] == [0, 2, 4]
    assert bench.log.who("P-NOBODY") == []


def test_a_case_s_looks_before_its_subject_was_known(bench: LogBench) -> None:
    unknown = look(subject=None, kinds=("case_file",))
    bench.log.record([unknown, look(), look(subject=None, case="DSR-2026-000000")])

    assert [entry.access for entry in bench.log.case_entries(CASE)] == [unknown]


def test_subjects_can_t_be_told_from_the_tags_without_the_key(bench: LogBench) -> None:
    bench.log.record([look(), look(), look(subject="P-OTHER")])
    tags = [row.tag for row in rows_of(bench.database)]
    other = log_bench(bench.database)
    other.log.record([look()])

    assert tags[0] == tags[1] != tags[2]
    assert rows_of(bench.database)[0].tag != tags[0]


def test_log_keys_and_tags_are_asked_for_once_a_process(bench: LogBench) -> None:
    asked: Counter[str] = Counter()

    class Counting:
        def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], *more: Any) -> list[bytes]:
            asked[verb] += len(items)
            return bench.service.many(verb, name, items, *more)

    service: Any = Counting()
    log = AccessLog(bench.database, KeyRing(service, MemoryKeys(), MemorySealedKeys()), service)

    for _ in range(5):
        log.record([look(), look(subject="P-OTHER")])

    assert asked == {"mac": 1, "wrap": 2, "unwrap_tagged": 2}  # a reader's mark; two subjects' keys, each with its tag


def test_destroyed_log_keys_leave_a_log_that_still_proves_itself(bench: LogBench) -> None:
    wrapped = MemoryKeys()
    keys = KeyRing(bench.service, wrapped, MemorySealedKeys())
    log = AccessLog(bench.database, keys, bench.service)
    log.record([look()])

    wrapped.rows.clear()

    with pytest.raises(KeyMissingError):
        log.who(SUBJECT)
    assert verify_database(bench.database, bench.key, None).ok


@pytest.mark.parametrize(
    "harm",
    [
        "delete from log_edge",
        "update log_edge set size = 2",
        "update log_edge set hashes = substr(hashes, 2)",
        "update log_edge set size = 2, hashes = substr(hashes, 1, 32)",  # back to a tree that was
    ],
)
def test_nobody_reads_while_the_edge_is_wrong(bench: LogBench, harm: str) -> None:
    bench.log.record([look()] * 3)
    bench.run(harm)

    with pytest.raises(TamperedError):
        bench.log.record([look()])

    assert len(rows_of(bench.database)) == 3


def test_nobody_reads_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    service = memory_service()
    nowhere = Database("host=/nowhere dbname=x connect_timeout=1")
    monkeypatch.setattr(nowhere._pool, "timeout", 0.2)

    with pytest.raises(OutOfReachError):
        AccessLog(nowhere, memory_ring(service), service).record([look()])
    nowhere.close()


def test_a_connection_that_breaks_at_the_lock_gives_no_receipt(bench: LogBench, settings: DatabaseSettings) -> None:
    waiting = "select pid from pg_locks where locktype = 'advisory' and not granted"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(conninfo(settings), autocommit=True) as other:
        other.execute("select pg_advisory_lock(7042)")
        recording = pool.submit(bench.log.record, [look()])
        deadline = time.monotonic() + 10
        while not (found := other.execute(waiting).fetchall()) and time.monotonic() < deadline:
            time.sleep(0.01)
        other.execute("select pg_terminate_backend(%s)", found[0])
        with pytest.raises(OutOfReachError):
            recording.result()

    assert bench.log.record([look()])[0].index == 0
    assert verify_database(bench.database, bench.key, None).ok


@pytest.mark.parametrize("start", [0, 1, 5, 255, 256])
def test_the_database_s_edge_is_the_tree_s(bench: LogBench, start: int) -> None:
    """The function of the database and :class:`RightEdge`, whatever the size before and the batch."""
    if start:
        bench.log.record([look()] * start)
    for size in (1, 2, 3, 64, 101):
        bench.log.record([look()] * size)
    rows = rows_of(bench.database)
    edge = RightEdge()
    for row in rows:
        edge.add(leaf_hash(row.leaf))

    with bench.database.connect() as connection:
        assert table.edges(connection) == [(True, start + 171, edge.packed())]


def columns(bench: LogBench) -> table.LeafColumns:
    """A sound row's columns, taken back out of the log."""
    bench.log.record([look()])
    row = rows_of(bench.database)[-1]
    assert row.tag is not None
    assert row.reader is not None
    assert row.at is not None
    return table.LeafColumns(
        [parse_leaf(row.leaf).use], [row.entry], [row.staff], [row.case], [row.tag], [row.reader], [row.at]
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("use", b""),
        ("use", bytes(15)),
        ("use", None),
        ("entry", None),
        ("staff", None),
        ("case", 'x"y'),
        ("case", ""),
        ("case", "DSR-2026-" + "0" * 30),
        ("tag", bytes(15)),
        ("tag", b""),
        ("reader", bytes(17)),
        ("reader", None),
        ("reader", b""),
        ("at", datetime(2026, 11, 20, 8, 30, 0, 1, UTC)),
        ("at", datetime(1999, 12, 31, tzinfo=UTC)),
        ("at", None),
    ],
)
def test_of_a_malformed_row_the_database_makes_no_leaf(bench: LogBench, column: str, value: object) -> None:
    sound = columns(bench)
    table.append(bench.database.ask, sound, table.Claims())

    with pytest.raises(psycopg.errors.InvalidParameterValue):
        table.append(bench.database.ask, replace(sound, **{column: [value]}), table.Claims())  # type: ignore[arg-type]  # a table of columns

    assert len(rows_of(bench.database)) == 2


@pytest.mark.parametrize("column", ["entry", "staff", "reader", "at"])
def test_of_columns_of_unequal_length_the_database_makes_no_leaf(bench: LogBench, column: str) -> None:
    sound = columns(bench)
    two = {each.name: getattr(sound, each.name) * 2 for each in fields(sound)}

    with pytest.raises(psycopg.errors.InvalidParameterValue):
        table.append(bench.database.ask, table.LeafColumns(**{**two, column: getattr(sound, column)}), table.Claims())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"case": None},
        {"subject": None},
        {"subject": None, "case": None},
        {"at": datetime(2026, 3, 29, 3, 30, 59, 999_999, ZoneInfo("Europe/Helsinki"))},
        {"at": datetime(2000, 1, 1, tzinfo=UTC)},
        {"kinds": ("visit",) * 64, "legal_ground": "ä" * 500},
    ],
)
def test_the_database_makes_the_leaf_that_the_format_describes(bench: LogBench, changes: dict[str, Any]) -> None:
    bench.log.record([look(**changes)] * 2)

    for row in rows_of(bench.database):
        read = parse_leaf(row.leaf)
        assert row.at is not None
        assert row.reader is not None
        made = SealedLook(read.use, row.entry, row.staff, row.case, row.tag, row.reader, row.at)
        assert stored(made).leaf == row.leaf
        assert read.time == look(**changes).at.astimezone(UTC).replace(microsecond=0)


DAY = b'{"day":"2026-11-20","map":"' + b"ab" * 32 + b'","size":1,"tags":1,"v":1}'


@pytest.mark.parametrize("harm", [(b"1,", b"01,"), (b"}", b"} "), (b"day", b"dai"), (b"ab", b"AB"), (DAY, b"")])
def test_only_a_day_s_leaf_closes_a_day(bench: LogBench, harm: tuple[bytes, bytes]) -> None:
    with bench.database.connect() as connection:
        assert table.close_day(connection, DAY) == 0

    with pytest.raises(psycopg.errors.InvalidParameterValue), bench.database.connect() as connection:
        table.close_day(connection, DAY.replace(*harm))

    assert [row.leaf for row in rows_of(bench.database)] == [DAY]


def test_large_batches_do_not_stall(bench: LogBench) -> None:
    for start in range(0, 10_000, 1000):
        receipts = bench.log.record([look(legal_ground="g" * 500)] * 1000)
        assert receipts[0].index == start


def test_a_rolled_back_batch_leaves_no_gap(bench: LogBench) -> None:
    bench.log.record([look()])
    bench.run("insert into log_leaves (idx, leaf, entry, staff) values (2, '', '', '')")

    with pytest.raises(TamperedError):
        bench.log.record([look()] * 2)
    bench.run("delete from log_leaves where idx = 2")

    assert bench.log.record([look()])[0].index == 1
    assert verify_database(bench.database, bench.key, None).ok


@pytest.mark.parametrize("size", [1, 2, 9, 300])
def test_entries_are_proved_against_the_checkpoint_and_newer_ones_against_the_present(
    bench: LogBench, size: int
) -> None:
    bench.log.record([look()] * size)
    published = publish(bench.parts, bench.shelf)
    bench.log.record([look()] * 5)
    wanted = [0, size - 1, size, size + 4]

    with bench.database.connect() as connection:
        head = heads(connection)
        proofs = prove(connection, wanted, head)

    leaves = [row.leaf for row in rows_of(bench.database)]
    assert [proof.size for proof in proofs] == [size, size, size + 5, size + 5]
    assert proofs[0].root == published.root
    for proof in proofs:
        verify_inclusion(leaf_hash(leaves[proof.index]), proof.index, proof.size, proof.path, proof.root)


def test_a_log_with_a_hole_proves_nothing(bench: LogBench) -> None:
    bench.log.record([look()] * 5)
    bench.run("delete from log_leaves where idx = 2")

    with bench.database.connect() as connection, pytest.raises(TamperedError):
        prove(connection, [4], heads(connection))
