"""Triggers: tell Airflow that something lies at the door, without opening it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

_SECONDS = 2.0


class ArrivalTrigger(BaseEventTrigger):
    """Fires when messages or scans lie at a door that was empty or has got more.

    :param door: ``mailbox`` or ``scans``.
    """

    def __init__(self, door: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow gives no types here
        self.door = door

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes the trigger from; no secret, no path."""
        return ("dsr_triggers.ArrivalTrigger", {"door": self.door})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every two seconds; a door out of reach is looked at again, the schedule is the safety net."""
        from vault.steps.doors import waiting_at

        before = 0
        while True:
            now = await asyncio.to_thread(waiting_at, self.door)
            if now > before:
                yield TriggerEvent({"door": self.door})  # type: ignore[no-untyped-call]  # nor here
            before = now
            await asyncio.sleep(_SECONDS)
