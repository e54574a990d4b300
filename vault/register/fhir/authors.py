"""Who wrote an entry: references to professionals resolved to name, identifier and title, nothing invented.

A professional's own personal identity code is never taken as the identifier; a professional's number
(Valvira's, below OID 1.2.246.537, as recalled) goes before others.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from vault.domain.private import Private
from vault.domain.records import Author
from vault.register.fhir.elements import Elements
from vault.register.fhir.names import full_name
from vault.register.fhir.references import names_of, normal

UNKNOWN: Final = "unknown"
CODE_SYSTEMS: Final = frozenset({"urn:oid:1.2.246.21", "1.2.246.21"})  # Finnish personal identity code (HL7 Finland)
SUPPORTING: Final = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location"})
_PROFESSIONAL: Final = "urn:oid:1.2.246.537"


@dataclass(frozen=True, slots=True)
class _Role(Private):
    practitioner: str | None
    organization: str | None
    title: str | None


@dataclass(slots=True)
class Authors(Private):
    """Everybody whom an input names as a professional or an organisation; as many as a clinic has staff."""

    _known: dict[str, Author] = field(default_factory=dict)
    _roles: dict[str, _Role] = field(default_factory=dict)

    def learn(self, resource: Mapping[str, Any], full_url: str | None, base: str | None) -> None:
        """Remember a professional, a role or an organisation under every name that others may use."""
        names = names_of(resource, full_url, base)
        elements = Elements(deepcopy(dict(resource)))
        if resource.get("resourceType") == "PractitionerRole":
            role = _role(elements, lambda name: normal(name, full_url, base))
            self._roles.update(dict.fromkeys(names, role))
        else:
            self._known.update(dict.fromkeys(names, author_of(elements)))

    def within(self, names: Mapping[str, Author]) -> "Authors":
        """Return these authors and some more, who count for one patient only."""
        return Authors({**self._known, **names}, self._roles) if names else self

    def find(self, name: str) -> Author | None:
        """Return who stands under a name, a role's title before the person's own."""
        role = self._roles.get(name)
        if role is None:
            return self._known.get(name)
        person = self._known.get(role.practitioner or "") or self._known.get(role.organization or "")
        if person is None:
            return None
        return Author(person.name, person.identifier, role.title or person.title)


def take_authors(resource: Elements, authors: Authors, spell: Callable[[str], str], *names: str) -> list[Author]:
    """Take who stands in these elements, references resolved, each once, in the order of the elements."""
    found = [
        _take(element, resource, authors, spell)
        for name in names
        for element in resource.children(name)
        if element.rest.get("reference") or element.rest.get("display")
    ]
    return list(dict.fromkeys(found))


def _take(element: Elements, resource: Elements, authors: Authors, spell: Callable[[str], str]) -> Author:
    target, display = element.text("reference"), element.text("display")
    element.drop("type")
    if target is None:
        return Author(display or UNKNOWN, UNKNOWN, UNKNOWN)
    if target.startswith("#"):
        inside = [item for item in resource.children("contained") if item.rest.get("id") == target[1:]]
        return author_of(Elements(deepcopy(inside[0].rest))) if inside else Author(display or UNKNOWN, UNKNOWN, UNKNOWN)
    return authors.find(spell(target)) or Author(display or UNKNOWN, target, UNKNOWN)


def _role(role: Elements, spell: Callable[[str], str]) -> _Role:
    title = role.concept("code") or role.concept("specialty")
    person, house = (role.reference(name) for name in ("practitioner", "organization"))
    return _Role(spell(person) if person else None, spell(house) if house else None, title)


def author_of(person: Elements) -> Author:
    """Return a professional, a relative or an organisation as an author."""
    name = full_name(person) or person.text("name") or UNKNOWN
    titles = [told for part in person.children("qualification") if (told := part.concept("code"))]
    title = "; ".join(dict.fromkeys(titles)) or person.concept("type") or UNKNOWN
    return Author(name, _identifier(person) or UNKNOWN, title)


def _identifier(person: Elements) -> str | None:
    known = [
        (str(item.rest.get("system", "")), value)
        for item in person.children("identifier")
        if item.rest.get("system") not in CODE_SYSTEMS and (value := item.text("value"))
    ]
    return next((value for _, value in sorted(known, key=lambda pair: not pair[0].startswith(_PROFESSIONAL))), None)
