"""The desk and Airflow over an installation: the processes that people and machines work with."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from vault.cli.airflow import shipped
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, load
from vault.testing import airflow, postgres, processes
from vault.testing.airflow import AirflowServer
from vault.testing.airflow_env import Plan
from vault.testing.installation import Installation


def start_desk(installation: Installation) -> str:
    """Start the desk, or adopt the one that runs; return its address."""
    url = installation.settings().desk.url
    if processes.read_pid(installation.home / "desk.pid") is None:
        command = [sys.executable, "-c", "from vault.cli import main; main()", "desk"]
        process = processes.start_named("desk", installation.home, command, env=installation.environment())
        processes.wait_until(lambda: _answers(f"{url}/healthz"), "the desk", process=process)
    return url


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def stop_desk(installation: Installation) -> None:
    """Stop the desk."""
    processes.stop_named("desk", installation.home)


def plan_of(installation: Installation, *, short_heartbeats: bool = False) -> Plan:
    """Say what Airflow runs: our DAGs and plugins, its own database, and the way to our settings."""
    settings = installation.settings()
    return Plan(
        database=_database(installation),
        dags=shipped("dags"),
        plugins=shipped("plugins"),
        env={"DSR_CONFIG": str(installation.config), "DSR_DESK_URL": settings.desk.url},
        api_env={"DSR_ASSERTION_KEY_FILE": str(installation.assertion_key)},
        short_heartbeats=short_heartbeats,
        port=urlsplit(settings.desk.airflow_url).port or 0,
    )


def _database(installation: Installation) -> DatabaseSettings:
    return postgres.start(installation.home / "postgres").create_database("airflow")


def start_airflow(installation: Installation, *, short_heartbeats: bool = False) -> AirflowServer:
    """Start Airflow's four parts with our roles and users, or adopt them.

    :raises OutOfReachError: a part does not become healthy.
    """
    return airflow.start(plan_of(installation, short_heartbeats=short_heartbeats), installation.home / "airflow")


def stop_airflow(home: Path) -> None:
    """Stop Airflow's parts and every task they started."""
    airflow.stop(home / "airflow")


def found(home: Path) -> Installation:
    """Return the installation that lies in a folder.

    :raises WrongUseError: there is none.
    """
    installation = Installation(home)
    if not installation.config.is_file():
        raise WrongUseError("no_installation", "nothing lies there; run `make demo` first")
    load(installation.config)
    return installation
