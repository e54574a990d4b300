"""What goes wrong becomes a page: the error's code, its advice and a fitting status; nothing personal."""

from vault.desk.render import Page
from vault.errors import ConflictError, LimitError, NotAllowedError, OutOfReachError, RefusedError, VaultError

_STATUS: tuple[tuple[type[VaultError], int], ...] = (
    (NotAllowedError, 403),
    (ConflictError, 409),
    (OutOfReachError, 503),
    (LimitError, 413),
    (RefusedError, 422),
    (VaultError, 400),
)
_MISSING = (
    *("no_such_case", "no_such_page", "no_such_document", "no_draft", "no_original", "no_attachment"),
    *("no_such_mail",),
    *("no_such_alarm", "no_such_emergency"),
)
_BY_CODE = {**dict.fromkeys(_MISSING, 404), "cap_reached": 429, "emergencies_reached": 429}


def problem(error: VaultError) -> Page:
    """Make a page of an error."""
    status = _BY_CODE.get(error.code) or next(status for kind, status in _STATUS if isinstance(error, kind))
    return Page("problem.html", {"error": error, "status": status}, status)


def unexpected() -> Page:
    """Make the page of a fault of ours; what it was stands in the desk's log, without values."""
    return problem_with(500, "unexpected", "try again; if it stays, tell the operator the time and this code")


def problem_with(status: int, code: str, advice: str) -> Page:
    """Make a page with a status of its own."""
    return Page("problem.html", {"error": VaultError(code, advice), "status": status}, status)
