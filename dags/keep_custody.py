"""Keep custody: destroy what was posted, purge what retention lets go, look after what a kill left behind."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

with DAG(
    "keep_custody",
    description=__doc__,
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["custody"],
):

    @task(queue="keeper", retries=3, retry_delay=timedelta(seconds=20))
    def keep() -> dict[str, int]:
        """Do it; return counts."""
        from vault.office import open_office
        from vault.steps.keep import keep

        with open_office("keeper") as parts:
            return keep(parts)

    @task(queue="keeper", retries=3, retry_delay=timedelta(seconds=20))
    def watch() -> dict[str, int]:
        """Hold what people read against the rules of unusual reading; return counts."""
        from vault.office import open_office
        from vault.steps.watch import watch

        with open_office("keeper") as parts:
            return watch(parts)

    @task(queue="keeper", retries=3, retry_delay=timedelta(seconds=20))
    def reconcile() -> dict[str, int]:
        """Hold the key service's audit and the access log against each other; return counts."""
        from vault.office import open_office
        from vault.steps.reconcile import reconcile

        with open_office("keeper") as parts:
            return reconcile(parts)

    keep()
    watch()
    reconcile()
