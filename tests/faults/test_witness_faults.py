"""A witness killed at, or failed by, each system call that writes its state never signs two roots of one size."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from vault.accesslog.cosign import verify_cosignature
from vault.accesslog.merkle import leaf_hash
from vault.accesslog.notes import parse_note, render_vkeys
from vault.accesslog.witness.keys import WitnessPlace, init
from vault.accesslog.witness.protocol import AddCheckpoint, Head, render_request
from vault.testing.accesslog import copy_to
from vault.testing.witness import NAME, SignedLog, days_of_looks, witness_of

LEAVES = days_of_looks(days=2, looks=170, subjects=9)
SIZES = (0, 171, len(LEAVES))
CALLS = "pwrite64,fdatasync,fsync,unlink,rename,link"
FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
SAMPLE = 3  # of about forty
CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from vault.accesslog.sources import DirectorySource
from vault.accesslog.witness.keys import WitnessPlace
from vault.accesslog.witness.service import WitnessService
from vault.errors import VaultError

place, published = WitnessPlace(Path(sys.argv[1])), DirectorySource(Path(sys.argv[2]))
state, signer = place.open()
service = WitnessService(state, signer, place.log_keys(), published, lambda: datetime.now(UTC), 60.0)
for name in sys.argv[3:]:
    try:
        reply = service.add_checkpoint(Path(name).read_bytes())
    except VaultError as error:
        print(name, 503, error.code, flush=True)
        continue
    Path(name + ".reply").write_bytes(reply.body)
    print(name, int(reply.status), flush=True)
"""
INIT = """
import sys
from pathlib import Path
from vault.accesslog.witness.keys import init
init(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text())
"""


class House:
    """A published log, its requests in files, and a witness that was made but never asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, SignedLog(LEAVES)
        pairs = list(itertools.pairwise(SIZES))
        self.requests = [root / f"request-{size}" for _, size in pairs]
        for path, (old, size) in zip(self.requests, pairs, strict=True):
            path.write_bytes(self.log.request(old, size))
        self.published = copy_to(self.log.shelf, root / "published")
        self.keys = root / "log.vkey"
        self.keys.write_text(render_vkeys([self.log.key]))
        init(root / "fresh", NAME, self.keys.read_text())

    def witness(self, name: str) -> Path:
        for path in self.root.glob("*.reply"):
            path.unlink()
        return Path(shutil.copytree(self.root / "fresh", self.root / name))

    def run(self, directory: Path, *strace: str) -> subprocess.CompletedProcess[str]:
        words = [str(directory), str(self.published), *map(str, self.requests)]
        return traced(CHILD, words, self.root / f"{directory.name}.trace", *strace)


def traced(program: str, words: list[str], trace: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", "-o", str(trace), f"--trace={CALLS}", *strace]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, sys.executable, "-c", program, *words],
        capture_output=True, text=True, timeout=120, check=False, env=environment,
    )  # fmt: skip


def counted(trace: Path) -> list[str]:
    """List the calls of a run, each as its name and its number among those of that name."""
    seen: dict[str, int] = {}
    found = []
    for name in re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE):
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name}:{seen[name]}")
    return found


def chosen(calls: list[str]) -> list[str]:
    return calls if FUZZ else calls[len(calls) // (2 * SAMPLE) :: len(calls) // SAMPLE]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("witness"))


@pytest.fixture(scope="module")
def calls(house: House) -> list[str]:
    directory = house.witness("counting")
    ended = house.run(directory)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split()[1::2] == ["200", "200"]
    found = counted(house.root / "counting.trace")
    assert {call.split(":")[0] for call in found} >= {"pwrite64", "fdatasync", "unlink"}
    return found


def check_goes_on(house: House, directory: Path) -> None:
    """Whatever left the witness stays true: no fork of it is cosigned, and the honest log is."""
    witness = witness_of(house.log, directory)
    with witness.state.change() as memory:
        head = memory.remembered().head
    assert head in [Head(size, house.log.root(size)) for size in SIZES]
    for path, size in zip(house.requests, SIZES[1:], strict=True):
        reply = path.with_name(f"{path.name}.reply")
        if reply.exists() and reply.read_bytes().startswith("\u2014".encode()):
            verify_cosignature(parse_note(house.log.note(size) + reply.read_bytes()), witness.signer.key)
            assert head.size >= size, "a signature left before its tree was remembered"
    if head.size:
        fork = render_request(AddCheckpoint(head.size, (), house.log.note(head.size, leaf_hash(b"fork"))))
        assert witness.add_checkpoint(fork).status == HTTPStatus.CONFLICT
    for size in SIZES[SIZES.index(head.size) :]:
        with witness.state.change() as memory:
            old = memory.remembered().head.size
        assert witness.add_checkpoint(house.log.request(old, size)).status == HTTPStatus.OK


def test_killed_at_any_call_it_goes_on(house: House, calls: list[str]) -> None:
    for call in chosen(calls):
        name, number = call.split(":")
        directory = house.witness(f"kill-{name}-{number}")
        ended = house.run(directory, f"--inject={name}:signal=KILL:when={number}")
        assert ended.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, (call, ended.stderr)
        check_goes_on(house, directory)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"] if FUZZ else ["EIO"])
def test_a_disk_that_fails_at_any_call_gets_no_signature(house: House, calls: list[str], error: str) -> None:
    for call in chosen([call for call in calls if call.split(":")[0] in {"pwrite64", "fdatasync"}]):
        name, number = call.split(":")
        directory = house.witness(f"{error}-{name}-{number}")
        ended = house.run(directory, f"--inject={name}:error={error}:when={number}")
        assert ended.returncode == 0, (call, ended.stderr)
        check_goes_on(house, directory)


def test_an_init_killed_at_any_call_is_finished_by_the_next(house: House) -> None:
    def made(name: str, *strace: str) -> tuple[Path, int]:
        directory = house.root / name
        ended = traced(INIT, [str(directory), NAME, str(house.keys)], house.root / f"{name}.trace", *strace)
        return directory, ended.returncode

    assert made("init")[1] == 0
    for call in chosen(counted(house.root / "init.trace")):
        name, number = call.split(":")
        directory, status = made(f"init-{name}-{number}", f"--inject={name}:signal=KILL:when={number}")
        assert status in {-signal.SIGKILL, 128 + signal.SIGKILL}, call
        init(directory, NAME, house.keys.read_text())
        assert WitnessPlace(directory).open()[1].name == NAME
        assert sorted(path.name for path in directory.iterdir()) == [
            *("log.vkey", "witness.key", "witness.sqlite", "witness.vkey")
        ]
