"""How fast one core seals: a stream of 1 GiB and many short fields, beside the bare tools in the same run."""

import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from cryptography.cobblestone import Cobblestone256Encryptor

from bench.meter import most_memory, peers_python
from bench.rows import Row
from vault.crypto.envelope import PIECE, Context, new_key, seal, seal_stream
from vault.errors import OutOfReachError

MIB = 1 << 20
STREAM = 1024  # MiB
FIELDS, FIELD_BYTES = 100_000, 200
_ROUNDS = 3
_PLACE = Context("case", "DSR-2026-7K3QXM", "original", "case:DSR-2026-7K3QXM", 1)
_ONE_BUFFER, _FIELDS = "one-buffer", "fields"  # what a child is told to seal, unless it is a file
_ONE_CORE = ("taskset", "-c", "0")


def sealing_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield each row as it is there.

    :raises OutOfReachError: a peer is not installed.
    """
    say(f"sealing {STREAM} MiB, {_ROUNDS} times, each peer beside it")
    yield from _stream_rows()
    say(f"sealing {FIELDS} fields, {_ROUNDS} times, each peer beside it")
    yield from _field_rows()


def _stream_rows() -> Iterator[Row]:
    with _source() as source, tempfile.TemporaryDirectory(prefix="dsr-bench-") as folder:
        file = str(source)
        peers = {
            "openssl speed": (_openssl, 0.8, _ONE_BUFFER),
            "gpg -z0": (_gpg(Path(folder), source), 4.0, file),
            "age": (_age(Path(folder), source), 1.5, file),
        }
        speeds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in peers}
        largest = 0.0
        for _ in range(_ROUNDS):
            for name, (peer, _, fed) in peers.items():
                told = json.loads(_told([sys.executable, "-m", "bench.sealing", fed]))
                speeds[name][0].append(told["speed"])
                speeds[name][1].append(peer())
                largest = max(largest, told["rss"])
    for name, (_, least, fed) in peers.items():
        fed_by = "from one buffer in memory, as openssl's" if fed == _ONE_BUFFER else "from a file in memory"
        ours, theirs = speeds[name]
        yield _held(f"seal-stream/{name.split()[0]}", ours, "MiB/s", (name, theirs), least, fed=f", {fed_by}")
    yield Row("seal-stream/memory", largest, "MiB", limit=64.0, at_most=True, note="largest resident size")


def _field_rows() -> Iterator[Row]:
    ours: list[float] = []
    theirs: dict[str, list[float]] = {"bare": [], "tink": [], "aws": []}
    for _ in range(_ROUNDS):
        told = json.loads(_told([sys.executable, "-m", "bench.sealing", _FIELDS]))
        ours.append(told["ours"])
        told |= json.loads(_told([peers_python(), "-W", "ignore", _script(), str(FIELDS), str(FIELD_BYTES)]))
        for name, speeds in theirs.items():
            speeds.append(told[name])
    note = f"{FIELDS} fields of {FIELD_BYTES} bytes, one core"
    yield Row("seal-fields/speed", statistics.median(ours), "fields/s", limit=100_000.0, note=note)
    yield _held("seal-fields/bare", ours, "fields/s", ("Cobblestone alone", theirs["bare"]), None)
    yield _held("seal-fields/tink", ours, "fields/s", ("tink AES256_GCM", theirs["tink"]), None)
    yield _held("seal-fields/aws", ours, "fields/s", ("aws-encryption-sdk", theirs["aws"]), None)


def _held(
    name: str,
    ours: Sequence[float],
    unit: str,
    peer: tuple[str, Sequence[float]],
    least: float | None,
    *,
    fed: str = "",
) -> Row:
    ratio = statistics.median(mine / other for mine, other in zip(ours, peer[1], strict=True))
    return Row(
        name,
        statistics.median(ours),
        unit,
        peer[0],
        statistics.median(peer[1]),
        ratio,
        limit=least,
        note=f"median of {len(ours)}, one core{fed}",
    )


@contextmanager
def _source() -> Iterator[Path]:
    """Lay the bytes on memory, so that no disk is measured."""
    with tempfile.NamedTemporaryFile(prefix="dsr-bench-", dir="/dev/shm") as file:
        piece = new_key() * (MIB // 32)
        for _ in range(STREAM):
            file.write(piece)
        file.flush()
        yield Path(file.name)


def _openssl() -> float:
    told = _told(["openssl", "speed", "-mr", "-seconds", "2", "-bytes", str(PIECE), "-evp", "aes-256-gcm"])
    found = re.search(r"\+F:\d+:[\w-]+:([\d.]+)", told)
    if found is None:
        raise OutOfReachError("bench_peer", "openssl speed says something unknown; use OpenSSL 3")
    return float(found[1]) / MIB


def _gpg(folder: Path, source: Path) -> Callable[[], float]:
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--trust-model", "always"]
    make = ["--passphrase", "", "--pinentry-mode", "loopback", "--quick-generate-key", "bench", "rsa2048", "encr"]
    subprocess.run([*base, *make], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    command = [*base, "--no-autostart", "-z0", "--cipher-algo", "AES256", "-r", "bench", "-o", "-", "--encrypt"]
    return lambda: _timed([*command, str(source)])


def _age(folder: Path, source: Path) -> Callable[[], float]:
    try:
        made = subprocess.run(["age-keygen", "-o", str(folder / "age.key")], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise OutOfReachError("bench_peer", "age is not installed: apt-get install age") from None
    public = made.stderr.rpartition(" ")[2].strip()
    return lambda: _timed(["age", "-r", public, str(source)])


def _timed(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([*_ONE_CORE, *command], check=True, stdout=subprocess.DEVNULL)
    return STREAM / (time.perf_counter() - begun)


def _told(command: Sequence[str]) -> str:
    done = subprocess.run([*_ONE_CORE, *command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode()


def _script() -> str:
    return str(Path(__file__).with_name("fieldpeers.py"))


class _OneBuffer(io.RawIOBase):
    """A stream of one buffer again and again, so that nothing but sealing is measured."""

    def __init__(self) -> None:
        self._left = STREAM * MIB // PIECE
        self._piece = new_key() * (PIECE // 32)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the buffer itself."""
        self._left -= 1
        return self._piece if self._left >= 0 and size == PIECE else b""


def _seal_stream(source: BinaryIO) -> None:
    key = new_key()
    with Path("/dev/null").open("wb", buffering=0) as sink:
        begun = time.perf_counter()
        size = seal_stream(key, _PLACE, source, sink)
        speed = size / MIB / (time.perf_counter() - begun)
    print(json.dumps({"speed": speed, "rss": most_memory()}))


def _seal_fields() -> None:
    key, field = new_key(), new_key() * 6 + bytes(8)
    begun = time.perf_counter()
    for number in range(FIELDS):
        seal(key, Context("records", f"R-{number}", "body", "P-1", 1), field)
    between = time.perf_counter()
    for number in range(FIELDS):
        bare = Cobblestone256Encryptor(key, b"records|R-%d|body|P-1|1" % number)
        bare.update(field) + bare.finalize()
    ended = time.perf_counter()
    print(json.dumps({"ours": FIELDS / (between - begun), "bare": FIELDS / (ended - between)}))


if __name__ == "__main__":
    if sys.argv[1] == _FIELDS:
        _seal_fields()
    elif sys.argv[1] == _ONE_BUFFER:
        _seal_stream(cast("BinaryIO", _OneBuffer()))
    else:
        with Path(sys.argv[1]).open("rb", buffering=0) as opened:
            _seal_stream(opened)
