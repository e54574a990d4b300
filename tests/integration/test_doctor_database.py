"""`dsr doctor` tries the database: passwords, line, durability, and each office's own room and role."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from vault.cli.doctor import examine
from vault.cli.probes.finding import Finding
from vault.settings import DatabaseSettings, Settings
from vault.storage.migrate import migrate
from vault.testing import places, postgres

_NO_DISK = "keeps what was committed through a crash"  # tests do not wait for the disk


def unfit(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.why for finding in findings if not finding.fit}


def only(database: DatabaseSettings) -> Settings:
    parts: dict[str, Any] = {"database": database}
    return Settings.model_construct(**parts)


def a_vault(server: postgres.PostgresServer) -> DatabaseSettings:
    database = server.create_vault("vault")
    migrate(database)
    return database


def test_a_durable_database_is_fit() -> None:
    with postgres.postgres(durable=True) as server:
        assert unfit(examine(only(a_vault(server)), ("database",))) == {}


def test_a_database_that_trusts_everybody_is_unfit_even_where_the_account_knows_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgres.postgres(durable=True) as server:
        database = a_vault(server)
        monkeypatch.setenv("PGPASSWORD", database.password_file.read_text())
        assert unfit(examine(only(database), ("database",))) == {}
        hba = places.base_of(server.home, None) / "data" / "pg_hba.conf"
        hba.write_text("local all all trust\n")
        with psycopg.connect(server.dsn(server.admin)) as connection:
            connection.execute("select pg_reload_conf()")

        found = unfit(examine(only(database), ("database",)))

    assert list(found) == ["refuses a connection without a password", "refuses a wrong password"]


def test_a_database_on_an_open_line_that_keeps_md5_is_unfit() -> None:
    with postgres.postgres(durable=True, tcp=True) as server:
        database = a_vault(server).model_copy(update={"host": "127.0.0.1"})
        with psycopg.connect(server.dsn(server.admin), autocommit=True) as connection:
            connection.execute("alter database vault set password_encryption to md5")
            connection.execute("alter database vault set synchronous_commit to off")

        found = unfit(examine(only(database), ("database",)))

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
        ("grant connect on database postgres to public", "keeps desk out of other databases", "it enters postgres; "),
        ("grant create on schema public to vault_desk", "lets desk make nothing", "it makes tables"),
        ("grant select on records to vault_desk", "shows desk its own room alone", "it may also records select"),
        ("grant truncate on cases to public", "shows desk its own room alone", "it may also cases truncate"),
        ("revoke select on cases from vault_desk", "shows desk its own room alone", "it may not cases select"),
        ("alter table cases disable row level security", "guards rows from desk", "not in cases"),
    ],
)
def test_an_office_that_may_more_than_its_own_is_unfit(
    guarded: postgres.PostgresServer, damage: str, check: str, why: str
) -> None:
    database = a_vault(guarded)
    files = {"desk": database.password_files["desk"]}
    mine = only(database.model_copy(update={"password_files": files}))
    assert list(unfit(examine(mine, ("database",)))) == [_NO_DISK]
    with psycopg.connect(guarded.dsn(guarded.admin.model_copy(update={"name": "vault"}))) as connection:
        connection.execute(damage.encode())

    found = unfit(examine(mine, ("database",)))
    guarded.drop_database("vault")
    with psycopg.connect(guarded.dsn(guarded.admin)) as connection:
        connection.execute("revoke all on database postgres from public")

    assert found[check].startswith(why)


@pytest.fixture(scope="module")
def guarded() -> Iterator[postgres.PostgresServer]:
    with postgres.postgres() as server:
        yield server


def test_a_database_with_one_account_for_all_is_unfit(guarded: postgres.PostgresServer) -> None:
    found = unfit(examine(only(guarded.create_database("shared")), ("database",)))

    assert list(found) == [_NO_DISK, "gives each office an account of its own"]
