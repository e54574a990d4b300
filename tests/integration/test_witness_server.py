"""The witness over HTTP, asked by the publisher's own client and by the command line; strangers' bytes get a status."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from vault.accesslog.cosign import parse_witness_vkey, render_witness_vkey, verify_cosignature
from vault.accesslog.merkle import leaf_hash
from vault.accesslog.notes import open_checkpoint, parse_note, render_vkeys
from vault.accesslog.sources import DirectorySource
from vault.accesslog.verify import Wanted, verify_published
from vault.accesslog.witness.keys import WitnessPlace, init
from vault.accesslog.witness.protocol import LONGEST_REQUEST, SIZE_TYPE, AddCheckpoint, render_request
from vault.accesslog.witness_client import Collected, Witness, collect, open_witnesses
from vault.cli import main
from vault.settings import WitnessSettings
from vault.testing.accesslog import copy_to
from vault.testing.witness import NAME, SignedLog, days_of_looks

LEAVES = days_of_looks(days=2, looks=150, subjects=5)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[SignedLog, Path]:
    made, directory = SignedLog(LEAVES), tmp_path_factory.mktemp("published")
    made.publish(*range(1, len(LEAVES) + 1, 50), len(LEAVES))
    return made, copy_to(made.shelf, directory)


@contextmanager
def serving(directory: Path, published: Path) -> Iterator[str]:
    """Run ``dsr witness serve`` as a child; give its address."""
    command = [sys.executable, "-c", "from vault.cli import main; main()", "witness", "serve", str(directory)]
    with subprocess.Popen(
        [*command, "--log", str(published), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout
            yield f"http://127.0.0.1:{child.stdout.readline().split()[-1]}"
        finally:
            child.terminate()
            child.wait(30)


@contextmanager
def witnessing(log: tuple[SignedLog, Path], directory: Path) -> Iterator[Witness]:
    init(directory, NAME, render_vkeys([log[0].key]))
    with serving(directory, log[1]) as url:
        yield Witness(url, parse_witness_vkey(WitnessPlace(directory).vkey_file.read_text().strip()))


@pytest.fixture(scope="module")
def served(log: tuple[SignedLog, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with witnessing(log, tmp_path_factory.mktemp("witness")) as witness:
        yield witness


@pytest.fixture
def fresh(log: tuple[SignedLog, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with witnessing(log, tmp_path_factory.mktemp("fresh")) as witness:
        yield witness


def ask(log: SignedLog, size: int, *witnesses: Witness, note: bytes | None = None) -> Collected:
    return collect(log.note(size) if note is None else note, witnesses, log.prove)


def codes(collected: Collected) -> list[str]:
    return [outcome.code for outcome in collected.outcomes]


def test_a_log_is_cosigned_as_it_grows_and_whoever_checks_it_sees_that(
    log: tuple[SignedLog, Path], fresh: Witness, tmp_path: Path
) -> None:
    made, _ = log
    for size in (1, 51, 51, 251, len(LEAVES)):
        collected = ask(made, size, fresh)
        assert codes(collected) == ["cosigned"]
        assert open_checkpoint(collected.note, made.key).size == size
        assert verify_cosignature(parse_note(collected.note), fresh.key) == collected.outcomes[0].time

    copied = copy_to(made.shelf, tmp_path)
    wanted = Wanted(witnesses=(fresh.key,))
    assert not verify_published(DirectorySource(copied), made.key, wanted).ok
    (copied / "checkpoint").write_bytes(collected.note)
    assert verify_published(DirectorySource(copied), made.key, wanted).ok

    assert codes(ask(made, 51, fresh)) == ["witness_ahead"]
    forged = made.note(len(LEAVES), leaf_hash(b"fork"))
    assert codes(ask(made, len(LEAVES), fresh, note=forged)) == ["witness_differs"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff" * 1000, 400),
        (b"old 0\n\n", 400),
        (b"old 00\n\nx\n0\n\n", 400),
        (b"old 0\r\n\r\n", 400),
        (b"old 99999999999999999999\n\n", 400),
        (b"\n" * LONGEST_REQUEST, 400),
        (b"a" * (LONGEST_REQUEST + 1), 413),
    ],
    ids=["empty", "no-text", "no-note", "zeros", "carriage-returns", "huge-size", "newlines", "too-long"],
)
def test_strangers_bytes_get_a_status(served: Witness, body: bytes, status: int) -> None:
    assert httpx.post(f"{served.url}/add-checkpoint", content=body).status_code == status


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/add-checkpoint", 405), ("POST", "/", 404)])
def test_there_is_nothing_else_to_ask(served: Witness, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, served.url + path)

    assert answer.status_code == status
    assert "server" not in answer.headers


def test_a_conflict_has_the_type_of_the_protocol(log: tuple[SignedLog, Path], served: Witness) -> None:
    ask(log[0], 1, served)
    body = render_request(AddCheckpoint(7, (), log[0].note(51)))

    answer = httpx.post(f"{served.url}/add-checkpoint", content=body)

    assert (answer.status_code, answer.headers["content-type"]) == (HTTPStatus.CONFLICT, SIZE_TYPE)
    assert answer.text.endswith("\n")


def test_a_body_that_stops_halfway_holds_nobody_up(log: tuple[SignedLog, Path], served: Witness) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stuck:
        stuck.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 1000\r\n\r\nold 0")
        assert codes(ask(log[0], len(LEAVES), served)) == ["cosigned"]


def test_the_command_line_tells_the_same(log: tuple[SignedLog, Path], tmp_path: Path) -> None:
    made, published = log
    keys, directory = tmp_path / "log.vkey", tmp_path / "w"
    keys.write_text(render_vkeys([made.key]))

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        result = CliRunner().invoke(main, ["witness", *words, "--json"])
        return result.exit_code, json.loads(result.output)

    status, made_now = run("init", str(directory), "--name", NAME, "--log-keys", str(keys))
    assert (status, len(made_now["made"])) == (0, 4)
    assert run("init", str(directory), "--name", NAME, "--log-keys", str(keys))[1]["made"] == []
    assert run("init", str(directory), "--name", "other.example", "--log-keys", str(keys))[0] == 2
    with serving(directory, published) as url:
        settings = [WitnessSettings(url=url, vkey_file=directory / "witness.vkey")]
        [witness] = open_witnesses(settings)
        assert render_witness_vkey(witness.key) == made_now["vkey"]
        assert codes(ask(made, len(LEAVES), witness)) == ["cosigned"]
        assert run("check", str(directory), "--log", str(published))[0] == 0
        assert codes(ask(made, len(LEAVES), witness, note=made.note(len(LEAVES), bytes(32)))) == ["witness_differs"]
    status, told = run("status", str(directory))
    assert (status, told["size"], told["closed_day"]) == (1, len(LEAVES), "2026-11-02")
    assert [one["code"] for one in told["refused"]] == ["root_differs"]
    assert run("check", str(directory), "--log", str(published))[0] == 1


def test_a_witness_runs_without_our_database_key_service_and_object_store() -> None:
    program = (
        "import sys, vault.cli.witness, vault.accesslog.witness.check, vault.accesslog.witness.server\n"
        "unwanted = ('psycopg', 'sqlalchemy', 'boto3', 'vault.storage', 'vault.office', 'vault.crypto.local')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"
