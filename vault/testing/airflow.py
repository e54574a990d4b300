"""A whole Airflow of one's own: api-server, scheduler, dag-processor and triggerer with FAB's users on PostgreSQL."""

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from vault.cli.airflow import set_up
from vault.errors import OutOfReachError
from vault.settings import read_secret
from vault.testing import places, processes
from vault.testing.airflow_env import Plan, environment
from vault.testing.ports import free_port

# logs are read from the shared folder, so nobody needs to listen on a port for them
PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_HEALTHY_SECONDS = 300.0  # half a minute alone on two cores
_LAST = 15  # lines of a part's log that are shown where Airflow does not start
_HEALTH = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass(frozen=True, slots=True)
class AirflowServer:
    """A running Airflow.

    :param home: its `AIRFLOW_HOME`: logs, secrets, passwords, pid files.
    """

    port: int
    home: Path

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def password_file(self, user: str) -> Path:
        """Name the file with a user's password: `desk`, `dpo`, `clinician`, `registrar`, `auditor`, `operator`."""
        return self.home / "passwords" / user

    def api(self, user: str) -> httpx.Client:
        """Sign in as that user and give a client for `/api/v2`.

        :raises OutOfReachError: Airflow refuses the password.
        """
        body = {"username": user, "password": read_secret(self.password_file(user))}
        answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=60)
        if answer.status_code != httpx.codes.CREATED:
            raise OutOfReachError("airflow_refused", f"Airflow answered {answer.status_code} to a sign-in")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60)

    def health(self) -> dict[str, Any]:
        """Tell how each part says it is: `healthy`, `unhealthy` or None."""
        answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
        return {part: (answer.get(part) or {}).get("status") for part in _HEALTH}

    def is_healthy(self) -> bool:
        """Tell whether all parts are healthy."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            return set(self.health().values()) == {"healthy"}
        return False


@contextlib.contextmanager
def airflow(plan: Plan, directory: Path | None = None) -> Iterator[AirflowServer]:
    """Run Airflow while inside, with our roles, the service user and a user for each role.

    :raises OutOfReachError: a part does not start.
    """
    with places.lent(functools.partial(start, plan), stop, directory, "dsr-airflow-") as server:
        yield server


def start(plan: Plan, directory: Path) -> AirflowServer:
    """Start an Airflow that outlives us, or adopt the one that runs there; a part that died is started again.

    :raises OutOfReachError: a part does not start or is not healthy within five minutes.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = _recall(directory) or AirflowServer(plan.port or free_port(), directory)
    env = environment(plan, directory, server.port, os.environ)
    if not (directory / "server.json").exists():
        set_up(directory / "passwords", demo_users=True, env=env)
        places.write_private(directory / "server.json", json.dumps({"port": server.port}))
    try:
        processes.wait_until(functools.partial(_up, plan, server), "Airflow", seconds=_HEALTHY_SECONDS)
    except OutOfReachError:
        _tell(server)
        raise
    return server


def _up(plan: Plan, server: AirflowServer) -> bool:
    """Start each part, anew where one died at its start, and tell whether all are healthy."""
    for part in PARTS:
        start_part(part, plan, server)
    return server.is_healthy()


def _tell(server: AirflowServer) -> None:
    """Say how each part is, and what its log said last."""
    with contextlib.suppress(httpx.HTTPError, ValueError):
        sys.stderr.write(f"{server.health()}\n")
    for part in PARTS:
        log = server.home / f"{part}.log"
        words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST:] if log.exists() else []
        sys.stderr.write("\n".join([f"{part}:", *words, ""]))


def start_part(part: str, plan: Plan, server: AirflowServer) -> None:
    """Start one part, unless it runs."""
    if processes.read_pid(server.home / f"{part}.pid") is not None:
        return
    processes.stop_named(part, server.home)  # what it started before it died
    env = environment(plan, server.home, server.port, os.environ)
    if part == "api-server":
        env |= plan.api_env
    command = [sys.executable, "-m", "airflow", part, *PARTS[part]]
    processes.start_named(part, server.home, command, env=env, cwd=server.home)


def stop(directory: Path) -> None:
    """Stop all parts that run there and every task that they started; logs and secrets stay."""
    for _ in range(2):  # the triggerer needs to be told twice, else it waits for ten seconds
        _ask_to_end(directory)
    for part in PARTS:
        processes.stop_named(part, directory)


def destroy(directory: Path) -> None:
    """Stop Airflow and remove its logs, secrets and passwords; its database is not touched."""
    stop(directory)
    places.discard(directory)


def _ask_to_end(directory: Path) -> None:
    """Ask all parts at once, and wait up to three seconds for them."""
    running = processes.running_in(directory)
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(OutOfReachError):
        processes.wait_until(lambda: not any(process.alive() for process in running), "Airflow's end", seconds=3)


def _recall(home: Path) -> AirflowServer | None:
    note = home / "server.json"
    return AirflowServer(int(json.loads(note.read_text(encoding="utf-8"))["port"]), home) if note.exists() else None
