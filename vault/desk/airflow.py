"""A word to Airflow after a decision: the human task is answered and the machines are woken; never more than a hint.

The decision stands in the vault already. Whatever fails here, the schedule picks the case up.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Any

import httpx

from vault.domain.private import Private
from vault.errors import VaultError
from vault.settings import DeskSettings, read_secret

DECIDED = "Decided at the desk"
_SECONDS = 15


class AirflowWord(Private):
    """Tells Airflow, as its service user, that people have decided.

    :param settings: where Airflow is and as whom; without a password file nothing is told.
    """

    def __init__(self, settings: DeskSettings) -> None:
        self._settings = settings
        self.failures = 0

    def decided(self, dag: str, ref: str, asset: str) -> None:
        """Answer the case's human task and create the asset's event, in the background."""
        if self._settings.airflow_password_file is not None:
            threading.Thread(
                target=self._quietly, args=(lambda c: self._tell(c, dag, ref, asset),), daemon=True
            ).start()

    def _quietly(self, act: Callable[[httpx.Client], None]) -> None:
        try:
            with httpx.Client(
                base_url=self._settings.airflow_url, timeout=_SECONDS, verify=self._trusted(), trust_env=False
            ) as client:
                self._sign_in(client)
                act(client)
        except (httpx.HTTPError, VaultError, OSError, KeyError, TypeError, ValueError):
            self.failures += 1

    def _trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file)

    def _sign_in(self, client: httpx.Client) -> None:
        password_file = self._settings.airflow_password_file
        if password_file is None:
            return
        body = {"username": self._settings.airflow_user, "password": read_secret(password_file)}
        token = client.post("/auth/token", json=body).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

    def _tell(self, client: httpx.Client, dag: str, ref: str, asset: str) -> None:
        self._wake(client, asset)
        open_tasks = client.get(
            f"/api/v2/dags/{dag}/dagRuns/~/hitlDetails",
            params={"subject_search": ref, "response_received": "false", "limit": 20},
        ).raise_for_status()
        for detail in open_tasks.json()["hitl_details"]:
            if str(detail["subject"]).startswith(ref):
                self._answer(client, detail["task_instance"])

    def _answer(self, client: httpx.Client, task: dict[str, Any]) -> None:
        path = (
            f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
            f"/taskInstances/{task['task_id']}/{task['map_index']}/hitlDetails"
        )
        answer = client.patch(path, json={"chosen_options": [DECIDED], "params_input": {}})
        if answer.status_code != httpx.codes.CONFLICT:  # somebody answered it already
            answer.raise_for_status()

    def _wake(self, client: httpx.Client, asset: str) -> None:
        found = client.get("/api/v2/assets", params={"uri_pattern": asset}).raise_for_status().json()["assets"]
        for item in found:
            if item["uri"].rstrip("/") == asset:  # Airflow adds a slash
                client.post("/api/v2/assets/events", json={"asset_id": item["id"], "extra": {}}).raise_for_status()
