"""Prepare answers: identify who asks, collect what is held, render the draft; N cases a task."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, task

cases = Asset("dsr://cases")
drafts = Asset("dsr://drafts")

with DAG(
    "prepare_answers",
    description=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=[cases]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"queue": "collector", "retries": 3, "retry_delay": timedelta(seconds=20)},
    tags=["collector"],
):

    @task
    def find(stage: str) -> list[list[str]]:
        """List what waits, in batches of references."""
        from vault.office import open_office
        from vault.steps.queue import waiting_batches

        with open_office("collector") as parts:
            return waiting_batches(parts, stage)

    @task
    def identify(refs: list[str]) -> list[str]:
        """Take each case towards a proved identity."""
        from vault.office import open_office
        from vault.steps.identify import identify

        with open_office("collector") as parts:
            return identify(parts, refs)

    @task(outlets=[drafts])
    def collect(refs: list[str]) -> list[str]:
        """Read, render and store the draft of each case."""
        from vault.office import open_office
        from vault.steps.collect import collect

        with open_office("collector") as parts:
            return collect(parts, refs)

    identified = identify.expand(refs=find.override(task_id="find_new")("received"))
    found = find.override(task_id="find_identified", trigger_rule="none_failed")("identified")
    identified >> found
    collect.expand(refs=found)
