"""`dsr log copy` as people call it: from the bucket that the settings name, or from a web address."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from vault.accesslog.notes import parse_vkey, render_vkey
from vault.accesslog.publish import log_key
from vault.accesslog.sources import DirectorySource
from vault.accesslog.verify import verify_published
from vault.cli import main
from vault.crypto.keyservice import KeyService
from vault.settings import LogSettings, Settings
from vault.storage.objects import Objects
from vault.testing.accesslog import ORIGIN, MemoryShelf, any_leaves, copy_to, publish_leaves
from vault.testing.keyservice import memory_service
from vault.testing.moto_server import moto_server
from vault.testing.object_server import ObjectServer


@dataclass(frozen=True, slots=True)
class Place:
    """A published log in a bucket and behind a web address, and its key."""

    settings: Settings
    service: KeyService
    url: str
    served: Path

    @property
    def vkey(self) -> str:
        return render_vkey(log_key(self.service, ORIGIN))

    def publish(self, *sizes: int) -> None:
        shelf = MemoryShelf()
        publish_leaves(shelf, any_leaves(sizes[-1]), self.service, *sizes)
        copy_to(shelf, self.served)
        objects = Objects(self.settings.objects)
        for name, versions in shelf.versions.items():
            objects.replace_locked(name, versions[-1])


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectServer]:
    with moto_server() as server:
        yield server


@pytest.fixture
def place(store: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    service, served = memory_service(), tmp_path / "served"
    served.mkdir()
    key_file = tmp_path / "log.vkey"
    bucket = f"log-{abs(hash(tmp_path.name))}"
    named: dict[str, Any] = {
        "objects": store.settings(log_bucket=bucket),
        "log": LogSettings(public_key_file=key_file),
    }
    settings = Settings.model_construct(**named)
    monkeypatch.setattr("vault.settings.load", lambda: settings)
    Objects(settings.objects).prepare()
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        made = Place(settings, service, f"http://127.0.0.1:{server.server_port}", served)
        key_file.write_text(made.vkey + "\n", encoding="ascii")
        yield made
        server.shutdown()


def dsr(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(main, ["log", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_the_buckets_log_is_copied_and_checks_out(place: Place, tmp_path: Path) -> None:
    place.publish(3, 300)

    status, answer = dsr("copy", tmp_path / "copy")

    assert (status, answer["ok"], answer["size"]) == (0, True, 300)
    assert verify_published(DirectorySource(tmp_path / "copy"), parse_vkey(place.vkey)).ok
    assert dsr("copy", tmp_path / "copy")[1]["files"] == 0
    assert dsr("copy", tmp_path / "copy", "--key", place.vkey)[0] == 0


def test_the_log_behind_an_address_is_copied_and_carried_on(place: Place, tmp_path: Path) -> None:
    for size in (3, 300):
        place.publish(size)
        status, answer = dsr("copy", tmp_path / "copy", "--from", place.url, "--key", place.vkey)
        assert (status, answer["size"]) == (0, size)

    status, answer = dsr("verify", tmp_path / "copy", "--key", place.vkey)
    assert (status, answer["ok"], answer["size"]) == (0, True, 300)


def test_a_person_is_told_in_a_line(place: Place, tmp_path: Path) -> None:
    place.publish(3)

    done = CliRunner().invoke(main, ["log", "copy", str(tmp_path / "copy")])

    assert done.stdout.startswith("3 entries, root ")
    assert done.stdout.endswith("; 4 new files\n")


def test_another_log_exits_with_one(place: Place, tmp_path: Path) -> None:
    place.publish(3)
    other = render_vkey(log_key(memory_service(), ORIGIN))

    status, answer = dsr("copy", tmp_path / "copy", "--from", place.url, "--key", other)

    assert (status, answer["error"]) == (1, "note_not_signed")


def test_wrong_use_exits_with_two_and_silence_with_three(place: Place, tmp_path: Path) -> None:
    assert dsr("copy", tmp_path / "copy", "--from", place.url)[0] == 2
    assert dsr("copy", tmp_path / "copy", "--key", "nonsense")[0] == 2
    place.settings.log.public_key_file.unlink()
    assert dsr("copy", tmp_path / "copy")[0] == 2
    assert dsr("copy", tmp_path / "copy", "--from", "http://127.0.0.1:1", "--key", place.vkey)[0] == 3
