"""A machine's mail about ours is noted on the case it belongs to: what came back is shown, nothing is ever answered."""

from vault.domain.case import Case, Event
from vault.errors import RefusedError
from vault.intake.reports import Report, ReportKind
from vault.steps.parts import Parts
from vault.storage import outgoing
from vault.storage.cases import append, get_case
from vault.storage.database import Connection

_UNDERWAY = (outgoing.SENT, outgoing.MAYBE_SENT)


def note_report(parts: Parts, connection: Connection, case: Case, report: Report, arrival_ref: str) -> Case:
    """Note a report on an open case; only a mail that came back stops its machines.

    :param arrival_ref: the report's own arrival, whose original waits sealed.
    """
    detail = {"arrival": arrival_ref, **_told(connection, case.ref, report)}
    if report.kind is not ReportKind.FAILED:
        detail["automatic"] = report.kind.value
        return append(connection, case, Event.REPLY_ARRIVED, actor=parts.actor, at=parts.now(), detail=detail)
    _mark(parts, connection, case.ref, report)
    return _raise(parts, connection, case, detail)


def note_on_closed(parts: Parts, connection: Connection, fresh: Case, report: Report) -> Case:
    """Tell the new case of a report which closed case it is about, and note on that one what came back.

    A closed case stands on no board, so the report keeps the case that its arrival opened.
    """
    known = _closed(connection, report)
    if known is None or report.kind is not ReportKind.FAILED:
        return fresh
    told = _told(connection, known.ref, report)
    _mark(parts, connection, known.ref, report)
    at = parts.now()
    detail = {**told, "automatic": report.kind.value}
    append(connection, known, Event.REPLY_ARRIVED, actor=parts.actor, at=at, detail=detail)
    return _raise(parts, connection, fresh, {**told, "case": known.ref})


def _raise(parts: Parts, connection: Connection, case: Case, detail: dict[str, str]) -> Case:
    return append(
        connection,
        case,
        Event.EXCEPTION_RAISED,
        actor=parts.actor,
        at=parts.now(),
        detail={**detail, "exception": "mail_bounced"},
        exception="mail_bounced",
    )


def _closed(connection: Connection, report: Report) -> Case | None:
    try:
        return get_case(connection, report.case_ref) if report.case_ref else None
    except RefusedError:
        return None


def _told(connection: Connection, case_ref: str, report: Report) -> dict[str, str]:
    known = {item.ref for item in outgoing.outgoing_of(connection, case_ref)}
    named = [item for item in report.items if item in known]
    return {**({"notice": named[0]} if named else {}), **({"status": report.status} if report.status else {})}


def _mark(parts: Parts, connection: Connection, case_ref: str, report: Report) -> None:
    for item in outgoing.outgoing_of(connection, case_ref):
        if item.ref in report.items and item.state in _UNDERWAY:
            outgoing.move(connection, item.ref, item.state, outgoing.BOUNCED, parts.now())
