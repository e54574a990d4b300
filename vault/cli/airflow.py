"""``dsr airflow``: place the DAGs and plugins, and make Airflow's tables, roles and users."""

import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import vault
from vault.cli.output import Answer, answering
from vault.errors import OutOfReachError, WrongUseError
from vault.settings import read_secret

_PARTS = ("dags", "plugins")
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


@click.group()
def airflow() -> None:
    """Prepare Apache Airflow for the road of a case."""


@airflow.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@answering
def install(directory: Path) -> Answer:
    """Place dags/, plugins/ and webserver_config.py into DIRECTORY."""
    files = place(directory)
    return Answer({"directory": str(directory), "files": files}, [f"{len(files)} files are in {directory}"])


@airflow.command()
@click.option("--passwords", required=True, type=click.Path(path_type=Path, file_okay=False), help="One file a user.")
@click.option("--demo-users", is_flag=True, help="Also make a user for each role of the staff.")
@answering
def setup(passwords: Path, demo_users: bool) -> Answer:
    """Make Airflow's tables, the roles and the desk's service user, in the database of AIRFLOW__... settings.

    A password file that is missing is made with a random password.
    """
    made = set_up(passwords, demo_users=demo_users, env=os.environ)
    return Answer(made, [f"roles: {', '.join(made['roles'])}", f"users: {', '.join(made['users'])}"])


def place(directory: Path) -> list[str]:
    """Copy the DAGs, the plugins and the sign-in settings, and return what was placed.

    :raises WrongUseError: the directory can't be written.
    """
    try:
        placed = [_copy(path, directory / part / path.name) for part in _PARTS for path in _sources(part)]
        placed.append(_copy(shipped("infra") / "webserver_config.py", directory / "webserver_config.py"))
    except OSError as error:
        raise WrongUseError("directory_unwritable", f"the directory can't be written ({error.strerror})") from None
    return [str(path.relative_to(directory)) for path in placed]


def set_up(passwords: Path, *, demo_users: bool, env: Mapping[str, str]) -> dict[str, Any]:
    """Make tables, roles and users in one process of Airflow's.

    :param passwords: the directory with one file a user; a missing file is made.
    :param env: Airflow's settings (`AIRFLOW__...`).
    :raises WrongUseError: Airflow is not installed, or `env` names no database.
    :raises OutOfReachError: Airflow refused; its words are on standard error.
    """
    if importlib.util.find_spec("airflow") is None:
        raise WrongUseError("airflow_missing", "Airflow is not installed; install dsr-vault[airflow]")
    if not any(f"{_DATABASE}{form}" in env for form in ("", "_CMD", "_SECRET")):
        raise WrongUseError("airflow_database", f"set {_DATABASE}_CMD, so that the set-up knows which database to use")
    users = _users(passwords, demo_users=demo_users)
    script = shipped("infra") / "set_up.py"
    done = subprocess.run(
        [sys.executable, script], check=False, input=json.dumps(users).encode(), stdout=subprocess.PIPE, env=dict(env)
    )
    if done.returncode != 0:
        raise OutOfReachError("airflow_setup", "Airflow's set-up failed; read what it says above and run this again")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def shipped(part: str) -> Path:
    """Find what is shipped for Airflow: `dags`, `plugins` or `infra`; in the wheel, else in the source tree."""
    package = Path(vault.__file__).parent
    inside = package / "_airflow" / part
    return inside if inside.exists() else package.parent / {"infra": "infra/airflow"}.get(part, part)


def _sources(part: str) -> list[Path]:
    return sorted(shipped(part).glob("*.py"))


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, target))


def _users(passwords: Path, *, demo_users: bool) -> list[dict[str, str]]:
    plan = json.loads((shipped("infra") / "users.json").read_text(encoding="utf-8"))
    wanted: Sequence[dict[str, str]] = plan["service"] + (plan["demo"] if demo_users else [])
    return [{**user, "password": _password(passwords / user["username"])} for user in wanted]


def _password(path: Path) -> str:
    """Read a user's password, or draw one into the file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(18))
    return read_secret(path)
