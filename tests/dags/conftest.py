"""The whole road once, in real Airflow processes, for every test of this folder; all of it keeps running."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from vault.domain.case import Case
from vault.steps.queue import board
from vault.testing import installation as installations
from vault.testing.airflow_env import environment
from vault.testing.demo.show import Played, Show
from vault.testing.pipeline import plan_of, stop_airflow
from vault.testing.places import private_directory
from vault.testing.processes import wait_until


@pytest.fixture(scope="session")
def played() -> Iterator[Played]:
    home = private_directory("dsr-road-")
    try:
        yield Show(home, 30, short_heartbeats=True).run()
    finally:
        stop_airflow(home)
        installations.destroy(home)


@pytest.fixture(scope="session")
def admin(played: Played) -> httpx.Client:
    """An Airflow administrator: she may do everything there, and still releases nothing."""
    plan = plan_of(played.installation, short_heartbeats=True)
    env = environment(plan, played.server.home, played.server.port, played.installation.environment())
    person = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "a@clinic.example"]
    command = [sys.executable, "-m", "airflow", "users", "create", "--role", "Admin", *person]
    subprocess.run([*command, "--password", "a-long-test-secret"], env=env, check=True, capture_output=True)
    body = {"username": "admin", "password": "a-long-test-secret"}
    token = httpx.post(f"{played.server.url}/auth/token", json=body, timeout=30).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{played.server.url}/api/v2", headers=headers, timeout=30)


@pytest.fixture
def case_when(played: Played) -> Callable[[str, Callable[[Case], bool]], Case]:
    """Wait until a case is as wanted, and return it."""

    def wait(ref: str, wanted: Callable[[Case], bool]) -> Case:
        found: list[Case] = []

        def there() -> bool:
            with played.installation.office("operator") as parts:
                found[:] = [row.case for row in board(parts) if row.case.ref == ref and wanted(row.case)]
            return bool(found)

        wait_until(there, f"case {ref}", seconds=120)
        return found[0]

    return wait
