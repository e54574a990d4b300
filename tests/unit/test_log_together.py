"""Threads that append together: each gets its own place or its own refusal, in as few commits as there can be."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from vault.accesslog.together import Together
from vault.errors import OutOfReachError, TamperedError
from vault.storage.log import Appended, Claims, LeafColumns

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Table:
    """A log that takes batches while it is open, and knows what it must refuse."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.batches: list[int] = []
        self.open = threading.Event()
        self.entered = threading.Event()

    def append(self, columns: LeafColumns, claims: Claims) -> Appended:
        self.entered.set()
        assert self.open.wait(10)
        self.batches.append(len(columns.use))
        for leaf, fault in FAULTS.items():
            if leaf in columns.use:
                raise fault
        if ("case", "stranger") in claims.proved:
            return Appended(-1, "unproved")
        hits = tuple(at for at, mark in enumerate(claims.marks or []) if mark == b"honey")
        if hits:
            return Appended(-1, "honey", hits)
        first = len(self.leaves)
        self.leaves += columns.use
        return Appended(first)


FAULTS: dict[bytes, BaseException] = {
    b"tampered": TamperedError("log_edge_wrong", "wrong"),
    b"away": OutOfReachError("database_away", "away"),
    b"stop": KeyboardInterrupt(),
}


def part(*leaves: bytes) -> LeafColumns:
    some: list[bytes] = list(leaves)
    return LeafColumns(some, some, some, [None for _ in some], [None for _ in some], some, [NOW for _ in some])


def together(parts: Sequence[tuple[LeafColumns, Claims]]) -> tuple[Table, list[Future[Appended]]]:
    """Bring a first part, and all others while the table is busy with it; in this order."""
    table = Table()
    log = Together(table.append)
    pool = ThreadPoolExecutor(len(parts) + 1)
    running = [pool.submit(log.append, part(b"first"), Claims())]
    assert table.entered.wait(10)
    for number, one in enumerate(parts, start=1):
        running.append(pool.submit(log.append, *one))
        until(lambda wanted=number: len(log._waiting) == wanted)  # type: ignore[misc]  # bound now
    table.open.set()
    pool.shutdown()
    return table, running[1:]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_those_who_wait_go_in_one_commit_and_each_is_told_its_place() -> None:
    table, answers = together([(part(b"a"), Claims()), (part(b"b", b"c"), Claims()), (part(b"d"), Claims())])

    assert table.batches == [1, 4]
    assert [answer.result().first for answer in answers] == [1, 2, 4]
    assert table.leaves == [b"first", b"a", b"b", b"c", b"d"]


def test_who_is_refused_is_refused_alone() -> None:
    stranger = Claims({("case", "stranger")})
    table, answers = together([(part(b"a"), Claims()), (part(b"b"), stranger), (part(b"c"), Claims())])

    assert [(answer.result().first, answer.result().why) for answer in answers] == [
        (1, None),
        (-1, "unproved"),
        (2, None),
    ]
    assert table.leaves == [b"first", b"a", b"c"]


def test_a_honey_record_is_told_to_who_looked_at_it_by_her_own_position() -> None:
    looks = [(part(b"a", b"b"), Claims(marks=[b"x", b"y"])), (part(b"c", b"d"), Claims(marks=[b"z", b"honey"]))]

    table, answers = together(looks)

    assert answers[0].result() == Appended(1)
    assert answers[1].result() == Appended(-1, "honey", (1,))
    assert table.leaves == [b"first", b"a", b"b"]


def test_who_knows_of_honey_records_does_not_go_with_who_does_not() -> None:
    table, answers = together([(part(b"a"), Claims()), (part(b"b"), Claims(marks=[b"x"])), (part(b"c"), Claims())])

    assert table.batches == [1, 1, 1, 1]
    assert [answer.result().first for answer in answers] == [1, 2, 3]


def test_an_error_is_raised_to_who_made_it() -> None:
    _, answers = together([(part(b"a"), Claims()), (part(b"tampered"), Claims()), (part(b"c"), Claims())])

    with pytest.raises(TamperedError):
        answers[1].result()
    assert [answers[0].result().first, answers[2].result().first] == [1, 2]


def test_out_of_reach_nobody_is_tried_again_because_all_may_be_done() -> None:
    table, answers = together([(part(b"a"), Claims()), (part(b"away"), Claims()), (part(b"c"), Claims())])

    for answer in answers:
        with pytest.raises(OutOfReachError):
            answer.result()
    assert table.batches == [1, 3]


def test_a_thread_that_is_told_to_stop_leaves_nobody_waiting() -> None:
    _, answers = together([(part(b"a"), Claims()), (part(b"stop"), Claims()), (part(b"c"), Claims())])

    told = []
    for answer in answers:
        with suppress(BaseException):
            answer.result(timeout=10)
        told.append(type(answer.exception(timeout=10)))
    assert sorted(kind.__name__ for kind in told) == ["KeyboardInterrupt", "OutOfReachError", "OutOfReachError"]


def test_one_told_to_stop_while_parts_are_tried_alone_leaves_nobody_waiting() -> None:
    table, answers = together([(part(b"tampered"), Claims()), (part(b"stop"), Claims()), (part(b"c"), Claims())])

    told = [type(answer.exception(timeout=10)).__name__ for answer in answers]

    assert told == ["KeyboardInterrupt", "OutOfReachError", "OutOfReachError"]  # the first part's thread leads
    assert table.leaves == [b"first"]


def test_whoever_is_told_to_stop_while_waiting_takes_the_part_back() -> None:
    class ToldError(Exception):
        pass

    def told(_number: int, _frame: object) -> None:
        raise ToldError

    table = Table()
    log = Together(table.append)
    before = signal.signal(signal.SIGUSR1, told)
    try:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(log.append, part(b"first"), Claims())
            assert table.entered.wait(10)
            pool.submit(tell, log, threading.main_thread().ident)
            with pytest.raises(ToldError):
                log.append(part(b"mine"), Claims())
            table.open.set()
            assert first.result(timeout=10) == Appended(0)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert log.append(part(b"next"), Claims()) == Appended(1)
    assert table.leaves == [b"first", b"next"]


def tell(log: Together, thread: int | None) -> None:
    assert thread is not None
    until(lambda: len(log._waiting) == 1)
    signal.pthread_kill(thread, signal.SIGUSR1)


def test_large_parts_are_not_heaped_up() -> None:
    many = part(*[b"x"] * 900)

    table, answers = together([(many, Claims()), (many, Claims()), (part(b"y"), Claims())])

    assert table.batches == [1, 900, 901]
    assert [answer.result().first for answer in answers] == [1, 901, 1801]


def test_hundreds_from_eight_threads_each_get_their_own_place() -> None:
    table = Table()
    table.open.set()
    log = Together(table.append)

    def bring(number: int) -> list[tuple[int, bytes]]:
        names = [b"%d-%d" % (number, turn) for turn in range(200)]
        return [(log.append(part(name), Claims()).first, name) for name in names]

    with ThreadPoolExecutor(8) as pool:
        told = [pair for some in pool.map(bring, range(8)) for pair in some]

    assert sorted(told) == list(enumerate(table.leaves))
    assert len(table.leaves) == 1600
