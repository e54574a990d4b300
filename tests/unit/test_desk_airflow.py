"""A word to Airflow: what is said, about which task, and that its failure is counted and harms nothing."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from vault.desk.airflow import AirflowWord
from vault.settings import DeskSettings
from vault.testing.processes import wait_until

REF = "DSR-2026-7K3QXM"


def task(subject: str, index: int) -> dict[str, object]:
    place = {"dag_id": "review_drafts", "dag_run_id": "r1", "task_id": "decide", "map_index": index}
    return {"subject": subject, "task_instance": place}


class Airflow(BaseHTTPRequestHandler):
    said: ClassVar[list[tuple[str, str, object]]] = []
    status: ClassVar[int] = 200
    answers: ClassVar[dict[str, object]] = {
        "/auth/token": {"access_token": "bearer"},
        "/api/v2/assets": {"assets": [{"id": 4, "uri": "dsr://decisions/"}, {"id": 5, "uri": "dsr://decisions/old"}]},
        "/api/v2/dags/review_drafts/dagRuns/~/hitlDetails": {
            "hitl_details": [task(f"{REF}, due 2026-05-05", 3), task(f"X{REF}", 4)]
        },
    }

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.said.append((self.command, path, json.loads(body) if body else None))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers.get(path, {})).encode())

    def log_message(self, *_: object) -> None:
        pass


for verb in ("GET", "POST", "PATCH"):
    setattr(Airflow, f"do_{verb}", Airflow.answer)


@pytest.fixture
def airflow() -> Iterator[str]:
    Airflow.said.clear()
    Airflow.status = 200
    server = HTTPServer(("127.0.0.1", 0), Airflow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def word(tmp_path: Path, url: str, *, password: bool = True) -> AirflowWord:
    secret = tmp_path / "password"
    secret.write_text("correct horse battery")
    secret.chmod(0o600)
    settings = DeskSettings(
        url="http://desk.example",
        assertion_public_key_file=secret,
        session_secret_file=secret,
        decision_public_key_file=secret,
        airflow_url=url,
        airflow_user="desk",
        airflow_password_file=secret if password else None,
    )
    return AirflowWord(settings)


def test_the_cases_task_is_answered_and_the_machines_are_woken(tmp_path: Path, airflow: str) -> None:
    word(tmp_path, airflow).decided("review_drafts", REF, "dsr://decisions")

    wait_until(lambda: any(method == "PATCH" for method, _, _ in Airflow.said), "the answer")
    assert ("POST", "/api/v2/assets/events", {"asset_id": 4, "extra": {}}) in Airflow.said
    assert [(path, body) for method, path, body in Airflow.said if method == "PATCH"] == [
        (
            "/api/v2/dags/review_drafts/dagRuns/r1/taskInstances/decide/3/hitlDetails",
            {"chosen_options": ["Decided at the desk"], "params_input": {}},
        )
    ]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusal_is_counted(tmp_path: Path, airflow: str, status: int) -> None:
    Airflow.status = status
    told = word(tmp_path, airflow)

    told.decided("review_drafts", REF, "dsr://decisions")

    wait_until(lambda: told.failures == 1, "the count")


def test_an_airflow_that_is_away_is_counted(tmp_path: Path) -> None:
    told = word(tmp_path, "http://127.0.0.1:9")

    told.decided("review_drafts", REF, "dsr://decisions")

    wait_until(lambda: told.failures == 1, "the count")


def test_without_a_password_nothing_is_said(tmp_path: Path, airflow: str) -> None:
    word(tmp_path, airflow, password=False).decided("review_drafts", REF, "dsr://decisions")

    assert Airflow.said == []
