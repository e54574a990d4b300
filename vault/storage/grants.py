"""Which office may do what with which table: the one table of it; what does not stand here is refused.

Every office logs in under a role of its own, which owns nothing. ``dsr migrate`` makes the database
agree with this table (:mod:`vault.storage.privileges`), a test compares the two, and another test tries
each verb of each table with each office's password.

**A new table, or a new use of one:** add it here, under each office whose code uses it: the verbs that
the code's SQL needs and no more, ``update`` with the columns that its SET names, ``select`` with columns
where fewer will do, ``rows`` where the office needs only some kinds of them. ``where`` and ``returning``
need ``select`` on their columns; ``for update`` needs ``update``; ``on conflict do nothing`` without a
target needs nothing more. A table that no office uses stands in ``OWNERS_ONLY``, one that COPY fills in
``UNGUARDED``. An event or a move of a case that an office makes newly stands in ``EVENTS``. Then say in
docs/threat-model.md what a thief of the office gets more (*Each office's room in the database*).
"""

from collections.abc import Mapping
from typing import Final

from vault.domain.alarms import AlarmCode
from vault.domain.case import BEFORE_IDENTITY, Event, Stage
from vault.domain.records import CARE_KINDS, IDENTITY_KINDS, RecordKind
from vault.domain.roles import OfficeName
from vault.storage.rights import Right, begins, both, delete, either, insert, number, one_of, select, update

INTAKE, COLLECTOR, DESK, SEALER = OfficeName.INTAKE, OfficeName.COLLECTOR, OfficeName.DESK, OfficeName.SEALER
PRINT, KEEPER, REGISTRY = OfficeName.PRINT, OfficeName.KEEPER, OfficeName.REGISTRY
AUDIT, OPERATOR = OfficeName.AUDIT, OfficeName.OPERATOR

OWNERS_ONLY: Final = frozenset({"alembic_version"})
# Tables without row security: PostgreSQL takes no COPY where it is on. Rights on whole tables hold there as elsewhere.
UNGUARDED: Final = frozenset({"import_items"})

# What each office may say has happened to a case, always as itself; only the desk speaks for people.
EVENTS: Final[Mapping[OfficeName, tuple[Event, ...]]] = {
    INTAKE: (Event.ARRIVED, Event.REPLY_ARRIVED, Event.FOUND_DUPLICATE, Event.EXCEPTION_RAISED, Event.NOTICE_SENT),
    COLLECTOR: (
        Event.CHECK_NEEDED,
        Event.IDENTITY_PROVED,
        Event.ANSWER_ARRIVED,
        Event.DRAFT_MADE,
        Event.OFFERED,
        Event.REMINDED,
        Event.EXCEPTION_RAISED,
        Event.NOTICE_SENT,
    ),
    DESK: (
        Event.IDENTITY_PROVED,
        Event.IDENTITY_REFUSED,
        Event.PARTICULARS_ENTERED,
        Event.QUESTION_SENT,
        Event.DECISION_MADE,
        Event.CALLED_OFF,
        Event.FOUND_NO_REQUEST,
        Event.EXCEPTION_CLEARED,
        Event.EXCEPTION_RAISED,
        Event.NOTICE_SENT,
    ),
    SEALER: (
        Event.PACKAGE_SEALED,
        Event.DELIVERED,
        Event.REFUSAL_DELIVERED,
        Event.EXCEPTION_RAISED,
        Event.NOTICE_SENT,
    ),
    KEEPER: (Event.COPIES_DESTROYED, Event.PURGED),
}
_AS_ITSELF = {office: one_of("actor", f"office:{office.value}") for office in EVENTS}
_SPEAKER = {**_AS_ITSELF, DESK: either(_AS_ITSELF[DESK], begins("actor", "staff:"))}
_EVENT = {office: insert(rows=both(one_of("event", *events), _SPEAKER[office])) for office, events in EVENTS.items()}

_OF_CASES, _TO_PRINT = one_of("box", "case"), one_of("box", "print")
_ON_PAPER = both(one_of("road", "post"), one_of("state", "ready", "printed", "posted"))
_IDENTITY_DECIDED = one_of("stage", *sorted(set(Stage) - set(BEFORE_IDENTITY)))
_ITS_STAGES = one_of("stage", Stage.DECIDED, Stage.SEALED, Stage.ANSWERED, Stage.REFUSED)

_KEYS_END = one_of("code", AlarmCode.MAIL_KEY_ENDS)
_INTAKE_ITEMS = either(one_of("name", "particulars", "reply", "original"), begins("name", "attachment"))
_DESK_ITEMS = one_of("name", "particulars", "evidence", "question", "closing")

_SENDS = (select(), insert(), update("state done_at"))  # notices, packages, letters
_POSTS = insert(rows=_TO_PRINT)  # a letter's key, which its writer can't open again
# A look is logged before it is made, by a function of the database (vault/storage/callables.py): nobody writes
# leaves or the edge otherwise. Who logs also hears of honey records, and rings.
_LOGS: Mapping[str, tuple[Right, ...]] = {
    "honey": (select("mark added_at"),),
    "alarms": (select("ref code actor case_ref last_at closed_at count"), insert(), update("count last_at")),
}
_LOG_KEYS = one_of("kind", "log")
_FIRST = number("version", 1)  # a key is made once: nobody puts a newer one before it
_NEW_LOG_KEY = insert(rows=both(_LOG_KEYS, _FIRST))  # at the year's turn, and with a subject's first look
_IDENTITIES = one_of("kind", *sorted(IDENTITY_KINDS))
_CARE = one_of("kind", *sorted(CARE_KINDS))

ROOMS: Final[Mapping[OfficeName, Mapping[str, tuple[Right, ...]]]] = {
    INTAKE: {  # writes what it can't read again
        "cases": (
            select(),
            insert(rows=one_of("stage", Stage.RECEIVED)),
            update("stage version exception merged_into"),
        ),
        "case_events": (select(), _EVENT[INTAKE]),
        "arrivals": (select(), insert()),
        "mail_identities": (select(), insert(), update("removed_at")),
        "mail_tries": (select(), insert(), update("tries last_at"), delete()),
        "mail_answers": (select(), insert(), delete()),
        "sealed_keys": (insert(),),
        "sealed_items": (insert(rows=both(_INTAKE_ITEMS, number("version", 1))),),
        "outgoing": _SENDS,
        "alarms": (  # that its own keys end, and nothing else: it writes no log and hears of no honey
            select("ref code actor case_ref last_at closed_at count detail", rows=_KEYS_END),
            insert(rows=_KEYS_END),
            update("count last_at", rows=_KEYS_END),
        ),
    },
    COLLECTOR: {
        "cases": (select(), update("stage version exception subject")),
        "case_events": (select(), _EVENT[COLLECTOR]),
        "arrivals": (select(), update("taken_at")),
        "sealed_keys": (select(rows=_OF_CASES), _POSTS),
        "sealed_items": (select(), insert(rows=one_of("name", "candidate", "code", "answer_key", "draft"))),
        "drafts": (insert(),),
        "outgoing": _SENDS,
        "wrapped_keys": (select(), _NEW_LOG_KEY),
        "subjects": (select(),),
        "records": (select(),),
        **_LOGS,
    },
    DESK: {  # no room of the register, and no key of it
        "cases": (select(), update("stage version exception subject language")),
        "case_events": (select(), _EVENT[DESK]),
        "sealed_keys": (select(rows=_OF_CASES), _POSTS),
        "sealed_items": (select(), insert(rows=either(_DESK_ITEMS, begins("name", "emergency")))),
        "drafts": (select(),),
        "decisions": (insert(),),
        "packages": (select(),),
        "outgoing": _SENDS,
        "wrapped_keys": (select(rows=_LOG_KEYS), _NEW_LOG_KEY),
        "used_assertions": (select(), insert(), delete()),
        **_LOGS,
        "alarms": (select(), insert(), update("count last_at closed_at")),
        "alarm_events": (select(), insert()),
        "looks": (select(), insert(), update("at"), delete()),
        "near_caps": (select(), insert(), delete()),
        "emergencies": (select(), insert(), update("reviewed_at reviewed_by verdict")),
        "readers": (select(), insert(), update("roles seen_at")),
    },
    SEALER: {  # of the register: names and addresses, and a note that the right was used; no care
        "cases": (select(), update("stage version exception", rows=_ITS_STAGES)),
        "case_events": (select(), _EVENT[SEALER]),
        "sealed_keys": (select(rows=_OF_CASES), _POSTS),
        "sealed_items": (select(),),
        "drafts": (select(),),
        "decisions": (select(),),
        "packages": (select(), insert()),
        "outgoing": _SENDS,
        "wrapped_keys": (select(), _NEW_LOG_KEY),
        "records": (select(rows=_IDENTITIES), insert(rows=one_of("kind", RecordKind.INSPECTION))),
        **_LOGS,
        "log_leaves": (select(),),  # the answer's log extract, proved
        "log_days": (select(),),
        "log_tiles": (select(),),
        "log_edge": (select(),),
        "log_checkpoints": (select(),),
    },
    PRINT: {
        "sealed_keys": (select(rows=_TO_PRINT), delete(rows=_TO_PRINT)),
        "outgoing": (select(rows=_ON_PAPER), update("state done_at", rows=_ON_PAPER)),
        "wrapped_keys": (select(rows=_LOG_KEYS), _NEW_LOG_KEY),
        **_LOGS,
    },
    KEEPER: {  # wraps anew, destroys by design, and publishes leaves whose entries it does not see
        "cases": (select(), update("stage version", rows=_IDENTITY_DECIDED)),
        "case_events": (select(), _EVENT[KEEPER]),
        "arrivals": (select(),),
        "sealed_keys": (select("owner box", rows=_OF_CASES), delete(rows=_OF_CASES)),
        "outgoing": (select(),),
        "wrapped_keys": (
            select(),
            _NEW_LOG_KEY,
            update("wrapped"),
            delete(),
        ),
        "subjects": (select("ref"),),
        "records": (select("subject kind", rows=_CARE), delete(rows=_CARE)),
        **_LOGS,
        "log_leaves": (select("idx leaf case_ref tag reader at"),),
        "log_edge": (select(),),
        "log_checkpoints": (select(), insert(), update("cosigned")),
        "log_days": (select(), insert()),
        "log_tiles": (select(), insert(), update("hashes first"), delete()),
        "log_claims": (select(), insert()),
        "log_progress": (select(), insert(), update("position at")),
        "looks": (select("at"), delete()),
        "near_caps": (select("at"), delete()),
        "readers": (select(),),  # who reads, and who broke the glass: the nightly watch
        "emergencies": (select("case_ref actor opened_at until"),),
    },
    REGISTRY: {
        "subjects": (select(), insert()),
        "records": (select(), insert()),
        "wrapped_keys": (select(), insert(rows=_FIRST)),
        **_LOGS,
        "honey": (select(), insert(), delete()),
        "imports": (select(), insert(), update("phase position tally finished_at"), delete()),
        "import_items": (select(), insert(), delete()),
        "import_refusals": (select(), insert()),
    },
    AUDIT: {
        "wrapped_keys": (select(rows=_LOG_KEYS), _NEW_LOG_KEY),
        **_LOGS,
        "cases": (select("ref stage subject"),),  # whose log key opens an entry that names a case
        "log_leaves": (select(),),
        "log_edge": (select(),),
        "log_checkpoints": (select(),),
        "log_days": (select(),),
        "log_tiles": (select(),),
        "log_claims": (select(),),
        "log_progress": (select(), insert(), update("position at")),
    },
    OPERATOR: {
        "cases": (select(),),
        "case_events": (select(),),
        "outgoing": (select(),),
        "packages": (select(),),
    },
}
