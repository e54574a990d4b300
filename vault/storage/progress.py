"""How far a task has come through the log; one worker at a time, and its place moves with its work."""

from datetime import datetime

from vault.storage.database import Connection


def position(connection: Connection, task: str) -> int:
    """Return the index of the first leaf that a task has not done; nobody else does it until the transaction ends."""
    connection.execute(
        "insert into log_progress (task, position, at) values (%s, 0, now()) on conflict do nothing", (task,)
    )
    row = connection.execute("select position from log_progress where task = %s for update", (task,)).fetchone()
    return int(row[0]) if row else 0


def advance(connection: Connection, task: str, done: int, at: datetime) -> None:
    """Note that a task has done everything before an index; call it in the transaction of the work."""
    connection.execute("update log_progress set position = %s, at = %s where task = %s", (done, at, task))


def moved_at(connection: Connection, task: str) -> datetime | None:
    """Return when a task last noted its place; None before it asked for one."""
    row = connection.execute("select at from log_progress where task = %s", (task,)).fetchone()
    return row[0] if row else None
