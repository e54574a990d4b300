"""FHIR R4 files as an input of the import: bundles, single resources, NDJSON of a bulk export."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vault.domain.private import Private
from vault.domain.records import Record
from vault.errors import RefusedError
from vault.register.fhir.authors import SUPPORTING, Authors
from vault.register.fhir.chart import Chart
from vault.register.fhir.elements import Content, Elements, resource_type
from vault.register.fhir.people import code_of
from vault.register.fhir.references import names_of, persons
from vault.register.fhir.source import FhirReader, Refs, Source
from vault.register.imports.inputs import Fhir, Place, Read, resource_of
from vault.register.imports.recipe import Refuse
from vault.register.tally import Tally

_EDITION = b"fhir-r4/1"  # another mapping is another reading


class FhirRecipe(Private):
    """Understands FHIR R4.

    :param base: the server's own base URL: its absolute references mean resources of this input.
    """

    __slots__ = ("_base", "_reader", "form")

    def __init__(self, refs: Refs, base: str | None = None) -> None:
        self.form = Fhir()
        self._base = base
        self._reader = FhirReader(refs, Authors(), base)

    def mark(self) -> bytes:
        """Return what makes another reading of the same input."""
        return _EDITION + (self._base or "").encode()

    def look(self, read: Read) -> tuple[Sequence[str], bool] | None:
        """Return whom a resource is about; see the port."""
        found = resource_of(read.data)
        if found is None:
            return None
        resource, full_url = found
        if resource_type(resource) in SUPPORTING:
            self._reader.authors.learn(resource, full_url, self._base)
            return None
        names = persons(resource, full_url, self._base)
        inside = list(_inside(resource, names)) if "contained" in resource else []
        if not names:
            raise RefusedError("no_patient", "a resource is about no patient that it names; look at it by hand")
        if inside:
            return [_inside_name(patient) for patient in inside], True
        return names, resource_type(resource) == "Patient"

    def code(self, reads: Sequence[Read]) -> str:
        """Return the personal identity code of a person; see the port."""
        found = [found for read in reads if (found := resource_of(read.data))]
        codes = {
            code_of(Elements(patient)).value for resource, _ in found for patient in _patients(resource, self._base)
        }
        if len(codes) != 1:
            raise RefusedError("identity_conflict", "the same patient has several personal identity codes; say which")
        return codes.pop()

    def records(
        self, subject: str, reads: Sequence[Read], present: Iterable[str], tally: Tally, refuse: Refuse
    ) -> list[Record]:
        """Return a person's records; see the port."""
        sources, own = list[Source](), set[str]()
        for read in reads:
            found = resource_of(read.data)
            if found is not None:
                resource, full_url = found
                own.update(*(names_of(patient, full_url, self._base) for patient in _patients(resource, self._base)))
                sources.append(Source(resource, full_url, (read.place.file, read.place.number)))
                sources += [Source(patient, None, sources[-1].place) for patient in _contained(resource, self._base)]
        places = {(read.place.file, read.place.number): read.place for read in reads}
        told = _Told(refuse, places)
        return Chart(subject, self._reader, tally, own=own, present=present, refuse=told).records(sources)


class _Told:
    def __init__(self, refuse: Refuse, places: dict[tuple[int, int], Place]) -> None:
        self._refuse = refuse
        self._places = places

    def __call__(self, source: Source, error: RefusedError) -> None:
        self._refuse(self._places[source.place], error)


def _patients(resource: Content, base: str | None) -> Iterator[Content]:
    if resource_type(resource) == "Patient":
        yield resource
    else:
        yield from _contained(resource, base)


def _contained(resource: Content, base: str | None) -> Iterator[Content]:
    if "contained" in resource:
        yield from _inside(resource, persons(resource, None, base))


def _inside(resource: Content, names: Sequence[str]) -> Iterator[Content]:
    """Yield the contained Patients whom a resource is about."""
    wanted = {name[1:] for name in names if name.startswith("#")}
    contained: Any = resource.get("contained")
    for item in contained if isinstance(contained, list) else ():
        if isinstance(item, dict) and item.get("resourceType") == "Patient" and item.get("id") in wanted:
            yield item


def _inside_name(patient: Content) -> str:
    return f"code:{code_of(Elements(patient)).value}"
