"""What stands in PostgreSQL's catalogue is the table of grants, exactly; migrating brings it there from anywhere."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, office_role, read_secret
from vault.storage.callables import CALLABLE, callable_by, callable_now
from vault.storage.database import Connection, Database, conninfo
from vault.storage.grants import ROOMS, UNGUARDED
from vault.storage.migrate import migrate
from vault.storage.privileges import found, strangers, wanted
from vault.storage.roles import KEPT_ALIVE, role_sql, scram_verifier
from vault.testing.places import write_private
from vault.testing.postgres import PostgresServer, postgres

NAME = "dsr_rooms"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres(tcp=True) as server:
        yield server


@pytest.fixture(scope="module")
def settings(server: PostgresServer) -> DatabaseSettings:
    made = server.create_vault(NAME)
    migrate(made)
    return made


@pytest.fixture
def owner(server: PostgresServer, settings: DatabaseSettings) -> Iterator[Connection]:
    with psycopg.connect(server.dsn(settings), autocommit=True) as connection:
        yield connection


def differences(connection: Connection) -> list[str]:
    standing = found(connection)
    roles = [office_role(NAME, office) for office in OfficeName]
    return [table for table, room in wanted(NAME, roles, standing).items() if room != standing[table]]


def test_the_catalogue_holds_these_grants_and_no_others(owner: Connection) -> None:
    """Told apart from :func:`found`, by the standard's own views."""
    grants = owner.execute(
        "select grantee, table_name, lower(privilege_type), '' from information_schema.role_table_grants"
        " where table_schema = 'public' and grantee <> current_user"
    ).fetchall()
    columns = owner.execute(
        "select grantee, table_name, lower(privilege_type), column_name from information_schema.role_column_grants"
        " where table_schema = 'public' and grantee <> current_user"
    ).fetchall()
    whole = {row[:3] for row in grants}

    standing = set(grants) | {row for row in columns if row[:3] not in whole}

    assert standing == {
        (office_role(NAME, office), table, right.verb, column)
        for office, rooms in ROOMS.items()
        for table, rights in rooms.items()
        for right in rights
        for column in right.columns or ("",)
    }


def test_the_catalogue_holds_these_policies_and_no_others(owner: Connection) -> None:
    rows = owner.execute(
        "select roles::text[], tablename, lower(cmd), coalesce(qual, with_check), permissive from pg_policies"
    )

    standing = sorted((*roles, table, verb, rows, kind) for roles, table, verb, rows, kind in rows)

    assert standing == sorted(
        (office_role(NAME, office), table, right.verb, right.rows, "PERMISSIVE")
        for office, rooms in ROOMS.items()
        for table, rights in rooms.items()
        for right in rights
        if table not in UNGUARDED
    )


def test_the_catalogue_lets_these_offices_call_these_functions_and_nobody_else(owner: Connection) -> None:
    """Told apart from :func:`callable_now`, by the standard's own view."""
    rows = owner.execute(
        "select grantee, routine_name from information_schema.role_routine_grants"
        " where routine_schema = 'public' and grantee <> current_user"
    ).fetchall()

    assert set(rows) == {
        (office_role(NAME, office), function) for function, offices in CALLABLE.items() for office in offices
    }


@pytest.mark.parametrize(
    "damage",
    [
        "grant execute on all functions in schema public to public",
        "revoke all on function log_append from dsr_rooms_desk",
    ],
)
def test_migrating_brings_back_who_may_call_what(owner: Connection, settings: DatabaseSettings, damage: str) -> None:
    roles = [office_role(NAME, office) for office in OfficeName]
    owner.execute(damage.encode())
    assert callable_now(owner) != callable_by(owner, NAME, roles)

    migrate(settings)

    assert callable_now(owner) == callable_by(owner, NAME, roles)


def test_every_table_has_its_entry(owner: Connection) -> None:
    assert strangers(found(owner)) == set()

    owner.execute("create table newcomer (a integer)")

    try:
        assert strangers(found(owner)) == {"newcomer"}
    finally:
        owner.execute("drop table newcomer")


def test_a_new_table_is_nobodys_until_it_has_an_entry(owner: Connection, settings: DatabaseSettings) -> None:
    owner.execute("create table newcomer (a integer)")
    try:
        migrate(settings)
        for office in OfficeName:
            with (
                psycopg.connect(_dsn(settings, office)) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute("select * from newcomer")
    finally:
        owner.execute("drop table newcomer")


def _dsn(settings: DatabaseSettings, office: str) -> str:
    return conninfo(settings.for_office(office))


@pytest.mark.parametrize(
    "damage",
    [
        "grant select on records to public",
        "grant delete on cases to dsr_rooms_intake",
        "grant update (subject) on cases to dsr_rooms_sealer",
        "revoke select on cases from dsr_rooms_desk",
        "create policy more on records to dsr_rooms_sealer using (true)",
        "create policy more on wrapped_keys using (true)",
        "drop policy dsr_rooms_desk_select on wrapped_keys",
        "alter policy dsr_rooms_desk_select on wrapped_keys using (true)",
        "create policy less on cases as restrictive to dsr_rooms_desk using (false)",
        "alter table wrapped_keys disable row level security",
        "grant select on log_leaves to dsr_rooms_audit with grant option",
    ],
)
def test_migrating_brings_back_what_somebody_changed(
    owner: Connection, settings: DatabaseSettings, damage: str
) -> None:
    owner.execute(damage.encode())
    assert differences(owner)

    migrate(settings)

    assert differences(owner) == []


@pytest.mark.parametrize(
    ("damage", "then"),
    [
        ("grant create on schema public to dsr_rooms_desk", "create table mine (a integer)"),
        ("grant all on database dsr_rooms to public", "create temporary table mine (a integer)"),
        ("grant create on database dsr_rooms to dsr_rooms_desk", "create schema mine"),
    ],
)
def test_migrating_closes_a_door_that_somebody_opened(
    owner: Connection, settings: DatabaseSettings, damage: str, then: str
) -> None:
    owner.execute(damage.encode())
    with psycopg.connect(_dsn(settings, "desk")) as connection:
        connection.execute(then.encode())
        connection.rollback()

        migrate(settings)

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(then.encode())


def test_migrating_again_changes_nothing(owner: Connection, settings: DatabaseSettings) -> None:
    query = "select oid, xmin::text from pg_policy order by oid"
    before = owner.execute(query).fetchall()
    functions = owner.execute(
        "select oid, xmin::text from pg_proc where pronamespace = 'public'::regnamespace"
    ).fetchall()

    migrate(settings)

    assert owner.execute(query).fetchall() == before
    assert (
        functions
        == owner.execute("select oid, xmin::text from pg_proc where pronamespace = 'public'::regnamespace").fetchall()
    )


def test_migrating_does_not_wait_for_those_at_work_when_nothing_differs(
    server: PostgresServer, settings: DatabaseSettings
) -> None:
    with psycopg.connect(server.dsn(settings)) as working:
        working.execute("lock table cases, log_edge in row exclusive mode")
        with psycopg.connect(server.dsn(server.admin), autocommit=True) as admin:
            admin.execute("alter role dsr_rooms set lock_timeout = '2s'")
        assert migrate(settings)
        with psycopg.connect(server.dsn(server.admin), autocommit=True) as admin:
            admin.execute("alter role dsr_rooms reset lock_timeout")


def test_up_down_and_up_again_ends_in_the_same_rooms(owner: Connection, settings: DatabaseSettings) -> None:
    for target in ("0004", "head", "base", "head"):
        migrate(settings, target)

    assert differences(owner) == []


def test_a_missing_role_stops_the_migration_and_nothing_is_done(server: PostgresServer) -> None:
    plain = server.create_database("dsr_lonely")
    settings = plain.model_copy(update={"password_files": {"desk": Path("/nonexistent")}})

    with pytest.raises(WrongUseError, match="are missing: dsr_lonely_desk;"):
        migrate(settings)

    with psycopg.connect(server.dsn(plain)) as connection:
        assert found(connection) == {}


def test_the_administrators_sql_may_run_again_and_sets_the_newest_password(
    server: PostgresServer, settings: DatabaseSettings
) -> None:
    """With psql, as somebody who may make roles and nothing else."""
    role, file, maker = office_role(NAME, "print"), settings.password_files["print"], "one-who-makes-roles"
    with psycopg.connect(server.dsn(server.admin), autocommit=True) as admin:
        admin.execute(f"create role maker login createrole password '{maker}'".encode())
        admin.execute("grant connect on database postgres to maker")
    words = role_sql({role: scram_verifier("another-password-1"), "dsr_rooms_new": scram_verifier("x")})
    command: list[str | Path] = [
        _psql(),
        "-X",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        server.host,
        "-p",
        str(server.port),
        "-U",
        "maker",
        "postgres",
    ]
    for _ in range(2):
        environment = {**os.environ, "PGPASSWORD": maker}
        subprocess.run(command, input=words.encode(), env=environment, check=True, capture_output=True)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(_dsn(settings, "print")).close()
    write_private(file, "another-password-1")
    with psycopg.connect(_dsn(settings, "print")) as connection:
        assert connection.execute("select current_user").fetchone() == (role,)


def test_a_session_whose_network_died_is_given_up_on_both_sides(settings: DatabaseSettings) -> None:
    """Else it would hold its locks for hours: PostgreSQL's own default waits for the kernel's two hours."""
    office = settings.for_office("keeper")
    database = Database(office.model_copy(update={"host": "127.0.0.1"}))
    try:
        with database.connect() as connection:
            for name, value in KEPT_ALIVE.items():
                assert connection.execute(f"show {name}".encode()).fetchone() == (str(value),)
            with socket.socket(fileno=os.dup(connection.fileno())) as ours:
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
                assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 6
    finally:
        database.close()


def _psql() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin/psql"))


def test_the_composed_servers_first_start_makes_every_role(server: PostgresServer, tmp_path: Path) -> None:
    """The script of infra/compose on a real server, under names of its own."""
    for name in ("vault", "airflow", *OfficeName):
        write_private(tmp_path / f"database_{name}_password", f"drawn-for-{name}-0123456789")
    script = (ROOT / "infra/compose/postgres-init.sh").read_text(encoding="utf-8")
    script = (
        script.replace("/run/secrets", str(tmp_path))
        .replace("dsr_vault", "dsr_first")
        .replace("database airflow", "database first_air")
    )
    environment = {
        "PATH": f"{_psql().parent}:{os.environ['PATH']}",
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGPASSWORD": read_secret(server.admin.password_file),
        "POSTGRES_USER": server.admin.user,
    }
    subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
    files = {office.value: tmp_path / f"database_{office.value}_password" for office in OfficeName}
    settings = server.admin.model_copy(
        update={
            "name": "dsr_first",
            "user": "dsr_first",
            "password_file": tmp_path / "database_vault_password",
            "password_files": files,
        }
    )

    migrate(settings)

    for office in OfficeName:
        account = settings.for_office(office)
        with psycopg.connect(server.dsn(account)) as connection:
            assert connection.execute("select current_user").fetchone() == (f"dsr_first_{office.value}",)


def test_an_office_comes_in_without_the_owners_password_and_is_told_what_it_may_not(settings: DatabaseSettings) -> None:
    here = settings.model_copy(update={"password_file": Path("/nonexistent")})
    database = Database(here.for_office("print"))
    try:
        with database.connect() as connection:
            assert connection.execute("select count(*) from outgoing").fetchone() == (0,)
        told = "permission denied for table cases; run dsr migrate"
        with pytest.raises(WrongUseError, match=told), database.connect() as connection:
            connection.execute("select * from cases")
    finally:
        database.close()
