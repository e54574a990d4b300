"""The case: one pure table says which event leads from which stage to which; nothing here does I/O.

An event that the table does not name for a stage is refused, so a step that runs twice,
late or in the wrong order cannot move a case. Exceptions do not move a case either: they
are a code beside the stage that keeps machines away until a person has looked, while the
clock runs on.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vault.errors import RefusedError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
REFERENCE = re.compile(r"DSR-[0-9]{4}-[0-9A-HJKMNP-TV-Z]{6}")


class Channel(StrEnum):
    """How a request arrived."""

    MAIL = "mail"
    POST = "post"


class Stage(StrEnum):
    """Where a case stands on the road."""

    RECEIVED = "received"
    CHECKING = "checking"
    ASKED = "asked"
    IDENTIFIED = "identified"
    DRAFTED = "drafted"
    DECIDED = "decided"
    SEALED = "sealed"
    ANSWERED = "answered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    NOT_A_REQUEST = "not_a_request"
    MERGED = "merged"


TERMINAL = frozenset({Stage.ANSWERED, Stage.REFUSED, Stage.WITHDRAWN, Stage.NOT_A_REQUEST, Stage.MERGED})


class Event(StrEnum):
    """What happened to a case; appended, never changed."""

    ARRIVED = "arrived"
    PARTICULARS_ENTERED = "particulars_entered"  # a person transcribed what a machine could not read
    CHECK_NEEDED = "check_needed"  # a one-time code was posted, or a person must decide
    QUESTION_SENT = "question_sent"  # opens a pause
    ANSWER_ARRIVED = "answer_arrived"  # closes the pause
    IDENTITY_PROVED = "identity_proved"
    IDENTITY_REFUSED = "identity_refused"
    DRAFT_MADE = "draft_made"
    DECISION_MADE = "decision_made"
    PACKAGE_SEALED = "package_sealed"
    DELIVERED = "delivered"
    REFUSAL_DELIVERED = "refusal_delivered"
    CALLED_OFF = "called_off"  # the requester withdrew
    FOUND_NO_REQUEST = "found_no_request"
    FOUND_DUPLICATE = "found_duplicate"
    # events that leave the stage as it is
    REPLY_ARRIVED = "reply_arrived"
    EXCEPTION_RAISED = "exception_raised"
    EXCEPTION_CLEARED = "exception_cleared"
    NOTICE_SENT = "notice_sent"
    OFFERED = "offered"  # a human task in Airflow points at the case
    REMINDED = "reminded"
    COPIES_DESTROYED = "copies_destroyed"  # pictures of identity documents that have served
    PURGED = "purged"


OPEN = frozenset(Stage) - TERMINAL
STAYING = frozenset(
    {
        Event.REPLY_ARRIVED,
        Event.EXCEPTION_RAISED,
        Event.EXCEPTION_CLEARED,
        Event.NOTICE_SENT,
        Event.OFFERED,
        Event.REMINDED,
        Event.COPIES_DESTROYED,
        Event.PURGED,
    }
)

BEFORE_IDENTITY = (Stage.RECEIVED, Stage.CHECKING, Stage.ASKED)

TRANSITIONS: dict[tuple[Stage, Event], Stage] = {
    (Stage.RECEIVED, Event.PARTICULARS_ENTERED): Stage.RECEIVED,
    (Stage.CHECKING, Event.PARTICULARS_ENTERED): Stage.RECEIVED,
    (Stage.RECEIVED, Event.CHECK_NEEDED): Stage.CHECKING,
    (Stage.RECEIVED, Event.QUESTION_SENT): Stage.ASKED,
    (Stage.CHECKING, Event.QUESTION_SENT): Stage.ASKED,
    (Stage.ASKED, Event.ANSWER_ARRIVED): Stage.CHECKING,
    (Stage.RECEIVED, Event.IDENTITY_PROVED): Stage.IDENTIFIED,
    (Stage.CHECKING, Event.IDENTITY_PROVED): Stage.IDENTIFIED,
    (Stage.CHECKING, Event.IDENTITY_REFUSED): Stage.REFUSED,
    (Stage.IDENTIFIED, Event.DRAFT_MADE): Stage.DRAFTED,
    (Stage.DRAFTED, Event.DRAFT_MADE): Stage.DRAFTED,  # a redaction makes a new version
    (Stage.DRAFTED, Event.DECISION_MADE): Stage.DECIDED,
    (Stage.DECIDED, Event.PACKAGE_SEALED): Stage.SEALED,
    (Stage.SEALED, Event.DELIVERED): Stage.ANSWERED,
    (Stage.SEALED, Event.REFUSAL_DELIVERED): Stage.REFUSED,
    **{(stage, Event.FOUND_NO_REQUEST): Stage.NOT_A_REQUEST for stage in BEFORE_IDENTITY},
    **{(stage, Event.FOUND_DUPLICATE): Stage.MERGED for stage in BEFORE_IDENTITY},
    **{(stage, Event.CALLED_OFF): Stage.WITHDRAWN for stage in (*BEFORE_IDENTITY, Stage.IDENTIFIED, Stage.DRAFTED)},
    **{(stage, event): stage for stage in Stage for event in STAYING},
}


@dataclass(frozen=True, slots=True)
class Case:
    """What is plainly known about one request: references, states, codes and times only.

    :param version: number of its latest event; a change must name it.
    :param exception: code of what a person must look at, or None; the clock runs on.
    :param subject: the register's reference of the data subject, once identity is proved.
    """

    ref: str
    channel: Channel
    received_at: datetime
    stage: Stage
    version: int
    language: str
    exception: str | None = None
    subject: str | None = None
    merged_into: str | None = None

    @property
    def open(self) -> bool:
        """Tell whether the case still wants an answer."""
        return self.stage in OPEN


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One appended event; ``detail`` holds codes and references only."""

    version: int
    at: datetime
    event: Event
    stage: Stage
    actor: str
    step: str | None
    detail: dict[str, str]


def pauses(events: list[CaseEvent]) -> list[tuple[datetime, datetime | None]]:
    """Read the clock's pauses off the events: from the question sent to the answer's arrival.

    An answer counts from its arrival at an official channel (``arrived``), not from our reading it.
    """
    found: list[tuple[datetime, datetime | None]] = []
    for event in events:
        if event.event is Event.QUESTION_SENT:
            found.append((event.at, None))
        elif event.event is Event.ANSWER_ARRIVED and found and found[-1][1] is None:
            arrived = event.detail.get("arrived")
            found[-1] = (found[-1][0], min(datetime.fromisoformat(arrived), event.at) if arrived else event.at)
    return found


def next_stage(stage: Stage, event: Event, *, ref: str | None = None) -> Stage:
    """Return the stage after ``event``.

    :raises RefusedError: the table has no such move (code ``no_such_move``).
    """
    try:
        return TRANSITIONS[stage, event]
    except KeyError:
        raise RefusedError(
            "no_such_move",
            f"a case in stage {stage.value} takes no {event.value}; open the case and see what it waits for",
            ref=ref,
        ) from None


def reference(year: int, number: int) -> str:
    """Spell a case's reference, such as ``DSR-2026-7K3QXM``.

    :param year: the year of receipt in Helsinki.
    :param number: a random number below 32**6; the caller draws it, so that it can't be counted.
    """
    digits = "".join(_ALPHABET[number >> shift & 31] for shift in range(25, -1, -5))
    return f"DSR-{year:04d}-{digits}"


REFERENCE_SPACE = 32**6
