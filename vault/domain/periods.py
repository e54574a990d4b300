"""How a statutory period runs: from receipt, over pauses, to its last day, under each reading of the law.

    nominal = received day + n months, clipped to the month's end     n = 1, 3 when extended, 2 for a log request
    each merged pause that began by the rolled nominal day adds its whole days; an open one stops the period
    last day = nominal, rolled to a working day, once, at the very end

Where the law is disputed a :class:`Reading` says which side is taken: ``PREVAILING`` gives the
due date, ``EARLIEST`` the safe date. Nothing here knows what day it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from vault.domain.calendar import add_months, require, roll
from vault.errors import WrongUseError


class Rule(StrEnum):
    """A statutory time limit."""

    FIRST_MONTH = "art12_first_month"  # GDPR 12(3)
    EXTENDED = "art12_extended"  # GDPR 12(3), second sentence
    LOG_REQUEST = "log_request"  # Act 703/2023 s. 11
    BREACH = "art33_72h"  # GDPR 33(1)


MONTHS = {Rule.FIRST_MONTH: 1, Rule.EXTENDED: 3, Rule.LOG_REQUEST: 2}


class Dispute(StrEnum):
    """A point on which the law is read in two ways."""

    EVE = "EVE"  # the two Eves roll, by Act 150/1930 s. 5 only
    EXT = "EXT"  # three months run as one period
    PAUSE = "PAUSE"  # a question suspends the period, without a basis in the text
    LOGROLL = "LOGROLL"  # a private provider's two months roll by analogy
    R5 = "R5"  # 72 hours are not stretched to two working days (Reg. 1182/71 art. 3(5))


@dataclass(frozen=True, slots=True)
class Pause:
    """A question to the requester: the day it was sent, and the day the answer came (None while open)."""

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        require(self.start)
        if self.end is not None and require(self.end) < self.start:
            raise WrongUseError("pause_backwards", "a pause ends before it starts; correct its dates")

    @property
    def days(self) -> int | None:
        """Whole days that the pause adds: an answer on the same day adds 0; None while open."""
        return None if self.end is None else (self.end - self.start).days


class Extension(StrEnum):
    """How the three months of an extended period are counted."""

    WHOLE = "whole"  # as one period from receipt
    FROM_CLIPPED = "from_clipped"  # two months from the end of the first, before it rolls
    FROM_ROLLED = "from_rolled"  # two months from the first due date


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the disputed points."""

    eves: bool = True
    pauses: bool = True
    extension: Extension = Extension.WHOLE
    log_rolls: bool = True


PREVAILING = Reading()
EARLIEST = Reading(eves=False, pauses=False, extension=Extension.FROM_CLIPPED, log_rolls=False)


def merge(received: date, pauses: Iterable[Pause]) -> tuple[Pause, ...]:
    """Join overlapping pauses, so that no day is added twice; sorted by start.

    :param received: the local day of receipt.
    :raises WrongUseError: a pause begins before receipt (code ``pause_before_receipt``).
    """
    merged: list[Pause] = []
    for pause in sorted(pauses, key=lambda pause: pause.start):
        if pause.start < received:
            raise WrongUseError("pause_before_receipt", "a pause starts before the request came; correct its dates")
        last = merged[-1] if merged else None
        if last is None or (last.end is not None and last.end < pause.start):
            merged.append(pause)
        else:
            ends = [last.end, pause.end]
            merged[-1] = Pause(last.start, None if None in ends else max(end for end in ends if end is not None))
    return tuple(merged)


def last_working(rule: Rule, day: date, reading: Reading) -> date:
    """Return the day on which a period that nominally ends on ``day`` ends under ``reading``."""
    if rule is Rule.LOG_REQUEST and not reading.log_rolls:
        return day
    return roll(day, eves=reading.eves)


def start_of(rule: Rule, received: date, reading: Reading = PREVAILING) -> date:
    """Return the nominal last day before any pause: received day plus the rule's months."""
    if rule is not Rule.EXTENDED or reading.extension is Extension.WHOLE:
        return add_months(received, MONTHS[rule])
    first = add_months(received, 1)
    return add_months(first if reading.extension is Extension.FROM_CLIPPED else roll(first, eves=reading.eves), 2)


def counts(rule: Rule, nominal: date, pause: Pause, reading: Reading = PREVAILING) -> bool:
    """Tell whether ``pause`` began while the period still ran."""
    return pause.start <= last_working(rule, nominal, reading)


def last_day(rule: Rule, received: date, pauses: Sequence[Pause], reading: Reading = PREVAILING) -> date | None:
    """Return the period's last day under ``reading``; None while a pause that counts is open.

    :param received: the local day of receipt.
    :param pauses: merged and sorted (:func:`merge`).
    :raises RefusedError: the calendar does not reach that far.
    """
    nominal = start_of(rule, received, reading)
    for pause in pauses if reading.pauses else ():
        if counts(rule, nominal, pause, reading):
            if pause.days is None:
                return None
            nominal += timedelta(days=pause.days)
    return last_working(rule, nominal, reading)


def safe_day(rule: Rule, received: date) -> date:
    """Return the earliest last day under any reading; pauses never bring it forward, so they don't enter."""
    return last_working(rule, start_of(rule, received, EARLIEST), EARLIEST)


def _variants(dispute: Dispute, around: Reading) -> tuple[Reading, ...]:
    match dispute:
        case Dispute.EVE:
            return (replace(around, eves=True), replace(around, eves=False))
        case Dispute.EXT:
            return tuple(replace(around, extension=extension) for extension in Extension)
        case Dispute.PAUSE:
            return (replace(around, pauses=True), replace(around, pauses=False))
        case Dispute.LOGROLL:
            return (replace(around, log_rolls=True), replace(around, log_rolls=False))
        case Dispute.R5:
            return ()  # hours, not days


def disputes(rule: Rule, received: date, pauses: Sequence[Pause]) -> tuple[Dispute, ...]:
    """Name the points that move this very period's due date or safe date when they are read the other way."""
    return tuple(
        dispute
        for dispute in Dispute
        if any(
            len({last_day(rule, received, pauses, reading) for reading in _variants(dispute, around)}) > 1
            for around in (PREVAILING, EARLIEST)
        )
    )
