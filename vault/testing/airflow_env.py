"""Airflow's settings as environment variables: private, small enough for two cores, secrets from files."""

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from vault.cli.airflow import shipped
from vault.settings import DatabaseSettings, read_secret
from vault.testing import places

_FIXED = {
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "CORE__PARALLELISM": "4",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": "1",
    "API__EXPOSE_CONFIG": "False",
    "API__EXPOSE_STACKTRACE": "False",
    "API__ENABLE_SWAGGER_UI": "False",
    "API__INSTANCE_NAME": "DSR Vault",
    "API_AUTH__JWT_EXPIRATION_TIME": "28800",  # one working day
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    "FAB__SESSION_LIFETIME_MINUTES": "480",
    "FAB__AUTH_RATE_LIMITED": "True",
    "FAB__AUTH_RATE_LIMIT": "20 per 40 second",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "LOGGING__FAB_LOGGING_LEVEL": "WARNING",
    "LOGGING__UVICORN_LOGGING_LEVEL": "WARNING",
    "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
    "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
    "DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
}
_SHORT = {  # a killed task or scheduler is noticed within seconds
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one Airflow is to run.

    :param database: its own database, not the vault's.
    :param env: variables for all of its processes, such as `DSR_CONFIG`.
    :param api_env: variables for the api-server alone, such as the key that signs the way to the desk.
    :param short_heartbeats: notice a killed task within some ten seconds; costs a little processor time.
    :param port: where the api-server listens on 127.0.0.1; 0 chooses a free one.
    """

    database: DatabaseSettings
    dags: Path
    plugins: Path
    env: Mapping[str, str] = field(default_factory=dict)
    api_env: Mapping[str, str] = field(default_factory=dict)
    short_heartbeats: bool = False
    port: int = 0


def environment(plan: Plan, home: Path, port: int, outer: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of every Airflow process under `home`.

    :param port: where the api-server listens on 127.0.0.1.
    :param outer: our own environment; its Airflow settings are dropped.
    """
    ours = {
        **_FIXED,
        **(_SHORT if plan.short_heartbeats else {}),
        **_secrets(plan.database, home / "secrets"),
        "CORE__DAGS_FOLDER": str(plan.dags),
        "CORE__PLUGINS_FOLDER": str(plan.plugins),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "FAB__CONFIG_FILE": str(shipped("infra") / "webserver_config.py"),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
    }
    # four processes that import half a gigabyte of modules each: let the first keep what it compiled
    dropped = ("AIRFLOW", "_AIRFLOW", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in outer.items() if not name.startswith(dropped)}
    settings = {f"AIRFLOW__{name}": value for name, value in ours.items()}
    return {**kept, "AIRFLOW_HOME": str(home), "PYTHONUNBUFFERED": "1", **settings, **plan.env}


def _secrets(database: DatabaseSettings, folder: Path) -> dict[str, str]:
    """Write each secret into its file once, and name the command that reads it."""
    drawn = {
        "CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "API__SECRET_KEY": secrets.token_urlsafe(48),
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
    }
    for name, value in drawn.items():
        if not (folder / name.lower()).exists():
            places.write_private(folder / name.lower(), value)
    places.write_private(folder / "database__sql_alchemy_conn", _address(database))
    names = (*drawn, "DATABASE__SQL_ALCHEMY_CONN")
    return {f"{name}_CMD": f"cat {shlex.quote(str(folder / name.lower()))}" for name in names}


def _address(database: DatabaseSettings) -> str:
    """Spell SQLAlchemy's address; our passwords need no escapes, they are URL-safe by construction."""
    password = read_secret(database.password_file)
    return (
        f"postgresql+psycopg2://{database.user}:{password}@/{database.name}?host={database.host}&port={database.port}"
    )
