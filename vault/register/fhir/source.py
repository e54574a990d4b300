"""Resources as they came, and how those of one origin are read: references, professionals, spelling."""

from dataclasses import dataclass
from typing import Protocol

from vault.domain.private import Private
from vault.register.fhir.authors import Authors
from vault.register.fhir.elements import Content
from vault.register.fhir.references import normal


class Refs(Protocol):
    """Makes references that reveal nothing of what they were made from."""

    def base(self, name: str) -> str:
        """Return the reference of a resource, without its version."""
        ...

    def tag(self, content: bytes) -> str:
        """Return what tells one version of a resource from another."""
        ...


@dataclass(frozen=True, slots=True)
class Source(Private, shows=("place",)):
    """One resource as it came.

    :param content: its JSON; the mapping uses it up.
    :param full_url: of the bundle's entry, if there is one.
    :param place: where it stands in the input, for the report.
    """

    content: Content
    full_url: str | None = None
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class FhirReader(Private):
    """How resources of one origin are read.

    :param refs: makes references.
    :param authors: the professionals whom the origin names.
    :param base: the server's own base URL, where it is known.
    """

    refs: Refs
    authors: Authors
    base: str | None = None


class Spelling(Private):
    """Spells references as they stand in one entry."""

    __slots__ = ("_base", "_full_url")

    def __init__(self, full_url: str | None, base: str | None) -> None:
        self._full_url = full_url
        self._base = base

    def __call__(self, reference: str) -> str:
        """Spell one reference."""
        return normal(reference, self._full_url, self._base)
