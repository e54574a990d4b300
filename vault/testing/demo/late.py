"""What a demo says whose road did not end in time: where each case stands, what the mailbox holds, what Airflow ran."""

from collections.abc import Iterator

import httpx

from vault.errors import OutOfReachError
from vault.steps.queue import BoardRow, board
from vault.testing.airflow import AirflowServer
from vault.testing.demo.finale import left_in_mailbox
from vault.testing.installation import Installation

_RUNS = 40  # of Airflow's, the latest first


def where_it_stands(installation: Installation, server: AirflowServer) -> str:
    """Return lines for whoever looks for the reason; references, codes and times only."""
    return "\n".join(_lines(installation, server))


def _lines(installation: Installation, server: AirflowServer) -> Iterator[str]:
    with installation.office("operator") as parts:
        for row in board(parts):
            yield _case(row)
    with installation.owner() as connection:
        rows = connection.execute("select case_ref, role, received_at, taken_at from arrivals order by received_at")
        yield from (" ".join(map(str, row)) for row in rows.fetchall())
    yield f"the mailbox holds {left_in_mailbox(installation)} messages"
    try:
        with server.api("operator") as client:
            runs = client.get("/dags/~/dagRuns", params={"limit": _RUNS, "order_by": "-run_after"}).json()["dag_runs"]
            states = [("state", state) for state in ("failed", "up_for_retry", "running")]
            tasks = client.get("/dags/~/dagRuns/~/taskInstances", params=[*states, ("limit", _RUNS)])
    except (httpx.HTTPError, OutOfReachError) as error:
        yield f"Airflow does not answer: {type(error).__name__}"
        return
    for run in runs:
        yield f"{run['dag_id']} {run['run_type']} {run['state']} {run['start_date']} {run['end_date']}"
    for task in tasks.json()["task_instances"]:
        yield f"{task['dag_id']}.{task['task_id']} {task['state']} {task['start_date']}"


def _case(row: BoardRow) -> str:
    happened = ", ".join(f"{event.event.value} {event.at:%H:%M:%S}" for event in row.events)
    return f"{row.case.ref} {row.case.stage.value} {row.case.exception or ''}: {happened}"
