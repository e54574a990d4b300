"""Marks of honey records: MACs that tell a thief of the table nothing but their number."""

from datetime import datetime

from vault.storage.database import Connection


def honey_marks(connection: Connection) -> dict[bytes, datetime]:
    """Return every mark and when it was set."""
    rows = connection.execute("select mark, added_at from honey").fetchall()
    return {bytes(mark): added_at for mark, added_at in rows}


def add_honey(connection: Connection, mark: bytes, at: datetime, by: str) -> bool:
    """Set a mark; False when it stands already."""
    done = connection.execute(
        "insert into honey (mark, added_at, added_by) values (%s, %s, %s) on conflict do nothing", (mark, at, by)
    )
    return done.rowcount == 1


def remove_honey(connection: Connection, mark: bytes) -> bool:
    """Take a mark away; False when there is none."""
    return connection.execute("delete from honey where mark = %s", (mark,)).rowcount == 1


def subject_refs(connection: Connection) -> list[str]:
    """Return the reference of every subject of the register, in order."""
    return [str(row[0]) for row in connection.execute("select ref from subjects order by ref").fetchall()]
