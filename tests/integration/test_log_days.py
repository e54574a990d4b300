"""Days are closed in a real PostgreSQL, once each, and every subject's looks are proved complete or proved absent."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from threading import Barrier, Thread

import pytest

from vault.accesslog.answers import Told, check_complete, completeness, tell
from vault.accesslog.completeness import map_line, map_root
from vault.accesslog.days import close_days
from vault.accesslog.leaves import Day, parse_day, parse_leaf, read_leaf
from vault.accesslog.merkle import leaf_hash
from vault.accesslog.proofs import heads
from vault.accesslog.publish import publish
from vault.accesslog.recount import verify_database
from vault.accesslog.tlogproof import verify_proof
from vault.errors import TamperedError
from vault.storage import log as leaves
from vault.storage.database import Database
from vault.storage.days import counts, tags_from
from vault.testing.accesslog import SUBJECT, LogBench, log_bench, log_database, look

FRIDAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SATURDAY = FRIDAY + timedelta(days=1)


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    with log_database("dsr_days") as database:
        yield database


@pytest.fixture
def bench(opened: Database) -> LogBench:
    return log_bench(opened)


def record(bench: LogBench, count: int, at: datetime = FRIDAY) -> None:
    """Look at many subjects, each as often as its number leaves over by three, and once more."""
    looks = [look(subject=f"P-{number:04d}", at=at) for number in range(count) for _ in range(1 + number % 3)]
    bench.log.record(looks)


def said(bench: LogBench) -> list[Day]:
    with bench.database.connect() as connection:
        return [day for _, leaf in leaves.leaves(connection, 0, 1 << 40) if (day := parse_day(leaf))]


def ask(bench: LogBench, subject: str) -> Told:
    """Ask as the command does: the asking is logged first."""
    receipt = bench.log.record([look(subject=subject, at=SATURDAY)])[0]
    return tell(bench.log, bench.database, subject, receipt.index + 1)


def recomputed(bench: LogBench, size: int) -> tuple[int, bytes]:
    """Give what a day over so many leaves must say, from the leaves alone."""
    counts: dict[bytes, tuple[int, bytes]] = {}
    with bench.database.connect() as connection:
        for _, leaf in leaves.leaves(connection, 0, size):
            read = read_leaf(leaf)
            if not isinstance(read, Day) and read.tag:
                counts[read.tag] = (counts.get(read.tag, (0, b""))[0] + 1, leaf_hash(leaf))
    return len(counts), map_root(map_line(tag, *line) for tag, line in sorted(counts.items()))


def test_a_day_is_closed_once_when_it_has_ended(bench: LogBench) -> None:
    record(bench, 5)

    assert close_days(bench.database, FRIDAY + timedelta(hours=13, minutes=29)) is None  # 23:59 in Helsinki
    assert close_days(bench.database, FRIDAY + timedelta(hours=13, minutes=30)) == date(2026, 11, 20)
    assert close_days(bench.database, SATURDAY) is None

    (day,) = said(bench)
    assert (day.day, day.size, day.tags) == (date(2026, 11, 20), 9, 5)
    assert (day.tags, day.map) == recomputed(bench, day.size)


def test_a_log_that_has_seen_nothing_closes_nothing(bench: LogBench) -> None:
    assert close_days(bench.database, SATURDAY) is None
    record(bench, 1, SATURDAY)
    assert close_days(bench.database, SATURDAY) is None
    assert said(bench) == []


def test_days_on_which_nobody_ran_are_covered_by_the_next_one(bench: LogBench) -> None:
    record(bench, 3)
    close_days(bench.database, SATURDAY)
    record(bench, 4, SATURDAY)

    assert close_days(bench.database, SATURDAY + timedelta(days=5)) == date(2026, 11, 25)

    first, second = said(bench)
    assert (second.size, second.tags) == (first.size + 1 + 7, 4)
    assert (second.tags, second.map) == recomputed(bench, second.size)


def test_a_clock_set_back_closes_nothing_again(bench: LogBench) -> None:
    record(bench, 3)
    close_days(bench.database, SATURDAY)

    assert close_days(bench.database, SATURDAY - timedelta(days=3)) is None
    assert close_days(bench.database, SATURDAY) is None
    assert len(said(bench)) == 1


def test_of_keepers_at_once_one_closes(bench: LogBench) -> None:
    record(bench, 20)
    barrier, closed = Barrier(4), list[date | None]()

    def close() -> None:
        barrier.wait()
        closed.append(close_days(bench.database, SATURDAY))

    threads = [Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, closed)) == ["2026-11-20", "None", "None", "None"]
    assert len(said(bench)) == 1


@pytest.mark.parametrize("name", ["log_days", "log_tiles", "log_edge"])
def test_a_day_that_could_not_be_stored_whole_is_not_there(bench: LogBench, name: str) -> None:
    record(bench, 3)
    bench.run(f"alter table {name} add column broken integer not null default 0 check (broken = 0)")
    bench.run(f"alter table {name} alter column broken set default 1")
    if name == "log_edge":
        bench.run("alter table log_edge drop constraint log_edge_broken_check")
        bench.run("alter table log_edge add check (size <= 6)")
    with pytest.raises(Exception, match="violates check constraint"):
        close_days(bench.database, SATURDAY)
    bench.run(f"alter table {name} drop column broken")
    bench.run("alter table log_edge drop constraint if exists log_edge_size_check")

    assert said(bench) == []
    assert close_days(bench.database, SATURDAY) == date(2026, 11, 20)
    assert len(said(bench)) == 1


@pytest.mark.parametrize(
    "harm",
    [
        "update log_leaves set tag = null where idx = 4",
        "update log_leaves set tag = set_byte(tag, 0, get_byte(tag, 0) # 1) where idx = 0",
        "update log_leaves set tag = decode(repeat('00', 16), 'hex') where idx = 6",
        "delete from log_leaves where idx = 2",
    ],
    ids=["untagged", "another tag", "a tag for nobody", "deleted"],
)
def test_over_a_changed_log_no_day_is_closed(bench: LogBench, harm: str) -> None:
    record(bench, 3)
    bench.log.record([look(subject=None, at=FRIDAY)])
    bench.run(harm)

    with pytest.raises(TamperedError, match="column_differs"):
        close_days(bench.database, SATURDAY)

    assert said(bench) == []


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 600])
def test_everybody_is_told_completely(bench: LogBench, count: int) -> None:
    record(bench, count)
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)
    record(bench, 2, SATURDAY)

    for number in sorted({0, 1 % count, count // 2, count - 1}):
        told = ask(bench, f"P-{number:04d}")

        assert told.complete is not None
        assert told.complete.until == date(2026, 11, 20)
        assert sum(told.complete.covers(entry.index) for entry in told.entries) == 1 + number % 3
        proof = told.published(0)
        assert proof is not None
        assert verify_proof(proof, bench.key).size == told.against.checkpoint_size
        assert told.published(len(told.entries) - 1) is None  # the asking itself, a moment ago


@pytest.mark.parametrize("count", [1, 256, 600])
def test_who_was_never_looked_at_is_proved_absent(bench: LogBench, count: int) -> None:
    record(bench, count)
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)

    for number in range(25):
        told = ask(bench, f"P-NEVER-{number}")

        assert told.complete is not None
        assert len(told.entries) == 1
        assert all(line.line.tag != parse_leaf(told.entries[0].leaf).tag for line in told.complete.lines)


def test_tags_at_every_place_of_the_map(bench: LogBench) -> None:
    record(bench, 300)
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)
    tags = [sha256(b"%d" % number).digest()[:16] for number in range(50)]
    with bench.database.connect() as connection:
        there = [found.tag for found in counts(connection, 600)]
    behind = [(int.from_bytes(tag) + 1).to_bytes(16) for tag in (there[0], there[254], there[255], there[256])]

    with bench.database.connect() as connection:
        against = heads(connection)
        for tag in [bytes(16), b"\xff" * 16, *behind, *tags]:
            complete = completeness(connection, tag, against, against.size)

            assert complete is not None
            check_complete(tag, [], complete)


def test_an_entry_that_the_day_does_not_count_is_missed(bench: LogBench) -> None:
    record(bench, 3)
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)
    tag = bytes(16)

    with bench.database.connect() as connection:
        against = heads(connection)
        complete = completeness(connection, tag, against, against.size)

    assert complete is not None
    check_complete(tag, [(6, b"behind the day")], complete)
    with pytest.raises(TamperedError, match="not_complete"):
        check_complete(tag, [(5, b"before it")], complete)


def test_what_comes_while_a_day_is_counted_is_not_in_it(bench: LogBench) -> None:
    record(bench, 3)  # 0: P-0000, 1-2: P-0001, 3-5: P-0002

    with bench.database.connect() as connection:
        found = {one.tag: one.count for one in counts(connection, 4)}
        tags = tags_from(connection, b"", 3, 9)

    assert sorted(found.values()) == [1, 1, 2]
    assert len(tags) == 2
    assert set(tags) < found.keys()


def test_before_a_day_is_published_nothing_is_said_to_be_complete(bench: LogBench) -> None:
    record(bench, 3)
    publish(bench.parts, bench.shelf)

    assert ask(bench, "P-0001").complete is None
    close_days(bench.database, SATURDAY)
    assert ask(bench, "P-0001").complete is None
    publish(bench.parts, bench.shelf)
    assert ask(bench, "P-0001").complete is not None


def test_a_day_that_closed_over_more_than_was_read_is_not_used(bench: LogBench) -> None:
    record(bench, 3)
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)

    assert tell(bench.log, bench.database, "P-0001", 5).complete is None
    assert tell(bench.log, bench.database, "P-0001", 6).complete is not None


def test_without_any_entry_nothing_is_told(bench: LogBench) -> None:
    record(bench, 3)

    told = tell(bench.log, bench.database, "P-NOBODY", 0)

    assert (told.entries, told.proofs, told.complete) == ((), (), None)


@pytest.mark.parametrize(
    "harm",
    [
        "update log_leaves set tag = null where idx = 4",
        "delete from log_leaves where idx = 4",
        "update log_leaves set tag = (select tag from log_leaves where idx = 0) where idx = 4",
        "update log_days set size = 3",
        "update log_tiles set hashes = decode(repeat('00', length(hashes)), 'hex') where tree = 'map'",
        "delete from log_tiles where tree = 'map'",
        "update log_leaves set leaf = overlay(leaf placing '19' from 17) where at is null",
        "update log_leaves set leaf = set_byte(leaf, 20, 48) where idx = 0",
    ],
    ids=["untagged", "deleted", "handed over", "day", "map", "no map", "day leaf", "another leaf"],
)
def test_a_look_that_was_hidden_is_missed(bench: LogBench, harm: str) -> None:
    record(bench, 3)  # 0: P-0000, 1-2: P-0001, 3-5: P-0002
    close_days(bench.database, SATURDAY)
    publish(bench.parts, bench.shelf)
    bench.run(harm)

    with pytest.raises(TamperedError):
        ask(bench, "P-0002")


def test_what_was_closed_verifies(bench: LogBench) -> None:
    record(bench, 30)
    for days in range(1, 4):
        close_days(bench.database, FRIDAY + timedelta(days=days))
        record(bench, 10 + days, FRIDAY + timedelta(days=days))
        publish(bench.parts, bench.shelf)

    verdict = verify_database(bench.database, bench.key, bench.shelf)

    assert verdict.to_json()["faults"] == []
    assert [day.day.day for day in said(bench)] == [20, 21, 22]


def test_a_look_without_a_subject_is_in_no_map(bench: LogBench) -> None:
    bench.log.record([look(subject=None), look(subject=SUBJECT)])

    close_days(bench.database, SATURDAY)

    assert [(day.size, day.tags) for day in said(bench)] == [(2, 1)]
