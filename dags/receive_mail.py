"""Receive mail: when the mailbox stirs, and every minute in any case, messages become cases."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowSkipException
from dsr_triggers import ArrivalTrigger

mailbox = Asset("dsr://mailbox", watchers=[AssetWatcher("mailbox", trigger=ArrivalTrigger(door="mailbox"))])
cases = Asset("dsr://cases")

with DAG(
    "receive_mail",
    description=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("* * * * *", timezone="UTC"), assets=[mailbox]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["intake"],
):

    @task(queue="intake", retries=3, retry_delay=timedelta(seconds=20), outlets=[cases])
    def receive() -> list[str]:
        """Open a case for each message at the door; return references."""
        from vault.office import open_office
        from vault.steps.queue import anything_new
        from vault.steps.receive_mail import receive_mail

        with open_office("intake") as parts:
            taken = receive_mail(parts)
            new = anything_new(parts, taken)
        if not new:
            raise AirflowSkipException("nothing arrived")
        return taken

    receive()
