"""Rows of the log that fit a search, the newest first and never more than asked for; nothing is opened."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from vault.storage.database import Connection
from vault.storage.log import LeafRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """What rows must be like; None asks for nothing.

    :param reader: the mark of who looked.
    :param tag: the subject's.
    :param since: the earliest time; ``until`` the first that is too late.
    :param before: an index; only older rows.
    """

    reader: bytes | None = None
    tag: bytes | None = None
    case: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


def newest(connection: Connection, wanted: Wanted, limit: int) -> list[LeafRow]:
    """Return the newest rows of looks that fit."""
    asked: tuple[tuple[LiteralString, object], ...] = (
        ("reader = %s", wanted.reader),
        ("tag = %s", wanted.tag),
        ("case_ref = %s", wanted.case),
        ("at >= %s", wanted.since),
        ("at < %s", wanted.until),
        ("idx < %s", wanted.before),
    )
    given = [(clause, value) for clause, value in asked if value is not None]
    where = " and ".join(["reader is not null", *(clause for clause, _ in given)])
    # asked for a time alone, the database would walk back from the newest row; "offset 0" has it take the index on time
    alone = wanted.reader is None and wanted.tag is None and wanted.case is None
    fence: LiteralString = " offset 0" if alone else ""
    rows = connection.execute(
        "select idx, leaf, entry, staff, case_ref, tag, reader, at from log_leaves"  # noqa: S608 - our own words
        f" where idx in (select idx from (select idx from log_leaves where {where}{fence}) as fit"
        " order by idx desc limit %s) order by idx desc",
        (*(value for _, value in given), limit),
    ).fetchall()
    return [
        LeafRow(int(index), bytes(leaf), bytes(entry), bytes(staff), case, _bytes(tag), bytes(reader), at)
        for index, leaf, entry, staff, case, tag, reader, at in rows
    ]


def subjects_of_cases(connection: Connection, cases: Collection[str]) -> set[str]:
    """Return the subjects that these cases are about, as far as they are known."""
    rows = connection.execute(
        "select distinct subject from cases where ref = any(%s) and subject is not null", (list(cases),)
    ).fetchall()
    return {str(subject) for (subject,) in rows}


def _bytes(value: bytes | None) -> bytes | None:
    return None if value is None else bytes(value)
