"""PostgreSQL connections: one transaction a block, refused without a password, clear when out of reach."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from vault.domain.private import Private
from vault.errors import OutOfReachError, WrongUseError
from vault.settings import DatabaseSettings, read_secret

_CONNECT_SECONDS = 15.0
Connection = psycopg.Connection[tuple[Any, ...]]


def conninfo(settings: DatabaseSettings) -> str:
    """Spell the connection string, password included; never log it.

    :raises WrongUseError: the password file is missing, empty or holds a default.
    """
    return make_conninfo(
        host=settings.host,
        port=settings.port,
        dbname=settings.name,
        user=settings.user,
        password=read_secret(settings.password_file),
        sslmode=settings.ssl_mode,
        application_name="dsr-vault",
        keepalives_idle=60,
        keepalives_interval=10,
        keepalives_count=6,
    )


def _pool(info: str, size: int) -> "ConnectionPool[Connection]":
    return ConnectionPool(
        info,
        kwargs={"autocommit": True},  # transactions are opened where a block wants one
        min_size=0,
        max_size=size,
        open=False,
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_CONNECT_SECONDS,
    )


class Ask(Protocol):
    """Gives the rows of one statement."""

    def __call__(
        self, query: LiteralString, values: Sequence[object], *, binary: bool = False
    ) -> list[tuple[Any, ...]]:
        """Run it."""
        ...


def asking(connection: Connection) -> Ask:
    """Let a statement run inside a connection's transaction, where else it would be one of its own."""

    def ask(query: LiteralString, values: Sequence[object], *, binary: bool = False) -> list[tuple[Any, ...]]:
        return connection.execute(query, values, binary=binary).fetchall()

    return ask


def columns(rows: Sequence[Sequence[object]], width: int) -> list[list[Any]]:
    """Turn rows into the arrays of which PostgreSQL's ``unnest`` makes rows again: one statement for all of them.

    :param width: values a row, so that there are as many arrays where there is no row.
    """
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


class Database(Private):
    """A small pool; ``connect`` gives a connection whose block is one transaction.

    :param settings: where and as whom; or a ready connection string in tests.
    """

    def __init__(self, settings: DatabaseSettings | str, *, size: int = 4) -> None:
        info = settings if isinstance(settings, str) else conninfo(settings)
        self._pool = _pool(info, size)
        self._locks = _pool(info, size)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection; commit when the block ends well, roll back when it raises.

        :raises OutOfReachError: the database does not answer within 15 seconds or went away.
        :raises WrongUseError: ``database_right_missing``: the office's role may not do that.
        """
        with self._lent(self._pool) as connection, connection.transaction():
            yield connection

    def ask(self, query: LiteralString, values: Sequence[object], *, binary: bool = False) -> list[tuple[Any, ...]]:
        """Return the rows of one statement that is a transaction of its own: one round trip instead of three.

        :raises OutOfReachError: as for ``connect``.
        :raises WrongUseError: as for ``connect``.
        """
        with self._lent(self._pool) as connection:
            return connection.execute(query, values, binary=binary).fetchall()

    @contextmanager
    def lock(self) -> Iterator[Connection]:
        """Yield a connection that only holds a lock while others work; each statement is a transaction of its own.

        It comes from a pool of its own: were both from one, as many holders as connections
        would wait for each other for ever.

        :raises OutOfReachError: as for ``connect``.
        """
        with self._lent(self._locks) as connection:
            yield connection

    @contextmanager
    def _lent(self, pool: "ConnectionPool[Connection]") -> Iterator[Connection]:
        pool.open()
        try:
            with pool.connection() as connection:
                yield connection
        except psycopg.errors.InsufficientPrivilege as error:
            why = error.diag.message_primary  # names of tables and policies, no values
            raise WrongUseError("database_right_missing", f"{why}; run dsr migrate with this release") from None
        except (PoolTimeout, psycopg.OperationalError):
            raise OutOfReachError(
                "database_away", "the database does not answer; check that PostgreSQL runs and the step runs again"
            ) from None

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        self._locks.close()
