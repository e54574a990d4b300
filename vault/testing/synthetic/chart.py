"""One invented patient's chart while it is being written: records with drawn references, in her language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from vault.domain.calendar import HELSINKI
from vault.domain.private import Private
from vault.domain.records import Author, Json, Record, RecordKind
from vault.testing.synthetic.dice import Dice
from vault.testing.synthetic.people import Person
from vault.testing.synthetic.prose import Prose

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def draw_reference(dice: Dice, letter: str) -> str:
    """Draw a reference such as ``R-7K3QXM2RVB``: 50 bits, so it says nothing and can't be counted."""
    return f"{letter}-" + "".join(dice.pick(_ALPHABET) for _ in range(10))


def at_hour(day: date, hour: int, minutes: int = 0) -> datetime:
    """Return a Helsinki time of that day, ``minutes`` after the full hour."""
    return datetime.combine(day, time(hour), HELSINKI) + timedelta(minutes=minutes)


def working_day(day: date) -> date:
    """Return the day itself, or the Friday before a weekend."""
    return day - timedelta(days=max(day.weekday() - 4, 0))


@dataclass(slots=True)
class Chart(Private, shows=("subject",)):
    """What is known of a patient's care, and her records so far.

    :param start: when care began, a working day.
    :param until: the day on which the register is looked at; nothing is later.
    :param sessions: how many are planned, once or twice a week.
    :param full: every kind of document occurs, none is left to chance.
    """

    subject: str
    person: Person
    minor: bool
    therapist: Author
    theme: Mapping[str, Any]
    start: date
    until: date
    sessions: int
    twice_a_week: bool
    dice: Dice
    prose: Prose
    full: bool = False
    service_event: str = ""
    records: list[Record] = field(default_factory=list)

    def add(
        self,
        kind: RecordKind,
        at: datetime,
        body: dict[str, Json],
        author: Author | None = None,
        corrects: str | None = None,
    ) -> Record:
        """Append a record; the therapist writes it unless somebody else does."""
        ref = draw_reference(self.dice, "R")
        record = Record(ref, self.subject, kind, at, author or self.therapist, body, corrects)
        self.records.append(record)
        return record

    def wants(self, percent: int) -> bool:
        """Tell whether a document that so many of a hundred patients have is in this chart."""
        return self.full or self.dice.chance(percent)

    def some_day(self, before: date | None = None) -> date:
        """Draw a working day between the start of care and ``before``, or today."""
        days = ((before or self.until) - self.start).days
        return working_day(self.start + timedelta(days=self.dice.below(max(days, 1))))

    @property
    def diagnosis(self) -> list[Json]:
        """The diagnosis with its plain text."""
        return [{"code": self.theme["code"], "text": self.theme["diagnosis"]}]
