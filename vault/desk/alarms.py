"""An alarm's page: what rang, what to do, and closing it with a word."""

from fastapi.responses import RedirectResponse, Response

from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.alarms import CHOSEN
from vault.domain.roles import Role
from vault.steps import alarms as step


def show(visit: Visit) -> Page:
    """Show one open alarm."""
    row = step.alarm_row(visit.desk.parts, visit.path("ref"))
    staff = visit.session.staff
    closes = Role.DPO in staff.roles and not row.emergencies and row.alarm.actor != staff.actor
    values = {"row": row, "may_close": closes, "whys": CHOSEN, "may_search": visit.desk.auditing is not None}
    return Page("alarm.html", values)


def close(visit: Visit) -> Response:
    """Close an alarm with a word."""
    step.close(visit.desk.parts, visit.session.staff, visit.path("ref"), visit.field("why"))
    return RedirectResponse("/", 303)
