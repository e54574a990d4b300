"""`dsr log export`: every entry as an AuditEvent that conforms, itself logged, whole or not at all, in flat memory."""

import json
import os
import stat
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vault.accesslog.auditevent import DATA_SUBJECT, DISCLOSURE, PATIENT_READ, READ
from vault.accesslog.log import AccessLog
from vault.accesslog.notes import VerifierKey, render_vkey
from vault.accesslog.reading import PIECE, LogReader
from vault.cli import main
from vault.crypto.keyring import KeyRing
from vault.settings import DatabaseSettings, LogSettings, ObjectSettings, Settings
from vault.settings_keys import KeySettings
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.testing.accesslog import CASE, ORIGIN, SUBJECT, empty, look
from vault.testing.answers import CONTROLLER
from vault.testing.balp import faults
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.postgres import postgres

DAY = datetime(2026, 11, 20, 8, 30, 15, 250_000, tzinfo=UTC)  # that of the sample look


@dataclass(frozen=True, slots=True)
class House:
    """What the command reaches: a database, a key daemon, settings."""

    service: RunningKeyService
    database: Database
    settings: Settings

    def ring(self, office: str) -> KeyRing:
        return KeyRing(self.service.client(office), WrappedKeyTable(self.database), SealedKeyTable(self.database))

    def log(self, office: str) -> AccessLog:
        return AccessLog(self.database, self.ring(office), self.service.client(office))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningKeyService, DatabaseSettings, Path]]:
    folder = tmp_path_factory.mktemp("export")
    with postgres() as server, start_key_service(folder / "keys") as service:
        settings = server.create_vault("dsr_export")
        migrate(settings)
        key_file = folder / "log.vkey"
        key_file.write_text(render_vkey(VerifierKey(ORIGIN, service.client("keeper").public("log"))) + "\n")
        key_file.chmod(0o600)  # it stands in for the bucket's secrets too
        yield service, settings, key_file


@pytest.fixture
def house(
    servers: tuple[RunningKeyService, DatabaseSettings, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    service, database_settings, key_file = servers
    named: dict[str, Any] = {
        "controller": CONTROLLER,
        "database": database_settings,
        "objects": ObjectSettings(endpoint="http://127.0.0.1:9", access_key_file=key_file, secret_key_file=key_file),
        "keys": KeySettings(socket=service.socket, token_files=service.files.token_files),
        "log": LogSettings(public_key_file=key_file),
    }
    settings = Settings.model_construct(**named)
    monkeypatch.setattr("vault.office.load", lambda: settings)
    database = Database(database_settings)
    empty(database)
    yield House(service, database, settings)
    database.close()


@pytest.fixture(autouse=True)
def _entries(house: House) -> None:
    """Looks at two patients, a case, a refusal and a disclosure, on three days."""
    sealer = {"actor": "office:sealer", "actor_name": "DSR Vault, sealer", "role": "machine"}
    house.log("desk").record(
        [
            look(at=DAY - timedelta(days=1)),
            look(subject="P-OTHER", emergency="Puhelu"),
            look(subject=None),
            look(outcome="cap_reached"),
            look(**sealer, recipient=DATA_SUBJECT),
            look(subject="P-OTHER", at=DAY + timedelta(days=1)),
        ]
    )


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["log", "export", *words])


def events(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert [faults(event) for event in found] == [[]] * len(found)
    return found


def exported(tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    path = tmp_path / "log.ndjson"
    result = run(*words, "--output", str(path), "--json")
    assert result.exit_code == 0, result.output
    found = events(path)
    told = {"entries": len(found), "unreadable": 0, "file": str(path), "staff": "--with-staff" in words}
    assert json.loads(result.stdout) == told
    return found


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [int(event["id"].removeprefix("entry-")) for event in found]


def test_one_subjects_entries_and_the_export_itself(house: House, tmp_path: Path) -> None:
    found = exported(tmp_path, "--subject", SUBJECT)

    assert numbers(found) == [0, 3, 4, 6]
    profiles = [event.get("meta", {}).get("profile") for event in found]
    assert profiles == [[PATIENT_READ], None, [DISCLOSURE], [PATIENT_READ]]
    last = house.log("audit").who(SUBJECT)[-1]
    assert (last.purpose.value, last.actor, last.kinds) == ("audit", f"account:{os.getuid()}", ("access_log",))
    assert "Aino" not in (tmp_path / "log.ndjson").read_text(encoding="utf-8")


def test_names_stand_there_only_with_staff(tmp_path: Path) -> None:
    found = exported(tmp_path, "--subject", "P-OTHER", "--with-staff", "--to", "2026-11-20")

    assert numbers(found) == [1]
    names = [agent.get("name") for agent in found[0]["agent"] if agent["requestor"]]
    assert names == ["Aino Lääkäri"]
    assert found[0]["purposeOfEvent"][1]["text"] == "Puhelu"


def test_everybodys_entries_of_a_day_and_each_of_them_can_see_it(house: House, tmp_path: Path) -> None:
    found = exported(tmp_path, "--from", "2026-11-20", "--to", "2026-11-20")

    assert numbers(found) == [1, 2, 3, 4]
    profiles = [event.get("meta", {}).get("profile") for event in found]
    assert profiles == [[PATIENT_READ], [READ], None, [DISCLOSURE]]
    log = house.log("audit")
    assert [access.purpose.value for access in log.who("P-OTHER")][-1] == "audit"
    assert [access.purpose.value for access in log.who(SUBJECT)][-1] == "audit"
    with house.database.connect() as connection:
        counted = connection.execute("select count(*) from log_leaves").fetchone()
    assert counted == (9,)  # one look without a subject, and one for each of the two


def test_a_subject_outside_the_time_is_not_announced(house: House, tmp_path: Path) -> None:
    exported(tmp_path, "--from", "2026-11-19", "--to", "2026-11-19")

    assert [access.purpose.value for access in house.log("audit").who("P-OTHER")] == ["review", "review"]


def test_days_are_helsinkis(house: House, tmp_path: Path) -> None:
    house.log("desk").record([look(at=datetime(2026, 11, 24, 22, 30, tzinfo=UTC))])

    assert numbers(exported(tmp_path, "--from", "2026-11-25", "--to", "2026-11-25")) == [6]


def test_the_file_is_its_owners_and_nothing_else_stays(tmp_path: Path) -> None:
    exported(tmp_path, "--subject", SUBJECT)

    assert [path.name for path in tmp_path.iterdir()] == ["log.ndjson"]
    assert stat.S_IMODE((tmp_path / "log.ndjson").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        ([], "export_of_what", 2),
        (["--from", "2026-11-20"], "export_of_what", 2),
        (["--from", "2026-11-21", "--to", "2026-11-20"], "export_period", 2),
        (["--subject", "Matti Meikäläinen"], "access_unfit", 1),
    ],
)
def test_wrong_use_writes_nothing(tmp_path: Path, words: list[str], code: str, exit_code: int) -> None:
    result = run(*words, "--output", str(tmp_path / "log.ndjson"), "--json")

    assert (json.loads(result.stdout)["error"], result.exit_code) == (code, exit_code)
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_written_over(house: House, tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text("earlier")

    result = run("--subject", SUBJECT, "--output", str(tmp_path / "log.ndjson"), "--json")

    assert (json.loads(result.stdout)["error"], result.exit_code) == ("export_there", 2)
    assert (tmp_path / "log.ndjson").read_text() == "earlier"
    assert len(house.log("audit").who(SUBJECT)) == 3


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = run("--subject", SUBJECT, "--output", str(tmp_path / "none" / "log.ndjson"), "--json")

    assert (json.loads(result.stdout)["error"], result.exit_code) == ("export_file", 2)


def test_a_changed_entry_stops_the_export_and_leaves_no_file(house: House, tmp_path: Path) -> None:
    with house.database.connect() as connection:
        connection.execute("update log_leaves set entry = entry || '\\x00'::bytea where idx = 3")

    result = run("--subject", SUBJECT, "--output", str(tmp_path / "log.ndjson"), "--json")

    assert (json.loads(result.stdout)["error"], result.exit_code) == ("entry_differs", 1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".log.ndjson.draft-0a1b2c3d").write_text("half")

    exported(tmp_path, "--subject", SUBJECT)

    assert [path.name for path in tmp_path.iterdir()] == ["log.ndjson"]


def test_entries_whose_key_is_gone_are_counted(house: House, tmp_path: Path) -> None:
    with house.database.connect() as connection:
        connection.execute("delete from wrapped_keys where ref = 'P-OTHER/2026'")

    result = run("--from", "2026-11-20", "--to", "2026-11-20", "--output", str(tmp_path / "log.ndjson"), "--json")

    assert result.exit_code == 0, result.output
    assert (json.loads(result.stdout)["entries"], json.loads(result.stdout)["unreadable"]) == (3, 1)
    assert numbers(events(tmp_path / "log.ndjson")) == [2, 3, 4]


def test_one_year_of_a_subject_may_be_gone(house: House, tmp_path: Path) -> None:
    house.log("desk").record([look(at=DAY - timedelta(days=400))])
    with house.database.connect() as connection:
        connection.execute("delete from wrapped_keys where ref = %s", (f"{SUBJECT}/2025",))

    result = run("--subject", SUBJECT, "--output", str(tmp_path / "log.ndjson"), "--json")

    assert (json.loads(result.stdout)["entries"], json.loads(result.stdout)["unreadable"]) == (4, 1)


def test_a_long_export_takes_memory_for_a_piece_at_a_time(house: House) -> None:
    log = house.log("desk")
    for start in range(0, 6 * PIECE, PIECE):
        log.record([look(subject=f"P-{number % 40}", case=CASE) for number in range(start, start + PIECE)])
    reader = LogReader(house.database, house.ring("audit"), house.service.client("audit"))

    def read() -> int:
        told: Counter[str] = Counter()
        count = 0
        for entry in reader.between(DAY.replace(microsecond=0), DAY + timedelta(hours=1), told.update):
            assert entry.access.subject is None or told[entry.access.subject] == 1
            count += entry.access.count
        return count

    assert read() == 6 * PIECE + 4
    tracemalloc.start()
    read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_500_000  # bytes; all of it at once takes twice as much
