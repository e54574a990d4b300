"""One patient's FHIR resources as the records of one subject: every version readable, every element kept or counted.

The same resources give the same records, in whatever order they come; a newer version of a resource, and
a resource that replaces another, is a correction of it (R4 s. 2.42.4, 10.3.4, 2.21.0.4).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

from vault.domain.private import Private
from vault.domain.records import Author, Record
from vault.errors import RefusedError
from vault.register.fhir.authors import SUPPORTING, author_of
from vault.register.fhir.elements import Content, Elements, parse_time, paths, resource_type
from vault.register.fhir.entry import UNKNOWN, UNKNOWN_TIME, Around, Entry
from vault.register.fhir.findings import condition, observation, other
from vault.register.fhir.papers import composition, document_reference
from vault.register.fhir.parse import canonical
from vault.register.fhir.people import as_author, identity, related_person
from vault.register.fhir.plans import (
    audit_event,
    care_plan,
    communication,
    consent,
    goal,
    questionnaire_response,
    service_request,
)
from vault.register.fhir.references import names_of, without_others
from vault.register.fhir.source import FhirReader, Source, Spelling
from vault.register.fhir.visits import appointment, encounter
from vault.register.tally import Tally

MAPPINGS: Final[Mapping[str, Callable[[Elements, Around], Entry]]] = {
    "Appointment": appointment,
    "AuditEvent": audit_event,
    "CarePlan": care_plan,
    "Communication": communication,
    "Composition": composition,
    "Condition": condition,
    "Consent": consent,
    "DocumentReference": document_reference,
    "Encounter": encounter,
    "Goal": goal,
    "Observation": observation,
    "QuestionnaireResponse": questionnaire_response,
    "RelatedPerson": related_person,
    "ServiceRequest": service_request,
}


@dataclass(frozen=True, slots=True)
class _Version(Private):
    """One version of a resource, read; ``content`` is used up by the mapping."""

    content: Content
    kind: str
    name: str
    tag: str
    time: str
    source: Source


class Chart(Private, shows=("subject",)):
    """Makes one subject's records.

    :param own: the names under which resources mean this patient.
    :param present: references of the subject's records that are stored already.
    :param refuse: told of each resource that gives no record, with the reason.
    """

    __slots__ = ("_own", "_present", "_reader", "_refuse", "_tally", "subject")

    def __init__(
        self,
        subject: str,
        reader: FhirReader,
        tally: Tally,
        *,
        own: Collection[str],
        present: Iterable[str] = (),
        refuse: Callable[[Source, RefusedError], None] | None = None,
    ) -> None:
        self.subject = subject
        self._own = frozenset(own)
        self._reader = reader
        self._tally = tally
        self._present: dict[str, list[str]] = {}
        self._refuse = refuse or _raise
        for ref in sorted(present, key=_number):
            self._present.setdefault(ref.rpartition(".")[0].rpartition(".")[0], []).append(ref)

    def records(self, sources: Sequence[Source]) -> list[Record]:
        """Return the records that these resources make and that are not stored yet, corrected ones first."""
        care = (source for source in sources if resource_type(source.content) not in SUPPORTING)
        versions = [self._version(source) for source in care]
        around = self._around(versions)
        made: list[tuple[_Version, list[Entry]]] = []
        for version in sorted(versions, key=lambda version: (version.time, version.tag)):
            try:
                made.append((version, self._entries(version, around)))
            except RefusedError as error:
                self._refuse(version.source, error)
        return [record for version, entries in _replaced_first(made) for record in self._of(version, entries, around)]

    def _version(self, source: Source) -> "_Version":
        content = source.content
        names = names_of(content, source.full_url, self._reader.base)
        tag = self._reader.refs.tag(canonical(content))
        meta = content.get("meta")
        time = str(meta.get("lastUpdated") or "") if isinstance(meta, dict) else ""
        version = str(meta.get("versionId") or "") if isinstance(meta, dict) else ""
        name = names[0] if names else f"content:{tag}"
        return _Version(content, resource_type(content), name, tag, f"{time}|{version:0>12}", source)

    def _around(self, versions: Sequence[_Version]) -> Around:
        people: dict[str, Author] = {}
        goals: dict[str, str] = {}
        for version in versions:
            kind = version.kind
            names = names_of(version.content, version.source.full_url, self._reader.base)
            if kind == "Patient":
                people |= dict.fromkeys(names, as_author(Elements(version.content), self.subject))
            elif kind == "RelatedPerson":
                person = author_of(Elements(deepcopy(version.content)))
                people |= dict.fromkeys(names, replace(person, identifier=names[0] if names else UNKNOWN))
            elif kind == "Goal":
                told = Elements(deepcopy(version.content)).concept("description")
                goals |= dict.fromkeys(names, told) if told else {}
        reader = self._reader
        spell = Spelling(None, reader.base)
        return Around(self.subject, reader.refs.base, spell, reader.authors.within(people), self._tally, goals)

    def _entries(self, version: _Version, around: Around) -> list[Entry]:
        content, kind = version.content, version.kind
        around = replace(around, spell=Spelling(version.source.full_url, self._reader.base))
        self._tally.others.update(without_others(content, self._own, around.spell))
        resource = Elements(content)
        entries = identity(resource, around) if kind == "Patient" else [MAPPINGS.get(kind, other)(resource, around)]
        self._tally.read[kind] += 1
        _finish(entries, resource, version, around)
        return entries

    def _of(self, version: _Version, entries: Sequence[Entry], around: Around) -> Iterable[Record]:
        for entry in entries:
            base = around.ref(f"{version.name}|{entry.part}" if entry.part else version.name)
            earlier = self._present.setdefault(base, [])
            if any(ref.endswith(f".{version.tag}") for ref in earlier):
                continue
            ref = f"{base}.{len(earlier) + 1}.{version.tag}"
            corrects = earlier[-1] if earlier else self._replaced(version, entry, around)
            earlier.append(ref)
            yield self._record(ref, entry, corrects)

    def _replaced(self, version: _Version, entry: Entry, around: Around) -> str | None:
        found = [refs[-1] for name in entry.replaces if (refs := self._present.get(around.ref(name)))]
        if len(found) < len(entry.replaces):
            self._tally.miss(version.kind, ["relatesTo.target"])
        return found[0] if found else None

    def _record(self, ref: str, entry: Entry, corrects: str | None) -> Record:
        author, *further = entry.authors or [Author(UNKNOWN, UNKNOWN, UNKNOWN)]
        at, day = entry.time or (UNKNOWN_TIME, UNKNOWN)
        entry.put(further_authors=[f"{who.name}, {who.title} ({who.identifier})" for who in further], written=day)
        if entry.replaces:
            entry.put(replaces=list(entry.replaces))
        self._tally.written[entry.kind.value] += 1
        return Record(ref, self.subject, entry.kind, at, author, entry.body, corrects)


def _finish(entries: Sequence[Entry], resource: Elements, version: _Version, around: Around) -> None:
    """Give every entry a time and an author where the resource tells them, and the first what nobody took."""
    kind, meta = resource.type, resource.child("meta")
    updated = meta.text("lastUpdated")
    meta.drop("versionId")
    resource.drop("resourceType", "id")
    for entry in entries:
        entry.time = entry.time or (parse_time(updated) if updated else None)
        around.tally.miss(
            kind, [what for what, known in (("time", entry.time), ("author", entry.authors)) if not known]
        )
    left = resource.left()
    around.tally.kept.update(f"{kind}{path}" for path in paths(left))
    entries[0].put(codes=resource.codes, other=left, source=version.name, last_updated=updated)


def _replaced_first(made: list[tuple[_Version, list[Entry]]]) -> list[tuple[_Version, list[Entry]]]:
    """Put what is replaced before what replaces it; a ring of replacements stays in the order of time."""
    by_name: dict[str, list[int]] = {}
    for number, (version, _) in enumerate(made):
        by_name.setdefault(version.name, []).append(number)
    ordered: dict[int, None] = {}
    for start in range(len(made)):
        road = [start]
        seen = {start}
        while road:
            wanted = [n for entry in made[road[-1]][1] for name in entry.replaces for n in by_name.get(name, ())]
            missing = [number for number in wanted if number not in ordered and number not in seen]
            if missing:
                road.append(missing[0])
                seen.add(missing[0])
            else:
                ordered.setdefault(road.pop())
    return [made[number] for number in ordered]


def _number(ref: str) -> tuple[str, int]:
    base, _, tag = ref.rpartition(".")
    stem, _, number = base.rpartition(".")
    return stem, int(number) if number.isdigit() and tag else 0


def _raise(_: Source, error: RefusedError) -> None:
    raise error
