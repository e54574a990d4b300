"""Audit: searching the access log; each search is an entry itself, under the searcher's name, before it is made."""

import re
from typing import Final

from vault.accesslog.entries import SUBJECT
from vault.accesslog.search import KIND, Hits, LogSearch, Query
from vault.domain.case import REFERENCE
from vault.domain.private import Private
from vault.domain.roles import Purpose, Role
from vault.errors import NotAllowedError, RefusedError
from vault.steps.casefile import access, record
from vault.steps.parts import Parts, Staff

MAY_SEARCH: Final = frozenset({Role.AUDITOR, Role.DPO})
_ACTOR: Final = re.compile(r"(?:staff|office|account):[\w.@-]{1,64}|reader:[0-9a-f]{32}", re.ASCII)


class Auditing(Private):
    """Searches the log for members of staff.

    :param parts: of the office ``audit``.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._search = LogSearch(parts.log, parts.database, parts.keys, parts.service)

    def find(self, staff: Staff, query: Query) -> Hits:
        """Log a search and make it.

        :raises NotAllowedError: neither auditor nor data protection officer.
        :raises RefusedError: nothing is searched for, or a part of it is malformed; nothing was logged.
        :raises OutOfReachError: the search can't be logged, so it is not made.
        """
        if not staff.roles & MAY_SEARCH:
            raise NotAllowedError("not_an_auditor", "auditors and data protection officers search the log")
        check(query)
        look = access(self._parts, Purpose.AUDIT, case=None, subject=query.subject, kinds=[KIND], staff=staff)
        return self._search.find(record(self._parts, [look])[0], query)


def check(query: Query) -> None:
    """Let a search pass that names something, and names it as the log does.

    :raises RefusedError: ``search_reader``, ``search_patient``, ``search_day`` or ``search_empty``.
    """
    if query.actor is not None and not _ACTOR.fullmatch(query.actor):
        raise RefusedError("search_reader", "name a reader by her number, or an office as office:collector")
    if query.subject is not None and not SUBJECT.fullmatch(query.subject):
        raise RefusedError("search_patient", "name a patient by the register's reference")
    if query.case is not None and not REFERENCE.fullmatch(query.case):
        raise RefusedError("search_patient", "name a case by its reference, such as DSR-2026-7K3QXM")
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise RefusedError("search_day", "the first day is not after the last one")
    if all(value is None for value in (query.actor, query.subject, query.case, query.since, query.until)):
        raise RefusedError("search_empty", "name a reader, a patient or a day; the whole log is not shown")
