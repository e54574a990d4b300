"""Which case an arrival belongs to: the one that it answers, a new one, or a new one merged into what it doubles."""

import secrets
from typing import TYPE_CHECKING

from vault.crypto.envelope import new_key
from vault.domain.calendar import HELSINKI
from vault.domain.case import REFERENCE_SPACE, Case, Event, Stage, reference
from vault.errors import RefusedError
from vault.steps.casefile import arrival_owner, case_owner
from vault.steps.handful import Handful, Landing
from vault.steps.parts import Parts
from vault.steps.returned import note_on_closed, note_report
from vault.storage.arrivals import Arrival
from vault.storage.cases import append, get_case
from vault.storage.database import Connection

if TYPE_CHECKING:
    from vault.steps.receive import Incoming

REPLY = "reply"


def case_of(
    parts: Parts, connection: Connection, handful: Handful, incoming: "Incoming", landing: Landing
) -> tuple[Case, str]:
    """Find or open the case that an arrival belongs to, and say what it is there.

    :param handful: the arrivals that are recorded with it.
    """
    arrival, keys = landing.arrival, landing.keys
    twin = handful.twins.get(arrival.digest)
    known = _case_answered(connection, incoming)
    if incoming.report is not None and known is not None:
        return note_report(parts, connection, known, incoming.report, arrival.ref), "notice"
    if known is None or twin is not None:
        case, role = _new_case(parts, connection, handful, incoming, twin)
        keys[case_owner(case.ref)] = new_key()
        if incoming.report is not None and twin is None:
            handful.write_cases(connection, parts)
            case = note_on_closed(parts, connection, case, incoming.report)
        return case, role
    detail = {"arrival": arrival.ref}
    case = append(connection, known, Event.REPLY_ARRIVED, actor=parts.actor, at=parts.now(), detail=detail)
    keys.setdefault(arrival_owner(arrival.ref), new_key())
    return case, REPLY


def _case_answered(connection: Connection, incoming: "Incoming") -> Case | None:
    if incoming.case_ref is None:
        return None
    try:
        case = get_case(connection, incoming.case_ref)
    except RefusedError:
        return None
    return case if case.open else None


def _new_case(
    parts: Parts, connection: Connection, handful: Handful, incoming: "Incoming", twin: Arrival | None
) -> tuple[Case, str]:
    year = incoming.received_at.astimezone(HELSINKI).year
    exception = "automatic_message" if incoming.report else incoming.exception
    case = Case(
        ref=reference(year, secrets.randbelow(REFERENCE_SPACE)),
        channel=incoming.channel,
        received_at=incoming.received_at,
        stage=Stage.RECEIVED,
        version=1,
        language=incoming.language,
        exception=None if twin else exception,
    )
    handful.open_case(case)
    if twin is None:
        return case, "request"
    handful.write_cases(connection, parts)
    merged = append(
        connection,
        case,
        Event.FOUND_DUPLICATE,
        actor=parts.actor,
        at=parts.now(),
        detail={"into": twin.case_ref},
        merged_into=twin.case_ref,
    )
    return merged, "duplicate"
