"""The board: every case with its clock, exceptions first, and each case's events; references only."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi.responses import RedirectResponse, Response

from vault.desk.render import Page
from vault.domain.case import REFERENCE, Stage
from vault.errors import RefusedError
from vault.steps.check import clear_exception
from vault.steps.queue import BoardRow, board, row_of
from vault.steps.receive import HELSINKI
from vault.storage.drafts import package_of
from vault.storage.outgoing import outgoing_of

if TYPE_CHECKING:
    from vault.desk.app import Visit

PAGE_SIZE = 100
SOON = timedelta(days=7)


def show_board(visit: "Visit") -> Page:
    """Show the cases that the reader's filter names."""
    query = visit.request.query_params
    rows = board(visit.desk.parts, only_open=query.get("closed") != "yes")
    today = visit.desk.parts.now().astimezone(HELSINKI).date()
    counts = {
        "open": sum(row.case.open for row in rows),
        "exceptions": sum(row.case.open and row.case.exception is not None for row in rows),
        "late": sum(row.late for row in rows),
        "soon": sum(row.case.open and row.clock.safe_due <= today + SOON for row in rows),
    }
    stage = query.get("stage") or ""
    chosen = [row for row in rows if not stage or row.case.stage == stage]
    if query.get("exceptions") == "yes":
        chosen = [row for row in chosen if row.case.exception]
    number, pages, shown = _page_of(chosen, query.get("page"))
    return Page(
        "board.html",
        {
            "rows": shown,
            "counts": counts,
            "stages": [item.value for item in Stage],
            "stage": stage,
            "closed": query.get("closed") == "yes",
            "only_exceptions": query.get("exceptions") == "yes",
            "page": number,
            "pages": pages,
            "total": len(chosen),
            "failures": visit.desk.airflow.failures,
        },
    )


def _page_of(rows: Sequence[BoardRow], wanted: str | None) -> tuple[int, int, Sequence[BoardRow]]:
    pages = max(1, -(-len(rows) // PAGE_SIZE))
    number = int(wanted) if wanted and wanted.isascii() and wanted.isdigit() and len(wanted) < 7 else 1  # noqa: PLR2004 - digits
    number = min(max(number, 1), pages)
    return number, pages, rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


def reference_of(visit: "Visit") -> str:
    """Return the case's reference that the path names.

    :raises RefusedError: it is none.
    """
    ref = visit.path("ref")
    if not REFERENCE.fullmatch(ref):
        raise RefusedError("no_such_case", "no case has this reference; go back to the board")
    return ref


def show_case(visit: "Visit") -> Page:
    """Show one case's clock and events."""
    ref = reference_of(visit)
    row = row_of(visit.desk.parts, ref)
    with visit.desk.parts.database.connect() as connection:
        out = outgoing_of(connection, ref)
        package = package_of(connection, ref)
    return Page("case.html", {"row": row, "outgoing": out, "package": package, "helsinki": HELSINKI})


def clear(visit: "Visit") -> Response:
    """Clear an exception that a person has looked at."""
    ref = reference_of(visit)
    clear_exception(visit.desk.parts, visit.session.staff, ref)
    return RedirectResponse(f"/cases/{ref}", 303)
