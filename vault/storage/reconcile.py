"""What the key service's audit is held against: leaves by subject, case or time, and whose key an owner is; blind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from vault.storage.database import Connection

_FOUND = "select idx, leaf, reader, at, tag, case_ref from log_leaves where "


@dataclass(frozen=True, slots=True)
class FoundLeaf:
    """One look's leaf with the columns that it is found by."""

    index: int
    leaf: bytes
    reader: bytes
    at: datetime
    tag: bytes | None
    case: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, both ends included."""

    since: datetime
    until: datetime


def _leaf(row: Sequence[Any]) -> FoundLeaf:
    index, leaf, reader, at, tag, case = row
    return FoundLeaf(int(index), bytes(leaf), bytes(reader), at, None if tag is None else bytes(tag), case)


def leaves_of(connection: Connection, tags: Collection[bytes], cases: Collection[str], span: Span) -> list[FoundLeaf]:
    """Return the looks at these subjects and cases within a span."""
    where = "(tag = any(%s) or case_ref = any(%s)) and at between %s and %s"
    rows = connection.execute(_FOUND + where, (list(tags), list(cases), span.since, span.until))
    return list(map(_leaf, rows))


def searches(connection: Connection, span: Span) -> list[FoundLeaf]:
    """Return the looks within a span at whoever was not known yet."""
    where = "tag is null and at between %s and %s"
    return list(map(_leaf, connection.execute(_FOUND + where, (span.since, span.until))))


def leaves_from(connection: Connection, index: int, early: Span, most: int) -> list[FoundLeaf]:
    """Return looks in order from an index on, up to the first that is not due yet; days' leaves are passed over.

    :param early: looks of this span are not due yet; one that calls itself later still holds up nobody.
    """
    where = "idx >= %s and at is not null order by idx limit %s"
    rows = map(_leaf, connection.execute(_FOUND + where, (index, most)))
    return list(takewhile(lambda row: not early.since < row.at <= early.until, rows))


def cases_of_arrivals(connection: Connection, refs: Collection[str]) -> dict[str, str]:
    """Return the case of each of these arrivals that has one."""
    rows = connection.execute("select ref, case_ref from arrivals where ref = any(%s)", (list(refs),))
    return {str(ref): str(case) for ref, case in rows if case is not None}


def cases_of_letters(connection: Connection, refs: Collection[str]) -> dict[str, str]:
    """Return the case of each of these letters."""
    rows = connection.execute("select ref, case_ref from outgoing where ref = any(%s)", (list(refs),))
    return {str(ref): str(case) for ref, case in rows}


def answered_subjects(connection: Connection, refs: Collection[str]) -> set[str]:
    """Return those of these subjects for whom a package was sealed."""
    rows = connection.execute(
        "select distinct c.subject from cases c join case_events e on e.case_ref = c.ref"
        " where c.subject = any(%s) and e.event = 'package_sealed'",
        (list(refs),),
    )
    return {str(row[0]) for row in rows}
