"""Makes rows of what was measured: speed and CPU of each step, of the whole road, and what Airflow adds."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from bench.meter import Cost, Laps
from bench.road import ROAD, Road
from bench.rows import Row
from bench.withairflow import Watched

_PEERS = {
    "receive-mail": "gpg --decrypt",
    "collect": "typst.compile",
    "seal": "gpg -z0 --encrypt",
}
_SPEED, _CPU = "cases/s", "CPU-s/case"


def step_rows(road: Road) -> list[Row]:
    """Give three rows a step: cases per second, CPU per case of our processes, and of the servers."""
    return [row for name, laps in road.laps.items() for row in _step(name, laps, road.theirs.get(name))]


def _step(name: str, laps: Laps, theirs: list[Cost] | None) -> list[Row]:
    speed = Row(f"{name}/speed", laps.speed, _SPEED, note=f"{laps.total} cases, median of {len(laps.costs)} batches")
    cpu = Row(f"{name}/cpu", laps.own_each, _CPU, note="our processes and their children")
    note = "PostgreSQL, objects, mailbox, keys, mail sink"
    servers = Row(f"{name}/servers-cpu", laps.beside_each, _CPU, note=note)
    if not theirs:
        return [speed, cpu, servers]
    ours, peer = laps.first(len(theirs)), Laps(theirs, laps.cases[: len(theirs)])
    ratio = _median_ratio(ours.speeds, peer.speeds)
    return [
        _beside(speed, _PEERS[name], peer.speed, ratio, peer.total),
        _beside(cpu, _PEERS[name], peer.own_each, ours.own_each / peer.own_each, peer.total),
        servers,
    ]


def _beside(row: Row, peer: str, value: float, ratio: float, cases: int) -> Row:
    note = f"{row.note}; the peer did the first {cases} cases, the ratio is over these"
    return replace(row, peer=peer, peer_value=value, ratio=ratio, note=note)


def _median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _whole(road: Road) -> tuple[float, float, int]:
    """Return wall seconds, CPU-seconds and cases of the road."""
    steps = [road.laps[name] for name in ROAD]
    cases = steps[0].total
    return sum(laps.wall for laps in steps), sum(cost.cpu for laps in steps for cost in laps.costs), cases


def road_rows(road: Road) -> list[Row]:
    """Give the whole road without Airflow."""
    wall, cpu, cases = _whole(road)
    return [
        Row("road/speed", cases / wall, _SPEED, note=f"{cases} cases by mail, one process, one step after the other"),
        Row("road/cpu", cpu / cases, _CPU, note="servers included"),
    ]


def airflow_rows(road: Road, seen: Watched) -> list[Row]:
    """Give the same road with Airflow, held against the one without in the same run."""
    wall, cpu, cases = _whole(road)
    spent = seen.deciding + sum(seen.road.servers.values())
    until_closed = spent + sum(seen.closing.servers.values())
    idle = seen.idle.servers.get("airflow", 0.0) / seen.idle.wall
    tasks = sum(seen.tasks.values())
    without = "the road without Airflow"
    speed = cases / seen.road.wall
    return [
        Row("airflow-road/speed", speed, _SPEED, without, cases / wall, speed * wall / cases, f"{cases} cases by mail"),
        Row("airflow-road/cpu", spent / cases, _CPU, without, cpu / cases, spent / cpu, "until all are answered"),
        Row("airflow-road/cpu-closed", until_closed / cases, _CPU, note="until the last human task is closed"),
        Row("airflow-road/closing", seen.closing.wall, "s", note="from the last answer to the last closed task"),
        Row("airflow/wall-share", _share(seen.road.wall, wall), "1", note="of the wall time; 0 where it saves time"),
        Row("airflow/cpu-share", _share(spent, cpu), "1", note="of the CPU until all are answered"),
        Row("airflow/cpu-share-closed", _share(until_closed, cpu), "1", note="of the CPU until all is closed"),
        Row("airflow/idle", idle, "cores", note="four parts without work; contained in the above"),
        Row("airflow/tasks", tasks / cases, "tasks/case", note=", ".join(f"{n} {d}" for d, n in seen.tasks.items())),
    ]


def _share(all_of_it: float, without: float) -> float:
    return max(0.0, 1 - without / all_of_it)
