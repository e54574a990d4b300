"""Check identity: a human task for each case that a registrar must look at; she decides at the desk."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, task

prepared = Asset("dsr://drafts")
STAGE = "checking"

with DAG(
    "check_identity",
    description=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/10 * * * *", timezone="UTC"), assets=[prepared]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=16,
    default_args={"queue": "collector"},
    tags=["people"],
):

    @task(retries=3, retry_delay=timedelta(seconds=20))
    def offer() -> list[dict[str, str]]:
        """List the most urgent cases that no human task points at yet."""
        from vault.office import open_office
        from vault.steps.queue import human_tasks

        with open_office("collector") as parts:
            return human_tasks(parts, STAGE)

    HITLOperator.partial(
        task_id="decide_at_the_desk",
        options=["Decided at the desk", "Not decided, offer again"],
        defaults="Not decided, offer again",
        response_timeout=timedelta(hours=12),
    ).expand_kwargs(offer())
