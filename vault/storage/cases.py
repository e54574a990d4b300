"""Cases and their appended events: every change names the version it saw, so nothing is overwritten unseen."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from psycopg import OperationalError

from vault.domain.case import TERMINAL, Case, CaseEvent, Channel, Event, Stage, next_stage
from vault.errors import ConflictError, RefusedError
from vault.storage.database import Connection, Database, columns

# behind `with changed as (update cases ... returning ref, version, stage)`: time, event, actor, step and detail
EVENT_OF_CHANGED: Final = (
    " insert into case_events (case_ref, version, at, event, stage, actor, step, detail)"
    " select ref, version, %s::timestamptz, %s::text, stage, %s::text, %s::text, %s::jsonb from changed"
)
_POLL: Final = 0.1  # seconds between two looks whether a case that somebody holds is free
_COLUMNS = "ref, channel, received_at, stage, version, language, exception, subject, merged_into"


def _case(row: Sequence[Any]) -> Case:
    ref, channel, received_at, stage, version, language, exception, subject, merged_into = row
    return Case(ref, Channel(channel), received_at, Stage(stage), version, language, exception, subject, merged_into)


def open_cases(connection: Connection, cases: Sequence[Case], *, actor: str, at: datetime) -> None:
    """Insert cases, each with its first event; a clock starts at ``received_at``."""
    connection.execute(
        f"insert into cases ({_COLUMNS}) select * from unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[],"  # noqa: S608 - constant names
        " %s::int[], %s::text[], %s::text[], %s::text[], %s::text[])",
        columns([astuple(one) for one in cases], 9),
    )
    first = [
        (one.ref, one.version, one.stage, json.dumps({"exception": one.exception} if one.exception else {}))
        for one in cases
    ]
    connection.execute(
        "insert into case_events (case_ref, version, at, event, stage, actor, step, detail)"
        " select ref, version, %s, %s, stage, %s, 'receive', detail::jsonb"
        " from unnest(%s::text[], %s::int[], %s::text[], %s::text[]) as given (ref, version, stage, detail)",
        (at, Event.ARRIVED, actor, *columns(first, 4)),
    )


def append(
    connection: Connection,
    case: Case,
    event: Event,
    *,
    actor: str,
    at: datetime,
    step: str | None = None,
    detail: dict[str, str] | None = None,
    **changes: str | None,
) -> Case:
    """Append one event and return the case as it then stands.

    :param case: the case as the caller saw it; its version must still be the latest.
    :param step: key of a step that may be done once a case, such as ``collect:1``.
    :param changes: new values of ``exception``, ``subject``, ``language`` or ``merged_into``.
    :raises ConflictError: somebody changed the case first.
    :raises RefusedError: the table of moves has no such move.
    """
    after = replace(
        case,
        stage=next_stage(case.stage, event, ref=case.ref),
        version=case.version + 1,
        **changes,  # type: ignore[arg-type]  # names are checked by replace, values are text
    )
    # only what changes is named: an office may not even write the same subject again where it may write none
    named = "".join(f", {name} = %s" for name in changes)
    done = connection.execute(
        f"with changed as (update cases set stage = %s, version = %s{named} where ref = %s and version = %s"  # noqa: S608 - field names
        f" returning ref, version, stage){EVENT_OF_CHANGED}",
        (
            *(after.stage, after.version, *changes.values(), case.ref, case.version),
            *(at, event, actor, step, json.dumps(detail or {})),
        ),
    )
    if done.rowcount != 1:
        raise ConflictError("case_changed", "somebody changed the case first; read it again", ref=case.ref)
    return after


def get_case(connection: Connection, ref: str) -> Case:
    """Return one case.

    :raises RefusedError: no such reference.
    """
    row = connection.execute(f"select {_COLUMNS} from cases where ref = %s", (ref,)).fetchone()  # noqa: S608
    if row is None:
        raise RefusedError("no_such_case", "no case has this reference; `dsr cases` lists them all")
    return _case(row)


def waiting(connection: Connection, stage: Stage, limit: int, *, with_exceptions: bool = False) -> list[Case]:
    """Return cases in ``stage``, longest waiting first; those with an exception wait for a person."""
    rows = connection.execute(
        f"select {_COLUMNS} from cases where stage = %s and (%s or exception is null)"  # noqa: S608
        " order by received_at, ref limit %s",
        (stage, with_exceptions, limit),
    ).fetchall()
    return [_case(row) for row in rows]


def all_cases(connection: Connection, *, only_open: bool = False) -> Iterator[Case]:
    """Yield every case, exceptions first, then the longest waiting."""
    with connection.cursor(name="all_cases") as cursor:
        cursor.execute(
            f"select {_COLUMNS} from cases where not %s or stage <> all(%s)"  # noqa: S608
            " order by exception is null, received_at, ref",
            (only_open, [stage.value for stage in TERMINAL]),
        )
        for row in cursor:
            yield _case(row)


def events(connection: Connection, ref: str) -> list[CaseEvent]:
    """Return a case's events in order."""
    return events_of(connection, [ref]).get(ref, [])


def events_of(connection: Connection, refs: Sequence[str]) -> dict[str, list[CaseEvent]]:
    """Return several cases' events in one query."""
    rows = connection.execute(
        "select case_ref, version, at, event, stage, actor, step, detail from case_events"
        " where case_ref = any(%s) order by case_ref, version",
        (list(refs),),
    ).fetchall()
    found: dict[str, list[CaseEvent]] = {}
    for ref, version, at, event, stage, actor, step, detail in rows:
        found.setdefault(ref, []).append(CaseEvent(version, at, Event(event), Stage(stage), actor, step, detail))
    return found


def step_done(connection: Connection, ref: str, step: str) -> bool:
    """Tell whether a step's event stands already."""
    query = "select 1 from case_events where case_ref = %s and step = %s"
    return connection.execute(query, (ref, step)).fetchone() is not None


@contextmanager
def held(database: Database, ref: str, patience: float = 0.0) -> Iterator[bool]:
    """Hold a case for one worker; False when another worker has it, as :func:`held_together` does."""
    with held_together(database, [ref], patience) as mine:
        yield ref in mine


@contextmanager
def held_together(database: Database, refs: Sequence[str], patience: float = 0.0) -> Iterator[set[str]]:
    """Hold some cases for one worker; yield those that no other worker has. A kill ends the connection and frees them.

    They are held by the session and not by a transaction, which would stand open for as long as the work takes.

    :param patience: seconds to wait for another worker who has one of them.
    """
    wanted = {ref: int.from_bytes(sha256(ref.encode()).digest()[:8], "big", signed=True) for ref in refs}
    mine: set[str] = set()
    until = time.monotonic() + patience
    with database.lock() as connection:
        try:
            mine |= _locked(connection, wanted)
            while len(mine) < len(wanted) and time.monotonic() < until:
                time.sleep(_POLL)
                mine |= _locked(connection, {ref: number for ref, number in wanted.items() if ref not in mine})
            yield mine
        except BaseException:
            with suppress(OperationalError):  # a line that is gone holds nothing, and what went wrong is told
                _let_go(connection, list(wanted.values()))  # a statement that failed midway may have locked some
            raise
        _let_go(connection, [wanted[ref] for ref in mine])


def _locked(connection: Connection, wanted: Mapping[str, int]) -> set[str]:
    rows = connection.execute(
        "select ref from unnest(%s::text[], %s::bigint[]) as given (ref, number) where pg_try_advisory_lock(number)",
        (list(wanted), list(wanted.values())),
    ).fetchall()
    return {str(row[0]) for row in rows}


def _let_go(connection: Connection, numbers: Sequence[int]) -> None:
    if numbers:
        connection.execute("select pg_advisory_unlock(number) from unnest(%s::bigint[]) as number", (numbers,))
