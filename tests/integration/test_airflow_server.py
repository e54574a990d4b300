"""Airflow of one's own: what each role may do over REST, what listens where, and that it is found again and ends."""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from vault.cli.airflow import set_up
from vault.settings import read_secret
from vault.testing import airflow, places, postgres, processes
from vault.testing.airflow import PARTS, AirflowServer
from vault.testing.airflow_env import Plan, environment
from vault.testing.postgres import PostgresServer

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

DAGS = """
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Asset, task

with DAG("review_drafts", schedule=None):
    HITLOperator.partial(task_id="decide", options=["Decided"]).expand_kwargs(
        [{"subject": f"DSR-2026-AAAAA{n}", "body": "due"} for n in range(7)]
    )

with DAG("woken", schedule=[Asset("dsr://cases")]):

    @task
    def say():
        print("woken")

    say()
"""
STAFF = ("dpo", "clinician", "registrar", "auditor", "operator")
EVERYBODY = (*STAFF, "desk")


@dataclass(frozen=True)
class House:
    """An Airflow, its database and what it runs."""

    server: AirflowServer
    database: PostgresServer
    plan: Plan


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Run it once for all tests; at the end nothing that it started may be left."""
    with postgres.postgres() as database:
        folder = places.private_directory("dsr-house-")
        for name in ("dags", "plugins"):
            (folder / name).mkdir()
        (folder / "dags" / "two.py").write_text(DAGS)
        plan = Plan(database.create_database("airflow"), folder / "dags", folder / "plugins", short_heartbeats=True)
        try:
            with airflow.airflow(plan, folder / "a home with spaces") as server:
                with server.api("operator") as api:
                    processes.wait_until(lambda: api.get("/dags").json()["total_entries"] == 2, "the DAGs", seconds=240)
                yield House(server, database, plan)
                started = own_processes(server)
            assert len(started) > len(PARTS)
            assert not any(process.alive() for process in started)
        finally:
            places.discard(folder)


@pytest.fixture(scope="module")
def signed_in(house: House) -> dict[str, httpx.Client]:
    """Sign each user in once."""
    return {user: house.server.api(user) for user in EVERYBODY}


@pytest.fixture(scope="module")
def waiting(signed_in: dict[str, httpx.Client]) -> list[Mapping[str, Any]]:
    """Start a run with seven human tasks and give them once all wait."""
    api, path = signed_in["operator"], "/dags/~/dagRuns/~/hitlDetails"
    assert api.post("/dags/review_drafts/dagRuns", json={"logical_date": None}).status_code == 200
    processes.wait_until(lambda: api.get(path).json()["total_entries"] == 7, "the human tasks", seconds=240)
    tasks = [detail["task_instance"] for detail in api.get(path).json()["hitl_details"]]
    return sorted(tasks, key=lambda task: int(task["map_index"]))


def path_of(task: Mapping[str, Any]) -> str:
    return f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"


@pytest.mark.parametrize("user", STAFF)
def test_the_staff_see_human_tasks_and_the_desks_plugin_and_decide_nothing_in_airflow(
    signed_in: dict[str, httpx.Client], waiting: list[Mapping[str, Any]], user: str
) -> None:
    api, task = signed_in[user], waiting[STAFF.index(user)]
    path = path_of(task)
    run = f"/dags/review_drafts/dagRuns/{task['dag_run_id']}"
    clear = {"dry_run": False, "dag_run_id": task["dag_run_id"]}

    seen = {get: api.get(get).status_code for get in ("/dags/~/dagRuns/~/hitlDetails", "/plugins", path)}
    tried = {
        "answer": api.patch(f"{path}/hitlDetails", json={"chosen_options": ["Decided"], "params_input": {}}),
        "set to success": api.patch(path, json={"new_state": "success"}),
        "clear": api.post("/dags/review_drafts/clearTaskInstances", json=clear),
        "end the run": api.patch(run, json={"state": "success"}),
        "delete the run": api.delete(run),
        "wake by asset": api.post("/assets/events", json={"asset_id": 1, "extra": {}}),
        "make a variable": api.post("/variables", json={"key": "k", "value": "v"}),
    }

    assert set(seen.values()) == {200}
    assert {what: answer.status_code for what, answer in tried.items()} == dict.fromkeys(tried, 403)


@pytest.mark.parametrize("user", EVERYBODY)
def test_the_operator_alone_runs_and_pauses_dags(signed_in: dict[str, httpx.Client], user: str) -> None:
    api, expected = signed_in[user], 200 if user == "operator" else 403

    paused = api.patch("/dags/woken", json={"is_paused": False}).status_code
    triggered = api.post("/dags/woken/dagRuns", json={"logical_date": None}).status_code

    assert (paused, triggered) == (expected, expected)


def test_the_desk_answers_a_human_task_once_and_wakes_a_dag(
    signed_in: dict[str, httpx.Client], waiting: list[Mapping[str, Any]]
) -> None:
    api, path = signed_in["desk"], path_of(waiting[6])
    answer = {"chosen_options": ["Decided"], "params_input": {}}

    assert api.patch(path, json={"new_state": "success"}).status_code == 403
    assert api.patch(f"{path}/hitlDetails", json=answer).status_code == 200
    assert api.patch(f"{path}/hitlDetails", json=answer).status_code == 409
    asset = next(asset for asset in api.get("/assets").json()["assets"] if "cases" in asset["uri"])
    assert api.post("/assets/events", json={"asset_id": asset["id"], "extra": {}}).status_code == 200

    api, woken = signed_in["operator"], "/dags/woken/dagRuns?run_type=asset_triggered&state=success"
    processes.wait_until(lambda: api.get(woken).json()["total_entries"] == 1, "the woken run", seconds=240)


@pytest.mark.parametrize("user", EVERYBODY)
def test_nobody_reads_airflows_own_secrets(signed_in: dict[str, httpx.Client], user: str) -> None:
    paths = ("/connections", "/variables", "/config", "/providers")

    assert {signed_in[user].get(path).status_code for path in paths} == {403}


@pytest.mark.parametrize("path", ["/dags", "/dags/~/dagRuns/~/hitlDetails", "/plugins"])
def test_a_stranger_sees_nothing(house: House, path: str) -> None:
    assert httpx.get(f"{house.server.url}/api/v2{path}").status_code == 401


def own_processes(server: AirflowServer) -> list[processes.Running]:
    running = processes.running_in(server.home)
    return [member for process in running for member in processes.session_of(process.pid)]


def shown_by(process: processes.Running) -> str:
    with contextlib.suppress(OSError):  # a task may end while we look
        return "".join(Path(f"/proc/{process.pid}", name).read_bytes().decode() for name in ("environ", "cmdline"))
    return ""


def sockets_of(process: processes.Running) -> set[str]:
    links: list[str] = []
    with contextlib.suppress(OSError):
        links = [str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def test_it_listens_on_one_port_of_this_machine_only(house: House) -> None:
    sockets = set().union(*map(sockets_of, own_processes(house.server)))
    table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split() for line in table.splitlines()]

    listening = {row[1] for row in rows if len(row) > 9 and row[3] == "0A" and row[9] in sockets}

    assert listening == {f"0100007F:{house.server.port:04X}"}


def test_no_secret_stands_in_an_environment_or_on_a_command_line(house: House) -> None:
    files = [*(house.server.home / "secrets").iterdir(), *(house.server.home / "passwords").iterdir()]
    secrets = [read_secret(file) for file in files] + [read_secret(house.plan.database.password_file)]
    shown = [shown_by(process) for process in own_processes(house.server)]

    assert len(secrets) == 4 + 6 + 1
    assert any(shown)
    assert not any(secret in text for secret in secrets for text in shown)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


def test_logs_are_private(house: House, waiting: list[Mapping[str, Any]]) -> None:
    assert waiting
    logs = list((house.server.home / "logs").rglob("attempt=*.log"))

    assert logs
    assert all(path.stat().st_mode & 0o077 == 0 for path in logs)
    assert house.server.home.stat().st_mode & 0o077 == 0


def test_a_part_that_was_killed_is_started_again_and_the_others_stay(house: House) -> None:
    home = house.server.home
    before = {part: processes.read_pid(home / f"{part}.pid") for part in PARTS}
    killed = before["dag-processor"]
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    processes.wait_until(lambda: not killed.alive(), "the kill", seconds=5)

    assert airflow.start(house.plan, home) == house.server

    after = {part: processes.read_pid(home / f"{part}.pid") for part in PARTS}
    assert {part for part in PARTS if after[part] != before[part]} == {"dag-processor"}
    assert all(after.values())


def test_a_right_that_somebody_added_is_taken_away_by_the_next_set_up(house: House) -> None:
    add = """
        insert into ab_permission_view_role (id, permission_view_id, role_id)
        select (select max(id) + 1 from ab_permission_view_role), pair.id, role.id from ab_permission_view pair
          join ab_permission action on action.id = pair.permission_id
          join ab_view_menu resource on resource.id = pair.view_menu_id
          join ab_role role on role.name = 'clinician'
         where action.name = 'can_edit' and resource.name = 'Task Instances'
        returning role_id"""
    count = """
        select count(*) from ab_permission_view_role held
          join ab_role role on role.id = held.role_id where role.name = 'clinician'"""
    with psycopg.connect(house.database.dsn(house.plan.database), autocommit=True) as connection:
        before = connection.execute(count).fetchone()
        assert connection.execute(add).fetchone() is not None
        env = environment(house.plan, house.server.home, house.server.port, os.environ)

        set_up(house.server.home / "passwords", demo_users=False, env=env)

        assert connection.execute(count).fetchone() == before
