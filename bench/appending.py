"""What appending to the access log costs: receipts a second by eight writers, one by one and a hundred at once."""

import json
import multiprocessing
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.house import House, house, on_disk
from bench.meter import most_memory, peers_python
from bench.rows import Row
from vault.accesslog.entries import Access
from vault.domain.roles import OfficeName, Purpose

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

WRITERS, BATCH = 8, 100
SINGLES, TOGETHER = 500, 10_000  # receipts a writer and round
FAR = 1_000_000  # entries until which memory must stay flat
_ROUNDS = 3
_SUBJECTS = 2_000
_EARLY = 20  # batches after which this process has what it needs
_PEER_ENTRIES, _PEER_BYTES = 2_000, 250
_LONGEST = 300.0  # seconds that a writer may take
_UNIT = "receipts/s"


@dataclass(frozen=True, slots=True)
class _Work:
    """What one writer does: so many batches of a size."""

    batches: int
    size: int


def appending_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises VaultError: a server or peer is missing.
    """
    with house() as made:
        _warm(made)
        single, apart, together = [], [], []
        peer: dict[str, list[float]] = {"single": [], "batches": []}
        for turn in range(_ROUNDS):
            say(f"{WRITERS} writers append, round {turn + 1} of {_ROUNDS}")
            single.append(_threads(made))
            apart.append(_rate(made, _Work(SINGLES, 1)))
            together.append(_rate(made, _Work(TOGETHER // BATCH, BATCH)))
            for name, speed in _peer().items():
                peer[name].append(speed)
        yield _row("append/single", single, peer["single"], 2_000)
        apart_note = f"{WRITERS} processes, a durable commit each: they share no commit"
        yield Row("append/processes", statistics.median(apart), _UNIT, note=apart_note)
        yield _row("append/batches", together, peer["batches"], 20_000)
        for name, ours in (("single", single), ("batches", together)):
            ratio = statistics.median(one / other for one, other in zip(ours, peer[name], strict=True))
            theirs = statistics.median(peer[name])
            note = f"both durable; theirs one writer, unsealed, {_PEER_BYTES} bytes"
            yield Row(f"append/{name}-pymerkle", statistics.median(ours), _UNIT, "pymerkle", theirs, ratio, note=note)
        say(f"on to {FAR} entries")
        early, late = _far(made)
        yield Row(
            "append/memory", late - early, "MiB", limit=8.0, at_most=True, note=f"{early:.0f} MiB resident before"
        )


def _row(name: str, ours: list[float], peer: list[float], limit: float) -> Row:
    how = f"processes, batches of {BATCH}" if "batches" in name else "threads, one by one, each durable when told"
    note = f"{WRITERS} {how}, sealed; pymerkle takes {statistics.median(peer):.0f}"
    return Row(name, statistics.median(ours), _UNIT, limit=limit, note=note)


def _rate(made: House, work: _Work) -> float:
    """Let the writers, each a process of its own, go at once; give receipts a second of them all."""
    gates = [multiprocessing.get_context("fork").Barrier(WRITERS + 1) for _ in range(2)]
    writers = [
        multiprocessing.get_context("fork").Process(target=_write, args=(made, work, gates, number))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    gates[0].wait(_LONGEST)
    begun = time.perf_counter()
    gates[1].wait(_LONGEST)  # the last receipt is there; that a process also has to end is no part of it
    taken = time.perf_counter() - begun
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        raise RuntimeError("a writer failed")
    return WRITERS * work.batches * work.size / taken


def _threads(made: House) -> float:
    """Let as many threads of one process, such as the desk's, append one by one; give receipts a second of them all."""
    log = made.office(OfficeName.COLLECTOR).log
    log.record([_look(subject) for subject in range(_SUBJECTS)])
    looks = [[_look(number * SINGLES + turn) for turn in range(SINGLES)] for number in range(WRITERS)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(lambda mine: [log.record([look]) for look in mine], some) for some in looks]:
            done.result()
    return WRITERS * SINGLES / (time.perf_counter() - begun)


def _write(made: House, work: _Work, gates: Sequence["Barrier"], number: int) -> None:
    office = made.office(OfficeName.COLLECTOR)
    office.log.record([_look(subject) for subject in range(_SUBJECTS)])  # opens this process's keys and plans
    batches = [
        [_look(number * work.batches + batch + one) for one in range(work.size)] for batch in range(work.batches)
    ]
    gates[0].wait(_LONGEST)
    for batch in batches:
        office.log.record(batch)
    gates[1].wait(_LONGEST)


def _far(made: House) -> tuple[float, float]:
    """Append and spend in this process until the log is long; give its resident size early and late, in MiB."""
    log, batch = made.office(OfficeName.COLLECTOR).log, [_look(one) for one in range(10 * BATCH)]
    early, turn, index = 0.0, 0, 0
    while index < FAR:
        for receipt in log.record(batch):
            log.spend(receipt, case=receipt.case, subject=receipt.subject, kinds=receipt.kinds)
        turn, index = turn + 1, receipt.index
        early = most_memory() if turn == _EARLY else early
    return early, most_memory()


def _warm(made: House) -> None:
    made.office(OfficeName.COLLECTOR).log.record([_look(subject) for subject in range(_SUBJECTS)])


def _look(subject: int) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:collector",
        actor_name="collector",
        role="office",
        purpose=Purpose.IDENTIFY,
        legal_ground="GDPR Article 15",
        case="DSR-2026-7K3QXM",
        subject=f"P-{subject % _SUBJECTS:07d}",
        kinds=("identity",),
    )


def _peer() -> dict[str, float]:
    with on_disk() as folder:
        script = Path(__file__).with_name("appendpeer.py")
        command = [peers_python(), str(script), str(folder), str(_PEER_ENTRIES), str(_PEER_BYTES)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))
