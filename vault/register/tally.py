"""What a reading understood and what it did not: counts by resource type and element path, never a value."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one import, or of one reading of a FHIR server.

    :param read: resources or rows by type.
    :param written: records by kind.
    :param kept: elements without a field of their own, kept under ``other``, by type and path.
    :param missing: what an entry should have and its source does not, by type and element.
    :param others: elements about another patient, which stand in that patient's records only.
    :param refused: what was left out, by code.
    """

    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def miss(self, kind: str, what: Iterable[str]) -> None:
        """Count what a resource of this type lacks."""
        self.missing.update(f"{kind}.{name}" for name in what)

    def add(self, other: "Tally") -> None:
        """Add another's counts."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def to_json(self) -> dict[str, dict[str, int]]:
        """Write the counts in a stable order."""
        return {name: dict(sorted(getattr(self, name).items())) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Tally":
        """Read what :meth:`to_json` wrote."""
        return cls(**{name: Counter(data.get(name, {})) for name in cls.__slots__})
