"""The registrar's pages: who is asking, on what evidence; each look at particulars is logged with her name."""

from typing import Any

from fastapi.responses import RedirectResponse, Response

from vault.desk.board import reference_of, today_of
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.case import BEFORE_IDENTITY, TRANSITIONS, Case, Channel, Event, Stage
from vault.domain.request import LANGUAGES, Request, RequestKind
from vault.domain.roles import Purpose, Role
from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.steps import check
from vault.steps.casefile import CaseFile
from vault.steps.notices import send_notice
from vault.steps.queue import BoardRow, board
from vault.storage.outgoing import get_outgoing

CLOSINGS = {
    "no_request": Event.FOUND_NO_REQUEST,
    "called_off": Event.CALLED_OFF,
    "identity_refused": Event.IDENTITY_REFUSED,
}
_FORMS = {
    "prove": Event.IDENTITY_PROVED,
    "ask": Event.QUESTION_SENT,
    "correct": Event.PARTICULARS_ENTERED,
}


def show_list(visit: Visit) -> Page:
    """List the cases whose requester is not identified yet, most urgent first."""
    rows = [row for row in board(visit.desk.parts, only_open=True) if row.case.stage in BEFORE_IDENTITY]
    return Page(
        "identity_list.html",
        {
            "now": [row for row in rows if _needs_person(row)],
            "later": [row for row in rows if not _needs_person(row)],
            "today": today_of(visit),
        },
    )


def _needs_person(row: BoardRow) -> bool:
    return row.case.exception is not None and row.case.stage is not Stage.ASKED


def show_case(visit: Visit) -> Page:
    """Show what a case says about its requester."""
    ref = reference_of(visit)
    case, particulars = check.open_particulars(visit.desk.parts, visit.session.staff, ref)
    said = particulars.get("sender_proof") or {}
    decides = Role.REGISTRAR in visit.session.staff.roles
    return Page(
        "identity.html",
        {
            "case": case,
            "particulars": particulars,
            "asked": Request.from_json(particulars.get("request")),
            "proof": _proof(said),
            "fingerprint": said.get("fingerprint"),
            "evidence_kinds": check.EVIDENCE_KINDS,
            "may": {name: decides and _takes(case, event) for name, event in _FORMS.items()}
            | ({} if particulars["found"] else {"prove": False}),
            "kinds": [kind.value for kind in RequestKind],
            "languages": LANGUAGES,
            "whose": tuple(check.WHOSE),
            "closings": [name for name, event in CLOSINGS.items() if decides and _takes(case, event)],
            "has_original": case.channel is Channel.POST,
        },
    )


def _takes(case: Case, event: Event) -> bool:
    return case.stage in BEFORE_IDENTITY and (case.stage, event) in TRANSITIONS


def _proof(said: dict[str, Any]) -> str | None:
    kind = said.get("kind")
    return "valid_from" if kind == "valid" and said.get("from_matches") else kind


def prove(visit: Visit) -> Response:
    """Record that identity is proved."""
    ref = reference_of(visit)
    check.prove_identity(visit.desk.parts, visit.session.staff, ref, visit.field("evidence"), visit.field("note"))
    return _done(visit, ref)


def ask(visit: Visit) -> Response:
    """Ask the requester; the clock pauses."""
    ref, desk = reference_of(visit), visit.desk
    _, notice = check.ask(desk.parts, visit.session.staff, ref, visit.field("question"))
    file = CaseFile.open(desk.parts, ref, Purpose.CASE_HANDLING, staff=visit.session.staff)
    with desk.parts.database.connect() as connection:
        item = get_outgoing(connection, notice)
    try:
        send_notice(desk.parts, file, item)
    except (OutOfReachError, WrongUseError):  # the intent stands; `resend` sends it, where our keys are
        return _done(visit, ref)
    return _done(visit, ref)


def correct(visit: Visit) -> Response:
    """Enter what a machine could not read, or choose what is asked."""
    ref = reference_of(visit)
    given = {name: visit.field(name).strip() for name in sorted(check.CORRECTABLE | check.CHOSEN)}
    given["kinds"] = " ".join(visit.fields("kinds"))
    changes = {name: value for name, value in given.items() if value}
    if not changes:
        raise RefusedError("nothing_changed", "fill in at least one field that you want to correct", ref=ref)
    check.correct(visit.desk.parts, visit.session.staff, ref, changes)
    return _done(visit, ref)


def close(visit: Visit) -> Response:
    """Close a case that wants no answer."""
    ref = reference_of(visit)
    event = CLOSINGS.get(visit.field("closing"), Event.ARRIVED)
    check.close_as(visit.desk.parts, visit.session.staff, ref, event, visit.field("reason"))
    return _done(visit, ref)


def _done(visit: Visit, ref: str) -> Response:
    visit.desk.airflow.decided("check_identity", ref, "dsr://cases")
    return RedirectResponse(f"/cases/{ref}", 303)
