"""What work costs: wall time, our own CPU with that of every child that ended, and the CPU of the servers beside us.

Servers are found by the pid files of the installation, and their children by the kernel's
process table. What a process started and left to init (gpg's agent) is not counted.
"""

import os
import resource
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import OutOfReachError
from vault.testing.processes import read_pid

_PEERS = Path(__file__).parents[1] / "build" / "peers" / "bin" / "python"
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _FIRST_TIME, _TIMES = 1, 11, 4  # fields of /proc/PID/stat after the name: ppid; utime stime cutime cstime


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took.

    :param wall: seconds.
    :param own: CPU-seconds of this process and its ended children.
    :param servers: CPU-seconds by server: ``postgres``, ``objects``, ``mailbox``, ``keys``, ``smtp``, ``airflow``.
    """

    wall: float
    own: float
    servers: dict[str, float] = field(default_factory=dict)

    @property
    def beside(self) -> float:
        """CPU-seconds of all servers but Airflow."""
        return sum(seconds for name, seconds in self.servers.items() if name != "airflow")

    @property
    def cpu(self) -> float:
        """All CPU-seconds together."""
        return self.own + sum(self.servers.values())


@dataclass(slots=True)
class Laps:
    """The costs of one step, batch by batch.

    :param cases: how many cases each batch moved.
    """

    costs: list[Cost] = field(default_factory=list)
    cases: list[int] = field(default_factory=list)

    def add(self, cost: Cost, cases: int) -> None:
        """Count a batch."""
        self.costs.append(cost)
        self.cases.append(cases)

    @property
    def total(self) -> int:
        """All cases."""
        return sum(self.cases)

    @property
    def wall(self) -> float:
        """Seconds of all batches together."""
        return sum(cost.wall for cost in self.costs)

    def first(self, batches: int) -> "Laps":
        """Return the first batches alone."""
        return Laps(self.costs[:batches], self.cases[:batches])

    @property
    def speeds(self) -> list[float]:
        """Cases per second of each batch."""
        return [cases / cost.wall for cases, cost in zip(self.cases, self.costs, strict=True)]

    @property
    def speed(self) -> float:
        """Cases per second, the median of the batches."""
        return statistics.median(self.speeds)

    @property
    def own_each(self) -> float:
        """CPU-seconds per case, children included."""
        return sum(cost.own for cost in self.costs) / self.total

    @property
    def beside_each(self) -> float:
        """CPU-seconds per case of the servers."""
        return sum(cost.beside for cost in self.costs) / self.total


class Meter:
    """Measures blocks of work.

    :param home: the installation whose servers count; None for none.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._home = home

    @contextmanager
    def lap(self, costs: list[Cost]) -> Iterator[None]:
        """Append what the block costs."""
        servers = self.servers()
        own, begun = own_seconds(), time.perf_counter()
        yield
        wall, spent = time.perf_counter() - begun, own_seconds() - own
        after = self.servers()
        beside = {name: max(0.0, seconds - servers.get(name, 0.0)) for name, seconds in after.items()}
        costs.append(Cost(wall, spent, beside))

    def servers(self) -> dict[str, float]:
        """Return the CPU-seconds that each server and its children have used since they started."""
        if self._home is None:
            return {}
        children, seconds = _process_table()
        used: dict[str, float] = {}
        for path in self._home.rglob("*.pid"):
            running = read_pid(path)
            if running is not None:
                name = path.relative_to(self._home).parts[0].removesuffix(".pid")
                used[name] = used.get(name, 0.0) + sum(seconds[pid] for pid in _family(running.pid, children))
        return used


def peers_python() -> str:
    """Give the Python of the environment that alone has the peers' libraries.

    :raises OutOfReachError: it is not installed.
    """
    if not _PEERS.exists():
        raise OutOfReachError("bench_peer", "the peers are not installed; run make bench")
    return str(_PEERS)


def most_memory(pid: int | str = "self") -> float:
    """Return the largest resident size that a process has had, in MiB; 0 when it is gone.

    Not ``ru_maxrss``, which begins with what the parent held when it forked.
    """
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return 0.0


def own_seconds() -> float:
    """Return the CPU-seconds of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _process_table() -> tuple[dict[int, list[int]], dict[int, float]]:
    """Read which process is whose child, and what each has used, its ended children included."""
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # the command's name stands in brackets and may hold spaces and brackets itself
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(path.parent.name)
            children.setdefault(int(fields[_PARENT]), []).append(pid)
            seconds[pid] = sum(int(ticks) for ticks in fields[_FIRST_TIME : _FIRST_TIME + _TIMES]) / _TICKS
    return children, seconds


def _family(pid: int, children: dict[int, list[int]]) -> Iterable[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _family(child, children)
