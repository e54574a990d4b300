"""The database: nobody enters without the right password, an office finds its own room, a commit outlives a crash."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.cli.probes.rooms import room_trials
from vault.errors import OutOfReachError
from vault.settings import DatabaseSettings, Settings
from vault.storage.database import conninfo

_SECONDS = 10
_NO_FILE = "/nonexistent/pgpass"
_DURABLE = ("fsync", "full_page_writes")


def probe(settings: Settings) -> Iterator[Finding]:
    """Try the database as each office whose password this machine holds; without any, as the owner."""
    database = settings.database
    offices = sorted(office for office, file in database.password_files.items() if os.access(file, os.R_OK))
    account = database.for_office(offices[0]) if offices else database
    first, *others = tried("database", _trials(account))
    yield from (first, *others)
    if not database.password_files:
        yield from tried("database", iter([("gives each office an account of its own", _shared)]))
    for office in offices if first.fit else ():
        yield from tried("database", room_trials(office, partial(_connect, database.for_office(office))))


def _shared() -> str:
    raise UnfitError(
        "all offices would need the owner's; make roles (`dsr database roles`), set database.password_files"
    )


def _trials(settings: DatabaseSettings) -> Iterator[Trial]:
    yield "answers with the password", lambda: _answers(settings)
    yield "refuses a connection without a password", lambda: _refuses(settings, "")
    yield "refuses a wrong password", lambda: _refuses(settings, "not-the-password")
    yield "is spoken to over TLS or a local socket", lambda: _private_line(settings)
    yield "keeps passwords as SCRAM", lambda: _scram(settings)
    yield "keeps what was committed through a crash", lambda: _durable(settings)


def _answers(settings: DatabaseSettings) -> str:
    return f"PostgreSQL {_ask(settings, 'show server_version').split()[0]}"


def _refuses(settings: DatabaseSettings, password: str) -> str:
    # no password file of this account's may help out
    info = make_conninfo(conninfo(settings), password=password, passfile=_NO_FILE, connect_timeout=_SECONDS)
    try:
        psycopg.connect(info).close()
    except psycopg.OperationalError:
        return "refused"
    raise UnfitError("it let us in; set scram-sha-256 for every line of pg_hba.conf")


def _private_line(settings: DatabaseSettings) -> str:
    if Path(settings.host).is_absolute():
        return "a local socket"
    if _ask(settings, "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()") == "true":
        return "TLS"
    raise UnfitError("passwords and sealed data pass an open line; set database.ssl_mode to require")


def _scram(settings: DatabaseSettings) -> str:
    method = _ask(settings, "show password_encryption")
    if method == "scram-sha-256":
        return method
    raise UnfitError("it keeps new passwords as MD5; set password_encryption to scram-sha-256 and set them anew")


def _durable(settings: DatabaseSettings) -> str:
    values = {name: _ask(settings, f"show {name}") for name in (*_DURABLE, "synchronous_commit")}
    off = [name for name, value in values.items() if value == "off"]
    if off:
        raise UnfitError(f"a crash may lose log entries whose receipts were used; turn on {', '.join(off)}")
    return "fsync, full pages and synchronous commits are on"


def _ask(settings: DatabaseSettings, query: str) -> str:
    with _connect(settings) as connection:
        row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def _connect(settings: DatabaseSettings) -> "psycopg.Connection[tuple[object, ...]]":
    try:
        return psycopg.connect(conninfo(settings), connect_timeout=_SECONDS)
    except psycopg.Error:
        advice = "the database does not let us in; check that it runs, and user, name and password file in [database]"
        raise OutOfReachError("database_away", advice) from None
