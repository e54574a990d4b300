"""The board: every case with its clock, exceptions first, and each case's events; references only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fastapi.responses import RedirectResponse, Response

from vault.desk.numbers import number_in
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.calendar import HELSINKI
from vault.domain.case import BEFORE_IDENTITY, REFERENCE, Stage, pauses
from vault.domain.roles import Role
from vault.errors import RefusedError
from vault.steps.alarms import alarms
from vault.steps.check import clear_exception
from vault.steps.emergency import case_emergencies
from vault.steps.queue import BoardRow, board, row_of
from vault.storage.drafts import package_of
from vault.storage.emergencies import Emergency
from vault.storage.outgoing import outgoing_of

PAGE_SIZE = 100
SOON = timedelta(days=7)
CLEARS = frozenset({Role.REGISTRAR, Role.DPO, Role.CLINICIAN})
LOOKS = frozenset({Role.REGISTRAR, Role.DPO})
SEES_ALARMS = frozenset({Role.DPO, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Filter:
    """What the reader wants to see of the board.

    :param exception: a code, ``any`` for every exception, or ''.
    """

    stage: str
    exception: str
    closed: bool

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """Read a filter from a URL; what it does not know, it leaves out."""
        stage, exception = query.get("stage", ""), query.get("exception", "")
        known = stage if stage in frozenset(Stage) else ""
        return cls(known, exception if exception.isidentifier() else "", query.get("closed") == "yes")

    def takes(self, row: BoardRow) -> bool:
        """Tell whether a row is wanted."""
        fits = not self.exception or (row.case.exception is not None and self.exception in ("any", row.case.exception))
        return fits and (not self.stage or row.case.stage == self.stage)


def today_of(visit: Visit) -> date:
    """Return Helsinki's date."""
    return visit.desk.parts.now().astimezone(HELSINKI).date()


def show_board(visit: Visit) -> Page:
    """Show the cases that the reader's filter names."""
    query = visit.request.query_params
    wanted = Filter.of(query)
    rows = board(visit.desk.parts, only_open=not wanted.closed)
    chosen = [row for row in rows if wanted.takes(row)]
    number, pages, shown = _page_of(chosen, query.get("page"))
    sees = bool(visit.session.staff.roles & SEES_ALARMS)
    return Page(
        "board.html",
        {
            "rows": shown,
            "counts": _counts(rows, today_of(visit)),
            "stages": [item.value for item in Stage],
            "codes": sorted({row.case.exception for row in rows if row.case.exception}),
            "stage": wanted.stage,
            "exception": wanted.exception,
            "closed": wanted.closed,
            "page": number,
            "pages": pages,
            "total": len(chosen),
            "today": today_of(visit),
            "failures": visit.desk.airflow.failures,
            "sees_alarms": sees,
            "alarms": alarms(visit.desk.parts) if sees else [],
        },
    )


def _counts(rows: Sequence[BoardRow], today: date) -> dict[str, int]:
    mine = [row for row in rows if row.case.open]
    return {
        "open": len(mine),
        "exceptions": sum(row.case.exception is not None for row in mine),
        "late": sum(row.late for row in mine),
        "soon": sum(row.clock.safe_due <= today + SOON for row in mine),
    }


def _page_of(rows: Sequence[BoardRow], wanted: str | None) -> tuple[int, int, Sequence[BoardRow]]:
    pages = max(1, -(-len(rows) // PAGE_SIZE))
    number = min(max(number_in(wanted), 1), pages)
    return number, pages, rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


def reference_of(visit: Visit) -> str:
    """Return the case's reference that the path names.

    :raises RefusedError: it is none.
    """
    ref = visit.path("ref")
    if not REFERENCE.fullmatch(ref):
        raise RefusedError("no_such_case", "no case has this reference; go back to the board")
    return ref


def show_case(visit: Visit) -> Page:
    """Show one case's clock and events."""
    ref = reference_of(visit)
    row = row_of(visit.desk.parts, ref)
    with visit.desk.parts.database.connect() as connection:
        out = outgoing_of(connection, ref)
        package = package_of(connection, ref)
    roles, stage = visit.session.staff.roles, row.case.stage
    broken = case_emergencies(visit.desk.parts, ref)
    mine = next((item for item in broken if _runs(visit, item)), None)
    return Page(
        "case.html",
        {
            "row": row,
            "outgoing": out,
            "package": package,
            "pauses": pauses(list(row.events)),
            "today": today_of(visit),
            "may_clear": bool(roles & CLEARS),
            "may_identify": mine is not None or (bool(roles & LOOKS) and stage in BEFORE_IDENTITY),
            "may_review": Role.CLINICIAN in roles and stage is Stage.DRAFTED,
            "emergencies": broken,
            "emergency": mine,
            "may_break": mine is None and Role.CLINICIAN in roles and not roles & LOOKS,
        },
    )


def _runs(visit: Visit, emergency: Emergency) -> bool:
    return emergency.actor == visit.session.staff.actor and emergency.until > visit.desk.parts.now()


def clear(visit: Visit) -> Response:
    """Clear an exception that a person has looked at."""
    ref = reference_of(visit)
    clear_exception(visit.desk.parts, visit.session.staff, ref, went_out=visit.field("went_out") == "yes")
    return RedirectResponse(f"/cases/{ref}", 303)
