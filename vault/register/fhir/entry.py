"""An entry on its way from a resource to a record, and what a mapping may know around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from vault.domain.private import Private
from vault.domain.records import Author, Json, RecordKind
from vault.register.fhir.authors import Authors
from vault.register.fhir.elements import Elements
from vault.register.tally import Tally

UNKNOWN: Final = "unknown"
UNKNOWN_TIME: Final = datetime(1900, 1, 1, tzinfo=UTC)  # beside ``"written": "unknown"`` in the body
Time = tuple[datetime, str | None]


@dataclass(frozen=True, slots=True)
class Around(Private, shows=("subject",)):
    """What is known around a patient's resources.

    :param subject: the register's reference of the patient.
    :param ref: makes a record's reference of a resource's name; it reveals nothing of the name.
    :param spell: spells a reference as its resource is known.
    :param goals: what each goal says, by its name.
    """

    subject: str
    ref: Callable[[str], str]
    spell: Callable[[str], str]
    authors: Authors
    tally: Tally
    goals: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Entry(Private, shows=("kind",)):
    """What a mapping made of one resource; whatever it did not take is added later.

    :param time: when the entry was made, and the date as it stood where it was no more than a date.
    :param authors: the first is the record's author, the others stand in its body.
    :param part: tells several records of one resource apart.
    :param replaces: names of resources that this one replaces.
    """

    kind: RecordKind
    body: dict[str, Json] = field(default_factory=dict)
    time: Time | None = None
    authors: list[Author] = field(default_factory=list)
    part: str = ""
    replaces: list[str] = field(default_factory=list)

    def put(self, **fields: Json) -> "Entry":
        """Add the fields that are known; what is unknown is left out, not filled."""
        self.body.update({name: value for name, value in fields.items() if value not in (None, "", [], {})})
        return self


def references(entry: Entry, resource: Elements, around: Around) -> Entry:
    """Take what ties an entry to its visit, its service event and what it replaces."""
    for name in ("encounter", "context"):
        direct = [found for found in resource.references(name) if "Encounter/" in found or found.startswith("urn:")]
        for target in (*direct, *resource.child(name).references("encounter")):
            entry.put(visit=around.ref(around.spell(target)))
    for related in resource.children("relatesTo"):
        if related.rest.get("code") == "replaces":
            targets = related.references("targetReference") + related.references("target")
            entry.replaces += [around.spell(target) for target in targets]
            related.drop("code", "targetReference", "target")
    entry.replaces += [around.spell(target) for target in resource.references("replaces")]
    resource.drop("replaces")
    return entry


def status(entry: Entry, resource: Elements, *names: str) -> Entry:
    """Take a resource's state in words; an entry made in error stays readable and says so."""
    for name in names:
        told = resource.concept(name) if isinstance(resource.rest.get(name), dict | list) else resource.text(name)
        if told == "entered-in-error":
            entry.put(entered_in_error=True)
        entry.put(**{name if name != "status" else "state_of_entry": told})
    return entry


def notes_of(resource: Elements) -> str | None:
    """Take annotations as text, each with who wrote it and when, where that is told."""
    lines = []
    for note in resource.children("note"):
        signs = [note.text("time"), note.text("authorString"), note.child("authorReference").text("display")]
        words = note.text("text")
        head = ", ".join(sign for sign in signs if sign)
        lines += [f"{head}: {words}" if head else words] if words else []
    return "\n".join(lines) or None
