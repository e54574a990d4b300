"""`dsr log` as people and conformance tests call it: one JSON object, stable exit codes, real servers behind it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.cosign import WitnessKey, make_cosignature, render_witness_vkey
from vault.accesslog.log import AccessLog
from vault.accesslog.notes import Note, VerifierKey, parse_note, render_note, render_vkey
from vault.accesslog.publish import LogParts, publish
from vault.cli import main
from vault.crypto.keyring import KeyRing
from vault.settings import DatabaseSettings, LogSettings, Settings
from vault.settings_keys import KeySettings
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.storage.objects import Objects
from vault.testing.accesslog import ORIGIN, empty, look
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.moto_server import moto_server
from vault.testing.object_server import ObjectServer
from vault.testing.postgres import postgres


@dataclass(frozen=True, slots=True)
class House:
    """All that the commands reach: a database, a bucket, the key daemon, and the settings that name them."""

    settings: Settings
    service: RunningKeyService
    database: Database
    objects: Objects

    @property
    def vkey(self) -> str:
        return self.settings.log.public_key_file.read_text(encoding="ascii").strip()

    def log(self, office: str) -> AccessLog:
        client = self.service.client(office)
        ring = KeyRing(client, WrappedKeyTable(self.database), SealedKeyTable(self.database))
        return AccessLog(self.database, ring, client)

    def publish(self) -> None:
        publish(LogParts(self.database, self.service.client("keeper"), ORIGIN), self.objects)

    def copy(self, folder: Path) -> Path:
        for name in self.objects.list_locked():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(self.objects.get_locked(name))
        return folder


@dataclass(frozen=True, slots=True)
class Servers:
    """What all tests share."""

    service: RunningKeyService
    store: ObjectServer
    database_settings: DatabaseSettings
    database: Database
    key_file: Path


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("log") / "keys"
    with postgres() as server, moto_server() as store, start_key_service(folder) as service:
        settings = server.create_vault("dsr_command")
        migrate(settings)
        key_file = folder / "this-log.vkey"
        key_file.write_text(render_vkey(VerifierKey(ORIGIN, service.client("keeper").public("log"))) + "\n")
        database = Database(settings)
        yield Servers(service, store, settings, database, key_file)
        database.close()


@pytest.fixture
def house(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """An empty log, a bucket of its own, and commands that find them."""
    named: dict[str, Any] = {
        "database": servers.database_settings,
        "objects": servers.store.settings(log_bucket=f"log-{tmp_path.name.replace('_', '-').lower()}"[:60].strip("-")),
        "keys": KeySettings(socket=servers.service.socket, token_files=servers.service.files.token_files),
        "log": LogSettings(public_key_file=servers.key_file),
    }
    settings = Settings.model_construct(**named)
    use(monkeypatch, settings)
    empty(servers.database)
    objects = Objects(settings.objects)
    objects.prepare()
    return House(settings, servers.service, servers.database, objects)


@pytest.fixture(autouse=True)
def _published(house: House) -> None:
    """Three entries published, two more since."""
    log = house.log("desk")
    log.record([look(), look(subject="P-OTHER"), look()])
    house.publish()
    log.record([look(count=2), look(subject=None)])


def use(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("vault.settings.load", lambda: settings)
    monkeypatch.setattr("vault.office.load", lambda: settings)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["log", *words])


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_database_agrees(house: House) -> None:
    result = run("verify", "--json")

    assert result.exit_code == 0, result.output
    assert answer(result).keys() == {"size", "root", "ok", "faults"}
    assert (answer(result)["size"], answer(result)["ok"], answer(result)["faults"]) == (5, True, [])
    assert len(base64.b64decode(answer(result)["root"])) == 32
    assert house.vkey not in result.output


def test_people_get_lines() -> None:
    lines = run("verify").stdout.splitlines()

    assert lines[0].startswith("5 entries, root ")
    assert lines[-1] == "everything agrees"


def test_an_edited_row_is_a_negative_answer(house: House) -> None:
    with house.database.connect() as connection:
        connection.execute("update log_leaves set case_ref = 'DSR-2026-000000' where idx = 1")

    result = run("verify", "--json")

    assert result.exit_code == 1
    assert answer(result)["faults"] == [{"code": "column_differs", "at": "log_leaves 1 case_ref"}]


def test_a_copy_checks_out_without_settings(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.settings.load", None)
    folder = house.copy(tmp_path)

    result = run("verify", str(folder), "--key", house.vkey, "--json")

    assert result.exit_code == 0, result.output
    assert (answer(result)["size"], answer(result)["ok"]) == (3, True)
    (folder / "tile/entries/000.p/3").unlink()
    assert run("verify", str(folder), "--key", house.vkey).exit_code == 1


def test_a_web_address_checks_out(house: House, tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(house.copy(tmp_path)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        result = run("verify", f"http://127.0.0.1:{server.server_address[1]}", "--key", house.vkey, "--json")
    finally:
        server.shutdown()
        server.server_close()

    assert (result.exit_code, answer(result)["ok"]) == (0, True)


def cosign(folder: Path, time: datetime) -> str:
    """Cosign a copy's checkpoint; give the witness's key."""
    witness = Ed25519PrivateKey.generate()
    key = WitnessKey("dpo.example/witness", witness.public_key().public_bytes_raw())
    note = parse_note((folder / "checkpoint").read_bytes())
    line = make_cosignature(note.text, key, time, witness.sign)
    (folder / "checkpoint").write_bytes(render_note(Note(note.text, (*note.signatures, line))))
    return render_witness_vkey(key)


def test_every_named_witness_must_have_cosigned(house: House, tmp_path: Path) -> None:
    folder = house.copy(tmp_path)
    witness = cosign(folder, datetime(2026, 11, 20, 8, tzinfo=UTC))
    other = render_witness_vkey(WitnessKey("other.example/witness", bytes(31) + b"\1"))
    asked = ("verify", str(folder), "--key", house.vkey, "--json")

    seen = run(*asked, "--witness", witness, "--since", "2026-11-20T07:59:00Z")
    missed = run(*asked, "--witness", witness, "--witness", other)
    old = run(*asked, "--witness", witness, "--since", "2026-11-20T08:00:01+00:00")

    assert (seen.exit_code, answer(seen)["cosigned"]) == (0, {"dpo.example/witness": "2026-11-20T08:00:00+00:00"})
    assert (missed.exit_code, answer(missed)["faults"]) == (
        1,
        [{"code": "not_cosigned", "at": "checkpoint other.example/witness"}],
    )
    assert (old.exit_code, answer(old)["faults"]) == (
        1,
        [{"code": "cosigned_long_ago", "at": "checkpoint dpo.example/witness"}],
    )
    assert (
        "cosigned by dpo.example/witness at 2026-11-20T08:00:00+00:00" in run(*asked[:-1], "--witness", witness).stdout
    )


def test_an_older_key_of_the_log_may_be_given_beside_the_newer(house: House, tmp_path: Path) -> None:
    folder = house.copy(tmp_path)
    newer = render_vkey(VerifierKey(ORIGIN, house.service.client("keeper").public("desk")))

    assert run("verify", str(folder), "--key", newer, "--key", house.vkey).exit_code == 0
    assert run("verify", "--key", newer, "--key", house.vkey).exit_code == 0
    assert run("verify", str(folder), "--key", newer).exit_code == 1


def test_the_published_head_of_the_database_is_asked_for_its_witness() -> None:
    witness = render_witness_vkey(WitnessKey("dpo.example/witness", bytes(31) + b"\1"))

    result = run("verify", "--witness", witness, "--json")

    assert answer(result)["faults"] == [{"code": "not_cosigned", "at": "published checkpoint dpo.example/witness"}]


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["verify", "."], "key_missing", 2),
        (["verify", ".", "--key", "VKEY", "--key", "VKEY"], "verifier_keys_differ", 2),
        (["verify", ".", "--key", "VKEY", "--witness", "VKEY"], "witness_key_malformed", 2),
        (["verify", ".", "--key", "VKEY", "--since", "2026-11-20T08:00Z"], "since_unfit", 2),
        (["verify", ".", "--key", "VKEY", "--witness", "WVKEY", "--since", "2026-11-20T08:00"], "since_unfit", 2),
        (["verify", ".", "--key", "VKEY", "--witness", "WVKEY", "--since", "yesterday"], "since_unfit", 2),
        (["verify", ".", "--key", "nonsense"], "verifier_key_malformed", 2),
        (["verify", "/nowhere", "--key", "VKEY"], "log_source", 2),
        (["verify", "http://127.0.0.1:9/", "--key", "VKEY"], "log_away", 3),
        (["who", "--subject", "Matti Meikäläinen"], "access_unfit", 1),
    ],
)
def test_wrong_use_and_parts_out_of_reach(house: House, words: list[str], code: str, exit_code: int) -> None:
    witness = render_witness_vkey(WitnessKey("dpo.example/witness", bytes(31) + b"\1"))

    result = run(*[word.replace("WVKEY", witness).replace("VKEY", house.vkey) for word in words], "--json")

    assert (answer(result)["error"], result.exit_code) == (code, exit_code)


def test_a_missing_key_file_is_wrong_use(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = LogSettings(public_key_file=Path("/nowhere/log.vkey"))
    use(monkeypatch, house.settings.model_copy(update={"log": nowhere}))

    result = run("verify", "--json")

    assert (answer(result)["error"], result.exit_code) == ("log_key_missing", 2)


def test_another_key_proves_nothing(house: House) -> None:
    other = render_vkey(VerifierKey(ORIGIN, house.service.client("keeper").public("desk")))

    result = run("verify", "--key", other, "--json")

    assert result.exit_code == 1
    assert {fault["code"] for fault in answer(result)["faults"]} >= {"note_not_signed"}
