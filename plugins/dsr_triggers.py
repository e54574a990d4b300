"""Triggers: tell Airflow that something lies at the door, without opening it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent


class ArrivalTrigger(BaseEventTrigger):
    """Fires when messages or scans lie at a door at the start, and when more arrive.

    :param door: ``mailbox`` or ``scans``.
    """

    def __init__(self, door: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow gives no types here
        self.door = door

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes the trigger from; no secret, no path."""
        return ("dsr_triggers.ArrivalTrigger", {"door": self.door})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch the door; what is missed is found by the schedule, the safety net."""
        from vault.steps.watching import arrivals

        async with aclosing(arrivals(self.door)) as stirred:
            async for _ in stirred:
                yield TriggerEvent({"door": self.door})  # type: ignore[no-untyped-call]  # nor here
