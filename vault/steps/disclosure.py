"""Disclosure: before an answer leaves the house the log says to whom, once a case (Act 703/2023 s. 10)."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from vault.accesslog.auditevent import DATA_SUBJECT
from vault.domain.case import Case
from vault.domain.request import Request, RequestKind
from vault.domain.roles import Purpose
from vault.errors import NotAllowedError
from vault.steps.casefile import access, record
from vault.steps.parts import Parts

REPRESENTATIVE: Final = "representative"  # a recipient: who asked in the person's place
_GROUND: Final = "GDPR 15"
_LOG_GROUND: Final = "GDPR 15; Act 703/2023 s. 11"  # of who asked for the log too
LOG_EXTRACT: Final = "access_log"  # among the kinds of data: every answer holds an extract of the log


def log_disclosure(parts: Parts, case: Case, request: Request, kinds: Collection[str], count: int) -> None:
    """Log that a case's answer is handed over, unless the log says so already.

    The caller holds the case, so that nobody else logs it meanwhile; a step that was killed behind the entry
    finds it when it runs again.

    :param request: says whether somebody asked in the person's place, and whether for the log too.
    :param kinds: the kinds of records that the package holds; ``count`` is how many records.
    :raises NotAllowedError: identity is not proved.
    :raises OutOfReachError: the log can't write; nothing is handed over.
    """
    if case.subject is None:
        raise NotAllowedError("no_identity_decision", "nothing is handed over before identity is proved", ref=case.ref)
    if any(one.case == case.ref and one.recipient is not None for one in parts.log.who(case.subject)):
        return
    given = access(
        parts, Purpose.DELIVER, case=case.ref, subject=case.subject, kinds={*kinds, LOG_EXTRACT}, count=count
    )
    recipient = REPRESENTATIVE if request.on_behalf else DATA_SUBJECT
    ground = _LOG_GROUND if RequestKind.LOG in request.kinds else _GROUND
    record(parts, [replace(given, legal_ground=ground, recipient=recipient)])
