"""`dsr doctor` calls real servers fit, and names what a stand-in, a lax server or a lax file breaks."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.cli.doctor import PROBES, examine
from vault.cli.probes import keys as keys_probe
from vault.cli.probes import objects as objects_probe
from vault.cli.probes.finding import Finding
from vault.cli.probes.secretfiles import secret_files
from vault.crypto.local import LocalKeyService
from vault.errors import VaultError
from vault.settings import DatabaseSettings, ObjectSettings, Settings
from vault.storage.migrate import migrate
from vault.storage.objects import Objects
from vault.testing import moto_server, places, postgres
from vault.testing.installation import Installation, installed

_NO_DISK = "keeps what was committed through a crash"  # tests do not wait for the disk


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


@pytest.fixture
def settings(installation: Installation) -> Settings:
    return installation.settings()


def unfit(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.why for finding in findings if not finding.fit}


def with_database(settings: Settings, database: DatabaseSettings) -> Settings:
    return settings.model_copy(update={"database": database})


def a_vault(server: postgres.PostgresServer) -> DatabaseSettings:
    database = server.create_vault("vault")
    migrate(database)
    return database


def with_objects(settings: Settings, objects: ObjectSettings) -> Settings:
    return settings.model_copy(update={"objects": objects})


def test_an_installation_with_real_servers_is_fit_but_for_the_disk_that_tests_do_not_wait_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(installation.config))

    done = CliRunner().invoke(main, ["doctor", "--json"])

    answer = json.loads(done.output)
    assert answer["ok"] is False
    assert done.exit_code == 1
    assert {part["part"] for part in answer["parts"]} == set(PROBES)
    assert all(set(part) == {"part", "check", "fit", "why"} for part in answer["parts"])
    assert [part["check"] for part in answer["parts"] if not part["fit"]] == [_NO_DISK]
    assert [part["fit"] for part in answer["parts"] if part["part"] == "objects"] == [True] * 8  # RADOS Gateway


def test_a_fit_part_alone_ends_well_and_in_plain_words(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(installation.config))

    done = CliRunner().invoke(main, ["doctor", "--part", "keys", "--part", "scans"])

    assert done.exit_code == 0
    assert "refuses a wrong context: refused" in done.output
    assert done.output.endswith("all fit\n")


def test_missing_settings_are_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(tmp_path / "missing.toml"))

    assert CliRunner().invoke(main, ["doctor", "--json"]).exit_code == 2


def test_no_finding_shows_a_secret(settings: Settings) -> None:
    secrets = {file.read_text().strip() for _, file in secret_files(settings) if file.exists()}

    shown = json.dumps([finding.to_json() for finding in examine(settings, ("secrets", "database", "keys"))])

    assert len(secrets) > 10
    assert not any(secret in shown for secret in secrets)


# --- database


def test_a_durable_database_is_fit(settings: Settings) -> None:
    with postgres.postgres(durable=True) as server:
        assert unfit(examine(with_database(settings, a_vault(server)), ("database",))) == {}


def test_a_database_that_trusts_everybody_is_unfit_even_where_the_account_knows_the_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.postgres(durable=True) as server:
        database = a_vault(server)
        monkeypatch.setenv("PGPASSWORD", database.password_file.read_text())
        assert unfit(examine(with_database(settings, database), ("database",))) == {}
        hba = places.base_of(server.home, None) / "data" / "pg_hba.conf"
        hba.write_text("local all all trust\n")
        with psycopg.connect(server.dsn(server.admin)) as connection:
            connection.execute("select pg_reload_conf()")

        found = unfit(examine(with_database(settings, database), ("database",)))

    assert list(found) == ["refuses a connection without a password", "refuses a wrong password"]


def test_a_database_on_an_open_line_that_keeps_md5_is_unfit(settings: Settings) -> None:
    with postgres.postgres(durable=True, tcp=True) as server:
        database = a_vault(server).model_copy(update={"host": "127.0.0.1"})
        with psycopg.connect(server.dsn(server.admin), autocommit=True) as connection:
            connection.execute("alter database vault set password_encryption to md5")
            connection.execute("alter database vault set synchronous_commit to off")

        found = unfit(examine(with_database(settings, database), ("database",)))

    assert list(found) == [
        "is spoken to over TLS or a local socket",
        "keeps passwords as SCRAM",
        "keeps what was committed through a crash",
    ]
    assert "turn on synchronous_commit" in found["keeps what was committed through a crash"]


@pytest.mark.parametrize(
    ("damage", "check", "why"),
    [
        ("alter role vault_desk createrole", "gives desk no power over roles", "it makes roles; take that away"),
        ("alter role vault_desk superuser", "gives desk no power over roles", "it is a superuser"),
        ("alter role vault_desk bypassrls", "gives desk no power over roles", "it passes by row security"),
        ("grant vault_sealer to vault_desk", "gives desk no power over roles", "it belongs to another role"),
        ("alter table drafts owner to vault_desk", "lets desk own nothing", "it owns drafts"),
        ("grant create on schema public to vault_desk", "lets desk make nothing", "it makes tables"),
        ("grant select on records to vault_desk", "shows desk its own room alone", "it may also records select"),
        ("grant truncate on cases to public", "shows desk its own room alone", "it may also cases truncate"),
        ("revoke select on cases from vault_desk", "shows desk its own room alone", "it may not cases select"),
        ("alter table cases disable row level security", "guards rows from desk", "not in cases"),
    ],
)
def test_an_office_that_may_more_than_its_own_is_unfit(
    settings: Settings, guarded: postgres.PostgresServer, damage: str, check: str, why: str
) -> None:
    database = a_vault(guarded)
    only = {"desk": database.password_files["desk"]}
    mine = with_database(settings, database.model_copy(update={"password_files": only}))
    assert list(unfit(examine(mine, ("database",)))) == [_NO_DISK]
    with psycopg.connect(guarded.dsn(guarded.admin.model_copy(update={"name": "vault"}))) as connection:
        connection.execute(damage.encode())

    found = unfit(examine(mine, ("database",)))
    guarded.drop_database("vault")

    assert found[check].startswith(why)


@pytest.fixture(scope="module")
def guarded() -> Iterator[postgres.PostgresServer]:
    with postgres.postgres() as server:
        yield server


def test_a_database_with_one_account_for_all_is_unfit(settings: Settings, guarded: postgres.PostgresServer) -> None:
    found = unfit(examine(with_database(settings, guarded.create_database("shared")), ("database",)))

    assert list(found) == [_NO_DISK, "gives each office an account of its own"]


# --- object store


def test_moto_is_unfit_and_it_is_said_why(settings: Settings) -> None:
    with moto_server.moto_server() as server:
        objects = server.settings()
        Objects(objects).prepare()
        found = unfit(examine(with_objects(settings, objects), ("objects",)))

    assert found["is no stand-in"].startswith("it is moto, a stand-in for tests: anybody who reaches it can read")
    assert found["presigned links expire"].startswith("a fresh link does not open")
    assert found["Object Lock refuses shortening"].startswith("compliance retention was shortened")
    assert "refuses a wrong secret" not in found


def test_what_the_doctor_says_of_moto_is_true() -> None:
    with moto_server.moto_server() as server:
        objects = server.settings()
        store = Objects(objects)
        store.prepare()
        store.put("kept", b"sealed")
        stranger = httpx.post(f"{server.endpoint}/moto-api/reset")

        assert stranger.is_success
        with pytest.raises(VaultError):
            store.get("kept")


def test_a_log_bucket_without_a_lock_is_unfit(settings: Settings) -> None:
    objects = settings.objects.model_copy(update={"log_bucket": settings.objects.bucket})

    found = unfit(examine(with_objects(settings, objects), ("objects",)))

    assert "the log's bucket is under Object Lock" in found
    assert "Object Lock refuses deletion" in found


def test_a_link_that_outlives_its_end_is_unfit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = SimpleNamespace(sleep=lambda _seconds: None, monotonic=time.monotonic)
    monkeypatch.setattr(objects_probe, "time", hurried)  # looks at the link while it still lives
    monkeypatch.setattr(objects_probe, "_LINK_SECONDS", 60)

    found = unfit(examine(settings, ("objects",)))

    assert found == {
        "presigned links expire": "a link still opens after its end; never hand out links of this object store"
    }


def test_the_object_stores_probe_tidies_up(settings: Settings, installation: Installation) -> None:
    def probes() -> list[str]:
        with installation.office("operator") as parts:
            return [*parts.objects.list("doctor/"), *parts.objects.list_locked("doctor/")]

    before = probes()
    examine(settings, ("objects",))

    assert probes() == before


# --- key service


class Lax(LocalKeyService):
    """A key service that refuses nothing."""

    __slots__ = ()

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        return bytes(32) if ref.endswith("1") else super().unwrap(kind, ref, wrapped)

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        return bytes(40) if kind == "record" else super().wrap(kind, ref, key)

    def status(self) -> Any:
        return LocalKeyService(self._socket, Lax.good).status()

    good = ""


def test_a_key_service_that_refuses_nothing_is_unfit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lax, "good", settings.keys.token_files["operator"].read_text().strip())
    monkeypatch.setattr(keys_probe, "LocalKeyService", Lax)

    assert list(unfit(examine(settings, ("keys",)))) == [
        "refuses a stranger's token",
        "refuses a wrong context",
        "refuses a verb that is not the office's",
    ]


def test_without_a_readable_token_the_keys_can_not_be_judged(settings: Settings, tmp_path: Path) -> None:
    keys = settings.keys.model_copy(update={"token_files": {"operator": tmp_path / "none"}})

    found = unfit(examine(settings.model_copy(update={"keys": keys}), ("keys",)))

    assert list(found) == ["answers an office"]


def test_a_part_that_is_away_is_unfit_and_the_others_are_still_tried(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"port": port}),
            "objects": settings.objects.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"}),
            "keys": settings.keys.model_copy(update={"socket": tmp_path / "none"}),
            "mailbox": settings.mailbox.model_copy(update={"port": port}),
            "smtp": settings.smtp.model_copy(update={"port": port}),
        }
    )

    findings = examine(away, ("database", "objects", "keys", "mailbox", "smtp"))

    assert [(finding.part, finding.fit) for finding in findings] == [
        ("database", False),
        ("objects", False),
        ("keys", False),
        ("mailbox", False),
        ("smtp", False),
    ]
