"""Original: the letter as it was scanned, for a person who enters what no machine read; each opening is logged."""

from dataclasses import dataclass

from vault.domain.case import Case, Channel
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import RefusedError
from vault.steps.casefile import CaseFile
from vault.steps.emergency import require_opener
from vault.steps.parts import Parts, Staff
from vault.steps.receive import PARTICULARS
from vault.storage.cases import get_case


@dataclass(frozen=True, slots=True)
class Original(Private):
    """What the scanner delivered, and which of its pages are this case's letter.

    :param pages: counted from 1; the first alone when no machine could tell letters apart.
    """

    case: Case
    data: bytes
    pages: tuple[int, ...]


def open_original(parts: Parts, staff: Staff, ref: str) -> Original:
    """Open a letter's scan; logged with the person's name first.

    :raises NotAllowedError: neither registrar nor data protection officer, and no clinician in an emergency.
    :raises RefusedError: the case came by mail, or nothing was kept (code ``no_original``).
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        require_opener(connection, staff, ref, parts.now())
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
    particulars = file.get(PARTICULARS) or {}
    holder = particulars.get("holder") or particulars.get("arrival")
    data = file.get_original(holder) if case.channel is Channel.POST and holder else b""
    if not data:
        raise RefusedError("no_original", "this case has no scanned original", ref=ref)
    return Original(case, data, tuple(particulars.get("pages") or (1,)))
