"""Check: what a registrar decides about a case at the desk, each look and each decision recorded."""

import re
from datetime import datetime
from typing import Any

from vault.domain.case import TERMINAL, Case, Event
from vault.domain.request import Request
from vault.domain.roles import Purpose, Role
from vault.errors import ConflictError, NotAllowedError, RefusedError
from vault.steps.casefile import CaseFile
from vault.steps.emergency import require_opener
from vault.steps.exceptions import in_hand, other_right
from vault.steps.identify import CANDIDATE
from vault.steps.notices import road_of
from vault.steps.original import mails_of, replies_of
from vault.steps.parts import Parts, Staff
from vault.steps.receive import PARTICULARS
from vault.storage import outgoing
from vault.storage.cases import append, events, get_case
from vault.storage.database import Connection
from vault.storage.outgoing import Outgoing

EVIDENCE = "evidence"
QUESTION = "question"
EVIDENCE_KINDS = (
    "document_seen_in_person",
    "portal_login",
    "known_in_person",
    "one_time_code_by_phone",
    "authorisation",
)
CORRECTABLE = frozenset({"name", "code", "email", "address", "text"})
CHOSEN = frozenset({"kinds", "language", "whose"})  # chosen from a list; kinds with spaces between
WHOSE: dict[str, dict[str, bool]] = {
    "self": {"on_behalf": False, "for_child": False},
    "child": {"on_behalf": True, "for_child": True},
    "other": {"on_behalf": True, "for_child": False},
}
_LONGEST_NOTE = 4000


def open_particulars(parts: Parts, staff: Staff, ref: str) -> tuple[Case, dict[str, Any]]:
    """Open what a case says about its requester; logged with the person's name first.

    :raises NotAllowedError: neither registrar nor data protection officer, and no clinician in an emergency.
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        require_opener(connection, staff, ref, parts.now())
        happened = events(connection, ref)
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
    found = {"found": file.get(CANDIDATE) is not None, "replies": replies_of(file, happened)}
    said = {**(file.get(PARTICULARS) or {}), **found}
    return case, {**said, "mails": mails_of(case, said, happened)}


def _registrar(staff: Staff, ref: str) -> None:
    if Role.REGISTRAR not in staff.roles:
        raise NotAllowedError("not_a_registrar", "only a registrar decides about identity", ref=ref)


def prove_identity(parts: Parts, staff: Staff, ref: str, evidence: str, note: str) -> Case:
    """Record the decision that identity is proved on evidence seen; the evidence itself is not kept.

    :param evidence: one of ``EVIDENCE_KINDS``.
    :param note: what was seen, in a sentence; sealed.
    :raises RefusedError: unknown evidence, no note, or nobody on the register was found.
    """
    _registrar(staff, ref)
    if evidence not in EVIDENCE_KINDS or not 0 < len(note.strip()) <= _LONGEST_NOTE:
        raise RefusedError("evidence_missing", "say what evidence you saw, in a sentence", ref=ref)
    with in_hand(parts, ref):
        case = _open_case(parts, ref)
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=staff)
        candidate = file.get(CANDIDATE)
        if candidate is None:
            raise RefusedError("nobody_found", "nobody on the register was found for this case; correct it", ref=ref)
        with parts.database.connect() as connection:
            file.put(connection, EVIDENCE, {"kind": evidence, "note": note.strip(), "by": staff.actor})
            return append(
                connection,
                case,
                Event.IDENTITY_PROVED,
                actor=staff.actor,
                at=parts.now(),
                detail={"evidence": "registrar_decision", "level": "substantial"},
                subject=candidate["subject"],
                exception=None,
            )


def ask(parts: Parts, staff: Staff, ref: str, question: str) -> tuple[Case, str]:
    """Ask the requester for what is needed to identify her; the clock pauses from today (GDPR 12(6)).

    :param question: the registrar's words; sealed.
    :returns: the case and the reference of the notice to send.
    """
    _registrar(staff, ref)
    if not 0 < len(question.strip()) <= _LONGEST_NOTE:
        raise RefusedError("question_missing", "write what you ask for", ref=ref)
    with in_hand(parts, ref):
        case = _open_case(parts, ref)
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=staff)
        road = road_of(file.get(PARTICULARS) or {})
        if road is None:
            raise RefusedError("no_address", "no address is known; correct the e-mail or postal address first", ref=ref)
        notice = Outgoing(f"{ref}-question-{case.version}", ref, "question", road, outgoing.INTENDED, parts.now())
        with parts.database.connect() as connection:
            file.put(connection, QUESTION, {"text": question.strip(), "by": staff.actor})
            outgoing.intend(connection, notice)
            asked = append(
                connection,
                case,
                Event.QUESTION_SENT,
                actor=staff.actor,
                at=parts.now(),
                detail={"notice": notice.ref},
                exception=None,
            )
        return asked, notice.ref


def correct(parts: Parts, staff: Staff, ref: str, changes: dict[str, str]) -> Case:
    """Enter what a machine could not read, or choose what is asked; the case is identified anew.

    Where what is asked lies beyond what machines answer, the case waits for a person as before.

    :param changes: fields of the request, such as ``name``, ``code``, ``address``; sealed.
    """
    _registrar(staff, ref)
    if not set(changes) <= CORRECTABLE | CHOSEN:
        known = ", ".join(sorted(CORRECTABLE | CHOSEN))
        raise RefusedError("field_unknown", f"these can be corrected: {known}", ref=ref)
    with in_hand(parts, ref):
        case = _open_case(parts, ref)
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=staff)
        particulars = file.get(PARTICULARS) or {}
        particulars = {**particulars, **_reachable(changes)}
        request = _corrected(Request.from_json(particulars["request"]), changes, ref)
        beyond = other_right(request.kinds) if "kinds" in changes else None
        with parts.database.connect() as connection:
            file.put(connection, PARTICULARS, {**particulars, "request": request.to_json()})
            return append(
                connection,
                case,
                Event.PARTICULARS_ENTERED,
                actor=staff.actor,
                at=parts.now(),
                detail={"fields": ",".join(sorted(changes)), **({"exception": beyond} if beyond else {})},
                exception=beyond,
                **({"language": request.language} if "language" in changes else {}),
            )


def _corrected(request: Request, changes: dict[str, str], ref: str) -> Request:
    """Return the request as a person reads it.

    :raises RefusedError: what was chosen is not on the list (code ``request_malformed``).
    """
    value = {**request.to_json(), **{name: words for name, words in changes.items() if name in CORRECTABLE}}
    if "kinds" in changes:
        value |= {"kinds": [*changes["kinds"].split()], "confidence": 1.0}
    if "language" in changes:
        value["language"] = changes["language"]
    if "whose" in changes:
        value |= WHOSE.get(changes["whose"], {"on_behalf": None})
    try:
        return Request.from_json(value)
    except RefusedError as error:
        raise RefusedError(error.code, "choose from the lists of the form", ref=ref) from None


def _reachable(changes: dict[str, str]) -> dict[str, Any]:
    """Write to the corrected address from now on."""
    found: dict[str, Any] = {}
    if "email" in changes:
        found["reply_to"] = changes["email"]
    if "address" in changes:
        found["address"] = [line.strip() for line in re.split(r"[,\n]", changes["address"]) if line.strip()]
    return found


def close_as(parts: Parts, staff: Staff, ref: str, event: Event, reason: str) -> Case:
    """Close a case that is no request, or that its requester called off.

    :param event: ``FOUND_NO_REQUEST``, ``CALLED_OFF`` or ``IDENTITY_REFUSED``.
    :param reason: sealed; why.
    """
    _registrar(staff, ref)
    if event not in (Event.FOUND_NO_REQUEST, Event.CALLED_OFF, Event.IDENTITY_REFUSED) or not reason.strip():
        raise RefusedError("reason_missing", "say why the case is closed", ref=ref)
    with in_hand(parts, ref):
        case = _open_case(parts, ref)
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
        with parts.database.connect() as connection:
            file.put(connection, "closing", {"reason": reason.strip()[:_LONGEST_NOTE], "by": staff.actor})
            return append(connection, case, event, actor=staff.actor, at=parts.now(), exception=None)


def clear_exception(parts: Parts, staff: Staff, ref: str, *, went_out: bool = False) -> Case:
    """Record that a person has looked at an exception and the machines may go on.

    :param went_out: what she found out about mail whose sending was unclear; without it the mail goes again.
    """
    if not staff.roles & {Role.REGISTRAR, Role.DPO, Role.CLINICIAN}:
        raise NotAllowedError("not_staff", "your role clears no exceptions", ref=ref)
    with in_hand(parts, ref):
        case = _open_case(parts, ref)
        if case.exception is None:
            return case
        with parts.database.connect() as connection:
            settle(connection, ref, parts.now(), went_out=went_out)
            return append(
                connection,
                case,
                Event.EXCEPTION_CLEARED,
                actor=staff.actor,
                at=parts.now(),
                detail={"exception": case.exception, **({"went_out": "yes"} if went_out else {})},
                exception=None,
            )


def settle(connection: Connection, ref: str, at: datetime, *, went_out: bool) -> None:
    """Call a case's unclear mail sent, or let it and refused mail go again under the same Message-ID."""
    for item in outgoing.outgoing_of(connection, ref):
        if item.state == outgoing.MAYBE_SENT:
            outgoing.move(connection, item.ref, item.state, outgoing.SENT if went_out else outgoing.INTENDED, at)
        elif item.state == outgoing.REFUSED:
            outgoing.move(connection, item.ref, item.state, outgoing.INTENDED, at)


def _open_case(parts: Parts, ref: str) -> Case:
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
    if case.stage in TERMINAL:
        raise ConflictError("case_closed", "this case is closed", ref=ref)
    return case
