"""PostgreSQL of one's own: Debian's or the wheel's, nobody in without the password, each owner in its own database."""

import os
from pathlib import Path

import psycopg
import pytest

from vault.errors import WrongUseError
from vault.testing import places, ports, postgres
from vault.testing.postgres import PostgresServer

REAL_GLOB = Path.glob


def no_debian_postgres(path: Path, pattern: str) -> list[Path]:
    return [] if str(path) == "/usr/lib/postgresql" else list(REAL_GLOB(path, pattern))


def test_missing_postgres_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", no_debian_postgres)
    monkeypatch.setattr(postgres, "_wheel", list)

    with pytest.raises(WrongUseError, match=r"package postgresql-15$") as caught, postgres.postgres():
        pass

    assert caught.value.code == "server_missing"


def test_postgres_of_the_wheel_takes_the_place_of_debians(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = postgres._wheel()
    monkeypatch.setattr(Path, "glob", no_debian_postgres)
    monkeypatch.setattr(postgres, "_wheel", lambda: wheel)

    with postgres.postgres() as server, psycopg.connect(server.dsn(server.create_database("a"))) as connection:
        version = connection.execute("show server_version_num").fetchone()

    assert version is not None
    assert int(version[0]) >= 180000


def test_the_wheels_binaries_are_copied_to_where_the_account_can_reach_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (wheel,) = postgres._wheel()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in (wheel.parents[1].name, f"{wheel.parents[1].name}.libs"):
        (closed / name).symlink_to(wheel.parents[2] / name)
    monkeypatch.setattr(Path, "glob", no_debian_postgres)
    monkeypatch.setattr(postgres, "_wheel", lambda: [closed / wheel.relative_to(wheel.parents[2])])

    with postgres.postgres() as server:
        copied = (places.base_of(server.home, None) / "postgresql").exists()

    assert copied == (os.geteuid() == 0)  # an ordinary user reaches his own folders


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("tcp", [False, True])
def test_postgres_lets_nobody_in_without_the_password(password: str, *, tcp: bool) -> None:
    with postgres.postgres(tcp=tcp) as server:
        settings = server.create_database("vault")
        host = "127.0.0.1" if tcp else server.host

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host=host, port=server.port, user="vault", dbname="vault", password=password, passfile="/nonexistent"
            )

        assert ports.answers(server.port) is tcp
        assert settings.password_file.stat().st_mode & 0o777 == 0o600
        assert Path(server.host).stat().st_mode & 0o777 == 0o700


def test_the_owner_of_one_database_does_not_enter_another() -> None:
    with postgres.postgres() as server:
        vault, airflow = server.create_database("vault"), server.create_database("airflow")

        with pytest.raises(psycopg.OperationalError, match="CONNECT"):
            psycopg.connect(server.dsn(vault.model_copy(update={"name": airflow.name})))


@pytest.mark.parametrize("name", ["", "Vault", "1a", 'a"b', "a;b", "ä", "a" * 42])
def test_a_database_has_a_plain_name(name: str) -> None:
    with pytest.raises(WrongUseError):
        PostgresServer("/nonexistent", 1, Path("/nonexistent")).create_database(name)


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_postgres_waits_for_the_disk_when_told_to(fsync: str, *, durable: bool) -> None:
    with postgres.postgres(durable=durable) as server, psycopg.connect(server.dsn(server.admin)) as connection:
        assert connection.execute("show fsync").fetchone() == (fsync,)
