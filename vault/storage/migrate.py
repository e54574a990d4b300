"""Brings the database to a version, up or down, with Alembic."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from vault.domain.roles import OfficeName
from vault.errors import OutOfReachError
from vault.settings import DatabaseSettings, read_secret
from vault.storage.database import Connection
from vault.storage.privileges import apply


def engine(settings: DatabaseSettings) -> sa.Engine:
    """Make a pool-less SQLAlchemy engine for the migrations."""
    socket = settings.host.startswith("/")
    url = sa.URL.create(
        "postgresql+psycopg",
        username=settings.user,
        password=read_secret(settings.password_file),
        host=None if socket else settings.host,
        port=settings.port,
        database=settings.name,
        query={"host": settings.host, "sslmode": settings.ssl_mode} if socket else {"sslmode": settings.ssl_mode},
    )
    return sa.create_engine(url, poolclass=sa.NullPool)


def migrate(settings: DatabaseSettings, target: str = "head") -> str:
    """Move the schema to ``target`` (``head``, ``base`` or a revision) and return where it stands.

    The offices' rights are brought to what this release says, in the same transaction.

    :raises OutOfReachError: the database does not answer.
    :raises WrongUseError: ``roles_missing``: the settings name an office whose role the administrator has not made.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine(settings).begin() as connection:
            # one at a time: two deployments that start together must not both migrate
            connection.execute(sa.text("select pg_advisory_xact_lock(7041)"))
            config.attributes["connection"] = connection
            current = MigrationContext.configure(connection).get_current_revision()
            down = target == "base" or (target != "head" and current is not None and target < current)
            (command.downgrade if down else command.upgrade)(config, target)
            apply(_driver(connection), map(OfficeName, settings.password_files))
            return MigrationContext.configure(connection).get_current_revision() or "base"
    except sa.exc.OperationalError:
        raise OutOfReachError(
            "database_away", "the database does not answer; start it and run dsr migrate again"
        ) from None


def _driver(connection: sa.Connection) -> Connection:
    """Give psycopg's own connection, in whose transaction the migrations run."""
    driver: Connection = connection.connection.driver_connection  # type: ignore[assignment]  # Alembic's Any
    return driver
