"""The whole road in real Airflow processes: what came in, what went out, and what Airflow alone can't do."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from vault.domain.case import Case, Stage
from vault.steps.doors import open_mailbox
from vault.steps.queue import board
from vault.storage.drafts import package_of
from vault.testing import postgres
from vault.testing.atrest import dumps, files
from vault.testing.canaries import draw_canary, search
from vault.testing.cast import deliverer, drop_scans
from vault.testing.controller import ADDRESS
from vault.testing.demo.show import Played
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.patients import Patient
from vault.testing.processes import wait_until
from vault.testing.staff import StaffClient, airflow_assertion

# the first test's time holds the whole road's, which says itself what was late before this cuts it off
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
Wait = Callable[[str, Callable[[Case], bool]], Case]


def _cases(played: Played) -> list[Case]:
    with played.installation.office("operator") as parts:
        return [row.case for row in board(parts)]


def _client(played: Played, user: str) -> StaffClient:
    password = played.server.password_file(user).read_text().strip()
    return StaffClient.through_airflow(played.server.url, played.installation.settings().desk.url, user, password)


def test_every_request_was_answered_or_stands_as_an_exception(played: Played) -> None:
    stages = Counter(case.stage for case in _cases(played) if case.ref in _first(played))
    assert stages[Stage.ANSWERED] == 8
    assert stages[Stage.ASKED] == stages[Stage.MERGED] == stages[Stage.NOT_A_REQUEST] == 1
    assert sum(stages.values()) == 14


def _first(played: Played) -> set[str]:
    """The references of the first 14 cases; other tests send more."""
    return {case.ref for case in sorted(_cases(played), key=lambda case: case.received_at)[:14]}


def test_the_door_is_empty(played: Played) -> None:
    settings = played.installation.settings()
    assert open_mailbox(settings.mailbox).count() == 0
    assert list(settings.scans.folder.iterdir()) == []


def test_every_dag_is_parsed_and_ran(admin: httpx.Client) -> None:
    assert admin.get("/importErrors").json()["total_entries"] == 0
    ran = {run["dag_id"] for run in admin.get("/dags/~/dagRuns", params={"limit": 100}).json()["dag_runs"]}
    road = {"receive_mail", "receive_post", "prepare_answers", "check_identity", "review_drafts", "release_packages"}
    assert road <= ran
    failed = admin.get("/dags/~/dagRuns/~/taskInstances", params={"state": "failed", "limit": 50}).json()
    assert [item["task_id"] for item in failed["task_instances"] if item["task_id"] != "receive"] == []


def test_human_tasks_show_reference_and_date_only(admin: httpx.Client) -> None:
    details = admin.get("/dags/~/dagRuns/~/hitlDetails", params={"limit": 100}).json()["hitl_details"]
    assert details
    for detail in details:
        reference, date = detail["subject"].split(", due ")
        assert len(reference) == len("DSR-2026-7K3QXM")
        assert len(date) == len("2026-12-22")
        assert detail["body"].startswith("Decide at the desk: http://127.0.0.1:")
        assert detail["body"].endswith(reference)
        assert detail["params"] == {}


@pytest.mark.parametrize("user", ["dpo", "clinician", "registrar", "auditor", "operator"])
def test_staff_may_read_human_tasks_and_not_answer_them(played: Played, user: str) -> None:
    with played.server.api(user) as client:
        answer = client.get("/dags/check_identity/dagRuns/~/hitlDetails")
        assert answer.status_code == 200
        task = answer.json()["hitl_details"][0]["task_instance"]
        path = (
            f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
        )
        decided = {"chosen_options": ["Decided at the desk"], "params_input": {}}
        assert client.patch(f"{path}/hitlDetails", json=decided).status_code == 403
        assert client.patch(path, json={"new_state": "success"}).status_code == 403


def _path(task: dict[str, str]) -> str:
    run = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
    return f"{run}/taskInstances/{task['task_id']}/{task['map_index']}"


def test_the_way_to_the_desk_wants_a_user_with_a_role(played: Played) -> None:
    assert httpx.get(f"{played.server.url}/desk/open", timeout=30).status_code == 401
    password = played.server.password_file("desk").read_text().strip()
    with pytest.raises(Exception, match="403"):
        airflow_assertion(played.server.url, "desk", password)


def test_a_task_set_to_success_by_hand_releases_nothing(played: Played, admin: httpx.Client, case_when: Wait) -> None:
    ref = _drafted(played, case_when, 12)
    task = _human_task(admin, ref)
    path = _path(task)
    assert admin.patch(path, json={"new_state": "success"}).status_code == 200
    case = case_when(ref, lambda case: case.exception is not None)
    assert (case.stage, case.exception) == (Stage.DRAFTED, "task_without_decision")
    shown = next(line for line in _client(played, "dpo").board() if line.ref == ref)
    assert shown.exception == "task_without_decision"
    admin.post("/dags/release_packages/dagRuns", json={"logical_date": None})
    time.sleep(8)
    assert next(case for case in _cases(played) if case.ref == ref).stage is Stage.DRAFTED
    with played.installation.office("operator") as parts, parts.database.connect() as connection:
        assert package_of(connection, ref) is None


def _drafted(played: Played, case_when: Wait, place: int) -> str:
    """Send one more request and bring it to a draft by the registrar's decision."""
    patient = played.cast.people[place]
    text = request_text(patient.language, patient.name, patient.code)
    known = {case.ref for case in _cases(played)}
    deliverer(played.installation)(plain_mail(Letter(patient.name, "new@requester.example", ADDRESS, text)))
    wait_until(lambda: len(_cases(played)) > len(known), "the new case", seconds=90)
    ref = next(iter({case.ref for case in _cases(played)} - known))
    case_when(ref, lambda case: case.stage is Stage.CHECKING)
    _client(played, "registrar").prove(ref, "document_seen_in_person", "Identity document seen, not copied.")
    case_when(ref, lambda case: case.stage is Stage.DRAFTED)
    return ref


def _human_task(admin: httpx.Client, ref: str) -> dict[str, str]:
    found: list[dict[str, str]] = []

    def offered() -> bool:
        details = admin.get("/dags/review_drafts/dagRuns/~/hitlDetails", params={"subject_search": ref}).json()
        waiting = [
            d["task_instance"] for d in details["hitl_details"] if d["task_instance"]["state"] == "awaiting_input"
        ]
        found[:] = waiting
        return bool(found)

    wait_until(offered, "the human task", seconds=90)
    return found[0]


def test_a_killed_task_is_run_again_and_nothing_is_doubled(played: Played, admin: httpx.Client) -> None:
    before = len(_cases(played))
    drop_scans(played.cast)
    killed = _kill_running(admin, "receive_post")
    assert killed
    folder = played.installation.settings().scans.folder
    wait_until(lambda: len(_cases(played)) == before + 3 and not list(folder.iterdir()), "the retry", seconds=150)
    time.sleep(3)
    assert len(_cases(played)) == before + 3


def _kill_running(admin: httpx.Client, dag: str) -> list[int]:
    """Kill the processes of the DAG's running task with SIGKILL, in the middle of its work."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        listing = admin.get(f"/dags/{dag}/dagRuns/~/taskInstances", params={"state": "running"}).json()
        if listing["task_instances"]:
            found = _processes(listing["task_instances"][0]["id"])
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            if found:
                return found
        time.sleep(0.1)
    return []


def _processes(task_instance: str) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listing.splitlines() if task_instance in line and "ps -eo" not in line]


def test_airflow_holds_nothing_personal(played: Played, admin: httpx.Client) -> None:
    control = draw_canary()
    admin.post("/variables", json={"key": "control", "value": "x", "description": control}).raise_for_status()
    (played.server.home / "logs" / "control.log").write_text(f"planted {control}\n")
    personal = {f"{person.subject} {what}": value for person in played.cast.people for what, value in _of(person)}
    server = postgres.start(played.installation.home / "postgres")
    places = [*dumps(server, server.create_database("airflow")), *files(played.server.home)]
    found = search(places, {**personal, "control": control})
    assert {finding.canary for finding in found} == {"control"}
    assert len({finding.place for finding in found}) >= 2


def _of(person: Patient) -> list[tuple[str, str]]:
    contacts = person.contacts.body
    return [
        ("name", person.name),
        ("code", person.code),
        ("street", str(contacts["street"])),
        ("e-mail", str(contacts["email"])),
    ]
