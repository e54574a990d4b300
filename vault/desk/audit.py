"""The auditor's page: searches the access log by reader, patient, day and purpose; each search is logged itself."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from vault.accesslog.search import SHOWN, Hits, Query
from vault.desk.numbers import number_in
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.calendar import FIRST_YEAR, HELSINKI, LAST_YEAR
from vault.domain.case import REFERENCE
from vault.domain.roles import OfficeName, Purpose
from vault.errors import RefusedError

FIELDS = ("reader", "patient", "first", "last", "purpose")
FAULTS = ("search_empty", "search_reader", "search_patient", "search_day")
_DAY = timedelta(days=1)


def show_form(visit: Visit) -> Page:
    """Show the empty form, or say that this machine can't search."""
    return _page(visit, dict.fromkeys(FIELDS, ""), None, None)


def search(visit: Visit) -> Page:
    """Log a search, make it and show a page of it; what is malformed is asked for again."""
    asked = {name: visit.field(name).strip() for name in FIELDS}
    if visit.desk.auditing is None:
        raise RefusedError("search_not_here", "this desk does not hold what searching the log takes; ask the operator")
    try:
        hits = visit.desk.auditing.find(visit.session.staff, query_of(asked, visit.field("before")))
    except RefusedError as error:
        if error.code not in FAULTS:
            raise
        return _page(visit, asked, None, error.code)
    return _page(visit, asked, hits, None)


def _page(visit: Visit, asked: dict[str, str], hits: Hits | None, fault: str | None) -> Page:
    values = {
        "here_too": visit.desk.auditing is not None,
        "asked": asked,
        "hits": hits,
        "fault": fault,
        "shown": SHOWN,
        "purposes": list(Purpose),
        "offices": list(OfficeName),
    }
    return Page("audit.html", values, 422 if fault else 200)


def query_of(asked: Mapping[str, str], before: str) -> Query:
    """Read the form's fields.

    :param before: the place before which a further page begins, or ''.
    :raises RefusedError: a day is none (code ``search_day``).
    """
    about = asked["patient"].upper()
    case = about if REFERENCE.fullmatch(about) else None
    purpose = asked["purpose"]
    return Query(
        actor=_reader(asked["reader"]),
        subject=(asked["patient"] or None) if case is None else None,
        case=case,
        since=_moment(asked["first"], timedelta()),
        until=_moment(asked["last"], _DAY),
        purpose=Purpose(purpose) if purpose in frozenset(Purpose) else None,
        before=number_in(before, digits=18) or None,
    )


def _reader(asked: str) -> str | None:
    """Read a reader: ``7`` is staff number 7, everything else is written with its kind."""
    if not asked:
        return None
    return asked if ":" in asked else f"staff:{asked}"


def _moment(asked: str, later: timedelta) -> datetime | None:
    if not asked:
        return None
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        day = date.min
    if not FIRST_YEAR <= day.year < LAST_YEAR:
        raise RefusedError("search_day", "write a day as 2026-11-20")
    return datetime.combine(day + later, time(), HELSINKI)
