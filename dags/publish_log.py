"""Publish the access log: a checkpoint and its tiles, to a bucket that forgets nothing."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

with DAG(
    "publish_log",
    description=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["custody"],
):

    @task(queue="keeper", retries=3, retry_delay=timedelta(seconds=20), execution_timeout=timedelta(minutes=10))
    def publish() -> dict[str, int]:
        """Do it; return counts."""
        from vault.office import open_office
        from vault.steps.keep import publish

        with open_office("keeper") as parts:
            return publish(parts)

    publish()
