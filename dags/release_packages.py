"""Release packages: what a clinician decided is sealed, delivered and noted in the register; N cases a task."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, task

decisions = Asset("dsr://decisions")

with DAG(
    "release_packages",
    description=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=[decisions]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"queue": "sealer", "retries": 3, "retry_delay": timedelta(seconds=20)},
    tags=["sealer"],
):

    @task
    def find(stage: str) -> list[list[str]]:
        """List what waits, in batches of references."""
        from vault.office import open_office
        from vault.steps.queue import waiting_batches

        with open_office("sealer") as parts:
            return waiting_batches(parts, stage)

    @task
    def seal(refs: list[str]) -> list[str]:
        """Check each decision and seal what it releases to the requester."""
        from vault.office import open_office
        from vault.steps.seal import seal

        with open_office("sealer") as parts:
            return seal(parts, refs)

    @task
    def deliver(refs: list[str]) -> list[str]:
        """Hand each package over and note it in the register."""
        from vault.office import open_office
        from vault.steps.deliver import deliver

        with open_office("sealer") as parts:
            return deliver(parts, refs)

    sealed = seal.expand(refs=find.override(task_id="find_decided")("decided"))
    found = find.override(task_id="find_sealed", trigger_rule="none_failed")("sealed")
    sealed >> found
    deliver.expand(refs=found)
