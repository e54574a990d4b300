"""The road with Airflow: real scheduler, triggerer and tasks; a scripted clinician works off the Required Actions."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.meter import Cost, Meter, own_seconds
from bench.road import release
from vault.desk.airflow import DECIDED
from vault.domain.case import Stage
from vault.errors import OutOfReachError
from vault.steps.parts import Parts
from vault.steps.queue import ref_in
from vault.storage.cases import all_cases, get_case
from vault.testing.airflow import AirflowServer
from vault.testing.cast import deliverer
from vault.testing.installation import Installation

_IDLE_SECONDS = 15.0
_POLL_SECONDS = 2.0
_PAGE = 100


@dataclass(slots=True)
class Watched:
    """What was seen.

    :param idle: Airflow without work, for some seconds.
    :param road: from the first mail at the door until every case is answered.
    :param closing: from there until Airflow has closed the last human task.
    :param deciding: CPU-seconds of the scripted clinician, which belong to the road.
    :param tasks: task instances that ended, by DAG.
    """

    idle: Cost
    road: Cost
    closing: Cost
    deciding: float
    tasks: dict[str, int] = field(default_factory=dict)


class Watch:
    """Runs the cases of one installation through its Airflow."""

    def __init__(self, installation: Installation, server: AirflowServer, say: Callable[[str], None]) -> None:
        self._installation = installation
        self._server = server
        self._say = say
        self._meter = Meter(installation.home)
        self._deciding = 0.0

    def run(self, mails: list[bytes], seconds: float) -> Watched:
        """Drop the mails and wait until all is answered and closed.

        :raises OutOfReachError: it takes longer than ``seconds``.
        """
        costs: list[Cost] = []
        with self._meter.lap(costs):
            time.sleep(_IDLE_SECONDS)
        drop = deliverer(self._installation)
        until = time.monotonic() + seconds
        with self._installation.office("desk") as parts, self._server.api("desk") as desk:
            with self._meter.lap(costs):
                for raw in mails:
                    drop(raw)
                self._until_answered(parts, desk, len(mails), until)
            with self._meter.lap(costs), self._server.api("operator") as operator:
                self._until_closed(parts, desk, operator, until)
        idle, road, closing = costs
        return Watched(idle, road, closing, self._deciding, self._tasks())

    def _until_answered(self, parts: Parts, desk: httpx.Client, count: int, until: float) -> None:
        seen: dict[str, int] = {}
        while seen.get(Stage.ANSWERED.value, 0) < count:
            if time.monotonic() > until:
                raise OutOfReachError("bench_late", f"Airflow did not end in time: {seen}; look at its logs")
            self._decide(parts, desk)
            time.sleep(_POLL_SECONDS)
            now = _stages(parts)
            if now != seen:
                self._say(", ".join(f"{number} {stage}" for stage, number in now.items()))
            seen = now

    def _until_closed(self, parts: Parts, desk: httpx.Client, operator: httpx.Client, until: float) -> None:
        while any(_active(operator, dag) for dag in ("review_drafts", "release_packages")):
            if time.monotonic() > until:
                raise OutOfReachError("bench_late", "Airflow did not close its human tasks in time; look at its logs")
            self._decide(parts, desk)
            time.sleep(_POLL_SECONDS)

    def _decide(self, parts: Parts, desk: httpx.Client) -> None:
        """Decide what the Required Actions show, then say so, as the desk does."""
        waiting = desk.get(
            "/dags/review_drafts/dagRuns/~/hitlDetails", params={"response_received": "false", "limit": _PAGE}
        ).raise_for_status()
        details = waiting.json()["hitl_details"]
        before = own_seconds()
        for detail in details:
            _release_once(parts, ref_in(detail["subject"]))
        self._deciding += own_seconds() - before
        for detail in details:
            _answer(desk, detail["task_instance"])
        if details:
            _wake(desk)

    def _tasks(self) -> dict[str, int]:
        with self._server.api("operator") as client:
            return {dag: _count(client, f"/dags/{dag}/dagRuns/~/taskInstances") for dag in _dags(client)}


def _release_once(parts: Parts, ref: str) -> None:
    with parts.database.connect() as connection:
        stage = get_case(connection, ref).stage
    if stage is Stage.DRAFTED:
        release(parts, ref)


def _answer(desk: httpx.Client, task: dict[str, Any]) -> None:
    path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
    answer = desk.patch(f"{path}/hitlDetails", json={"chosen_options": [DECIDED], "params_input": {}})
    if answer.status_code not in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
        answer.raise_for_status()


def _wake(desk: httpx.Client) -> None:
    found = desk.get("/assets", params={"uri_pattern": "dsr://decisions"}).raise_for_status().json()["assets"]
    for asset in found:
        desk.post("/assets/events", json={"asset_id": asset["id"], "extra": {}}).raise_for_status()


def _stages(parts: Parts) -> dict[str, int]:
    seen: dict[str, int] = {}
    with parts.database.connect() as connection:
        for case in all_cases(connection):
            word = case.stage.value if case.exception is None else f"{case.stage.value} ({case.exception})"
            seen[word] = seen.get(word, 0) + 1
    return seen


def _active(client: httpx.Client, dag: str) -> int:
    return sum(_count(client, f"/dags/{dag}/dagRuns", state=state) for state in ("queued", "running"))


def _dags(client: httpx.Client) -> list[str]:
    return sorted(dag["dag_id"] for dag in client.get("/dags").raise_for_status().json()["dags"])


def _count(client: httpx.Client, path: str, **filters: str) -> int:
    answer = client.get(path, params={"limit": 1, **filters}).raise_for_status()
    return int(answer.json()["total_entries"])
