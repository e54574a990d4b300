"""What checking a whole published log costs: a year of a million entries, by both verifiers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.house import on_disk
from bench.meter import most_memory
from bench.rows import Row
from vault.accesslog import standalone
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Checkpoint, render_vkey
from vault.accesslog.publish import log_key, sign_checkpoint
from vault.accesslog.tiles import CHECKPOINT, TileWriter, history_name, render_bundle
from vault.errors import WrongUseError
from vault.testing.keyservice import memory_service
from vault.testing.manydays import looks, with_days

ENTRIES, SUBJECTS, DAYS = 1_000_000, 33_000, 365
_CHECKPOINTS = 100
_ORIGIN = "bench.example/access-log"
_MIB = "MiB"
_LOOK = 0.02  # seconds between two looks at a verifier's memory, which the kernel keeps the largest of
_DSR = "from vault.cli import main; main()"


def verifying_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises WrongUseError: a verifier did not find the log sound.
    """
    with on_disk() as disk, TemporaryDirectory(dir=disk) as place:
        folder = Path(place)
        say(f"writing a log of {ENTRIES} entries")
        vkey = _write(folder)
        say("checking it, with dsr log verify and with the file that stands alone")
        ours = _checked([sys.executable, "-c", _DSR, "log", "verify", str(folder), "--key", vkey])
        alone = _checked([sys.executable, "-I", standalone.__file__, str(folder), "--key", vkey])
    note = f"{ENTRIES} entries of {SUBJECTS} subjects, {DAYS} closed days all recomputed, {_CHECKPOINTS} checkpoints"
    note = f"{note}; {ours[2]:.0f} s of CPU"
    yield Row("verifying/log", ours[0], "s", limit=60.0, at_most=True, note=note)
    yield Row("verifying/memory", ours[1], _MIB, limit=300.0, at_most=True, note="the most at once, Python included")
    told = "the one file without our code, on the same log"
    yield Row("verifying/alone", alone[0], "s", note=f"{told}; {alone[2]:.0f} s of CPU")
    yield Row("verifying/alone-memory", alone[1], _MIB, note=told)


def _write(folder: Path) -> str:
    service = memory_service()

    def put(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    edge, writer = RightEdge(), TileWriter(put, lambda name, bundle: put(name, render_bundle(bundle)))
    for leaf in with_days(looks(ENTRIES, SUBJECTS), ENTRIES // DAYS):
        hashed = leaf_hash(leaf)
        edge.add(hashed)
        writer.add(leaf, hashed)
        if edge.size % (ENTRIES // _CHECKPOINTS) == 0:
            put(history_name(edge.size), sign_checkpoint(Checkpoint(_ORIGIN, edge.size, edge.root()), service))
    writer.finish()
    put(CHECKPOINT, sign_checkpoint(Checkpoint(_ORIGIN, edge.size, edge.root()), service))
    return render_vkey(log_key(service, _ORIGIN))


def _checked(command: Sequence[str]) -> tuple[float, float, float]:
    """Run a verifier; give its seconds, the most memory that it held, in MiB, and its CPU-seconds."""
    begun, most = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while not (ended := os.wait4(running.pid, os.WNOHANG))[0]:
            most = max(most, most_memory(running.pid))
            time.sleep(_LOOK)
        _, status, used = ended
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode != 0:
        raise WrongUseError("bench_log_wrong", "a verifier did not find the bench's own log sound; run make test")
    return time.perf_counter() - begun, most, used.ru_utime + used.ru_stime
