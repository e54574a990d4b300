"""Watch deadlines: reminders, escalations and notices before a clock runs out."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

with DAG(
    "watch_deadlines",
    description=__doc__,
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["custody"],
):

    @task(queue="collector", retries=3, retry_delay=timedelta(seconds=20))
    def remind() -> dict[str, int]:
        """Do it; return counts."""
        from vault.office import open_office
        from vault.steps.remind import remind

        with open_office("collector") as parts:
            return remind(parts)

    @task(queue="collector", retries=3, retry_delay=timedelta(seconds=20))
    def resend() -> int:
        """Send notices that were intended while the mail server was away."""
        from vault.office import open_office
        from vault.steps.notices import resend

        with open_office("collector") as parts:
            return resend(parts)

    remind()
    resend()
