"""The key daemon killed, cut off from its disk, or gone: no key without an audit line, and nothing lost."""

import contextlib
import json
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.local import LocalKeyService
from vault.errors import OutOfReachError
from vault.testing.keyservice import ORIGIN, RunningKeyService, launch_key_service, start_key_service
from vault.testing.places import private_directory
from vault.testing.processes import stop

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    init(directory, ORIGIN)
    return directory


@pytest.fixture
def files(made: Path, tmp_path: Path) -> KeyDirectory:
    shutil.copytree(made, tmp_path / "k")
    return KeyDirectory(tmp_path / "k")


@pytest.fixture
def nest() -> Iterator[Path]:
    directory = private_directory("dsrk-")
    yield directory
    for left in directory.iterdir():
        left.unlink()
    directory.rmdir()


@contextlib.contextmanager
def launched(files: KeyDirectory, socket: Path) -> Iterator[RunningKeyService]:
    daemon = launch_key_service(files, socket)
    try:
        yield daemon
    finally:
        stop(daemon.process)


def whole_lines(path: Path) -> list[dict[str, str]]:
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def test_client_finds_a_killed_daemon_that_came_back(files: KeyDirectory, nest: Path) -> None:
    with launched(files, nest / "s") as first:
        registry = first.client("registry")
        wrapped = registry.wrap("record", "S-1", KEY)
        stop(first.process, first=signal.SIGKILL)
        with pytest.raises(OutOfReachError, match="key_service_away"):
            registry.unwrap("record", "S-1", wrapped)
    assert (nest / "s").is_socket()  # left behind

    with launched(files, nest / "s"):
        assert registry.unwrap("record", "S-1", wrapped) == KEY


def test_every_answer_before_a_kill_has_its_line(files: KeyDirectory, nest: Path) -> None:
    answers: list[int] = []

    def use(client: LocalKeyService, wrapped: bytes) -> None:
        with contextlib.suppress(OutOfReachError):
            while True:
                client.unwrap("record", "S-1", wrapped)
                answers.append(1)

    with launched(files, nest / "s") as daemon:
        wrapped = daemon.client("registry").wrap("record", "S-1", KEY)
        threads = [threading.Thread(target=use, args=(daemon.client("registry"), wrapped)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        os.kill(daemon.process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(timeout=20)

    lines = [line for line in whole_lines(files.audit_file) if (line["verb"], line["outcome"]) == ("unwrap", "granted")]
    assert 0 < len(answers) <= len(lines) <= len(answers) + len(threads)


def test_full_disk_refuses_every_key_until_there_is_room(files: KeyDirectory) -> None:
    with start_key_service(files.path) as daemon:
        registry = daemon.client("registry")
        wrapped = registry.wrap("record", "S-1", KEY)
        size = daemon.files.audit_file.stat().st_size
        full = (size + 40, resource.RLIM_INFINITY)  # room for a part of a line
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, full)
        for _ in range(3):
            with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
                registry.unwrap("record", "S-1", wrapped)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

        assert registry.unwrap("record", "S-1", wrapped) == KEY

        granted = [line for line in whole_lines(daemon.files.audit_file) if line["outcome"] == "granted"]
        assert [line["verb"] for line in granted] == ["start", "hello", "wrap", "hello", "unwrap"]


def test_removed_audit_refuses_every_key(files: KeyDirectory) -> None:
    with start_key_service(files.path) as daemon:
        registry = daemon.client("registry")
        wrapped = registry.wrap("record", "S-1", KEY)
        daemon.files.audit_file.unlink()

        with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
            registry.unwrap("record", "S-1", wrapped)


def test_stopped_daemon_is_out_of_reach_and_the_client_recovers(
    files: KeyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.crypto.local._ANSWER_SECONDS", 0.3)
    with start_key_service(files.path) as daemon:
        registry = daemon.client("registry")
        registry.public("case")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(OutOfReachError, match="key_service_away"):
                registry.public("print")
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)

        # the late answer to the first question must not be taken for this one's
        assert registry.public("desk") == daemon.client("desk").public("desk")
        assert registry.public("case") != registry.public("print")
