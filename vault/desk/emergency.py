"""Break-glass at the desk: the form for a reason, and the page on which a second person reviews it."""

from fastapi.responses import RedirectResponse, Response

from vault.desk.board import reference_of
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.emergencies import LONGEST_REASON, ReviewVerdict
from vault.errors import RefusedError
from vault.steps import emergency as step
from vault.steps.queue import row_of

_UNFIT = "emergency_reason"


def show_form(visit: Visit) -> Page:
    """Show what breaking the glass means, and the field for the reason."""
    return _form(visit, reference_of(visit), "", None)


def _form(visit: Visit, ref: str, reason: str, fault: str | None) -> Page:
    values = {
        "case": row_of(visit.desk.parts, ref).case,
        "minutes": visit.desk.parts.settings.limits.emergency_minutes,
        "longest": LONGEST_REASON,
        "reason": reason,
        "fault": fault,
    }
    return Page("emergency.html", values, 422 if fault else 200)


def break_glass(visit: Visit) -> Page | Response:
    """Open the case for a short time; a reason that is none is asked for again."""
    ref, reason = reference_of(visit), visit.field("reason")
    try:
        step.break_glass(visit.desk.parts, visit.session.staff, ref, reason)
    except RefusedError as error:
        if error.code != _UNFIT:
            raise
        return _form(visit, ref, reason, error.code)
    return RedirectResponse(f"/cases/{ref}", 303)


def show_review(visit: Visit) -> Page:
    """Show an emergency with its reason; the look is logged."""
    staff = visit.session.staff
    found, reason, words = step.read_reason(visit.desk.parts, staff, visit.path("ref"))
    may = found.reviewed_at is None and found.actor != staff.actor
    return Page(
        "emergency_review.html",
        {"emergency": found, "reason": reason, "words": words, "may_review": may, "verdicts": list(ReviewVerdict)},
    )


def review(visit: Visit) -> Response:
    """Record the second person's verdict."""
    ref = visit.path("ref")
    step.review_emergency(visit.desk.parts, visit.session.staff, ref, visit.field("verdict"), visit.field("words"))
    return RedirectResponse("/", 303)
