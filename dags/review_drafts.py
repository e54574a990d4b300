"""Review drafts: a human task for each of the 300 most urgent drafts; a clinician decides at the desk."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, task, task_group

drafts = Asset("dsr://drafts")
DECIDED, LATER = "Decided at the desk", "Not decided, offer again"

with DAG(
    "review_drafts",
    description=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/10 * * * *", timezone="UTC"), assets=[drafts]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=16,
    default_args={"queue": "collector"},
    tags=["people"],
):

    @task(retries=3, retry_delay=timedelta(seconds=20))
    def offer() -> list[dict[str, str]]:
        """List the most urgent drafts that no human task points at yet."""
        from vault.office import open_office
        from vault.steps.queue import human_tasks

        with open_office("collector") as parts:
            return human_tasks(parts, "drafted")

    @task(retries=3, retry_delay=timedelta(seconds=20))
    def confirm(subject: str, answer: Any) -> bool:
        """Look whether a decision stands behind the closed task; Airflow's word releases nothing."""
        from vault.office import open_office
        from vault.steps.queue import ref_in
        from vault.steps.review import task_closed

        if answer and answer["chosen_options"] == [LATER]:
            return False
        with open_office("collector") as parts:
            return task_closed(parts, ref_in(subject))

    @task_group
    def review(subject: str, body: str) -> None:
        """One draft; what nobody decided in 12 hours is offered again."""
        wait = timedelta(hours=12)
        options = [DECIDED, LATER]
        decide_at_the_desk = HITLOperator(
            task_id="decide_at_the_desk",
            subject=subject,
            body=body,
            options=options,
            defaults=LATER,
            response_timeout=wait,
        )
        confirm(subject, decide_at_the_desk.output)

    review.expand_kwargs(offer())
