"""A FHIR element from which a mapping takes what it understands; what is left is known by its path.

Whatever was not taken stays readable under ``other`` in a record's body, and is counted by resource
type and element path, without any value and without any name that FHIR does not have.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from vault.domain.calendar import HELSINKI
from vault.domain.private import Private
from vault.domain.records import Json
from vault.register.fhir.narrative import plain_text
from vault.register.fhir.vocabulary import ELEMENTS, RESOURCES

_PARTIAL: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_CODING: Final = ("code", "display", "system")
_STRANGE: Final = "?"  # stands for a name that FHIR does not have: it may be anything, a person's name too
_EMPTY: Final[tuple[Json, ...]] = ({}, [], None, "")
DEEPEST: Final = 150  # levels of nesting in a resource
Content = dict[str, Any]


class Elements(Private):
    """One element or resource; it is used up by taking."""

    __slots__ = ("codes", "rest")

    def __init__(self, content: Content, codes: list[Json] | None = None) -> None:
        self.rest = content
        self.codes: list[Json] = [] if codes is None else codes

    @property
    def type(self) -> str:
        """The resource's type, or ``?`` where FHIR R4 has none of that name."""
        return resource_type(self.rest)

    def text(self, name: str) -> str | None:
        """Take a simple value as text; any other stays."""
        value = self.rest.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            return None
        del self.rest[name]
        return str(value)

    def flag(self, name: str) -> bool | None:
        """Take a boolean."""
        return bool(self.rest.pop(name)) if isinstance(self.rest.get(name), bool) else None

    def child(self, name: str) -> "Elements":
        """Look into a complex element; an empty one where there is none."""
        value = self.rest.get(name)
        return Elements(value if isinstance(value, dict) else {}, self.codes)

    def children(self, name: str) -> "list[Elements]":
        """Look into a list of complex elements; one that stands without a list counts as one."""
        value = self.rest.get(name, [])
        items = value if isinstance(value, list) else [value]
        return [Elements(item, self.codes) for item in items if isinstance(item, dict)]

    def texts(self, name: str) -> list[str]:
        """Take a list of simple texts, whole or not at all."""
        value = self.rest.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return []
        return list(self.rest.pop(name))

    def concept(self, name: str) -> str | None:
        """Take a CodeableConcept, a Coding or a list of them in words: texts, else displays, else codes.

        Codes with their systems and displays go to ``codes``, so that the words lose nothing.
        """
        if name not in self.rest:
            return None
        value = self.rest[name]
        told = _words(value if isinstance(value, list) else [value])
        for coding in list(_codings(value)):
            taken = {part: coding.pop(part) for part in _CODING if isinstance(coding.get(part), str)}
            if "code" in taken:
                self.codes.append({"element": name} | {part: taken.get(part, "") for part in _CODING})
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("text"), str):
                del item["text"]
        return told

    def coded(self, name: str) -> frozenset[str]:
        """Return the codes of a CodeableConcept, Coding or list of them, without taking."""
        if name not in self.rest:
            return frozenset()
        return frozenset(str(coding["code"]) for coding in _codings(self.rest.get(name)) if coding.get("code"))

    def reference(self, name: str = "reference") -> str | None:
        """Return a reference's target, without taking."""
        value = self.rest.get(name)
        value = value.get("reference") if isinstance(value, dict) else value
        return value if isinstance(value, str) and value else None

    def references(self, name: str) -> list[str]:
        """Return the targets of a list of references, or of one, without taking."""
        value = self.rest.get(name, [])
        items = value if isinstance(value, list) else [value]
        return [found for item in items if isinstance(item, dict) and (found := Elements(item).reference())]

    def moment(self, *names: str) -> tuple[datetime, str | None] | None:
        """Take the first time of these elements; a date alone is the start of that day in Helsinki.

        :returns: the time, and the date as it stood where it was no more than a date.
        """
        for name in names:
            value = self.rest.get(name)
            found = parse_time(value) if isinstance(value, str) else None
            if found:
                del self.rest[name]
                return found
        return None

    def drop(self, *names: str) -> None:
        """Take what carries nothing beyond what was said already."""
        for name in names:
            self.rest.pop(name, None)

    def left(self) -> Content:
        """Return what nobody took, narratives in plain text, empty elements left out."""
        pruned = _pruned(self.rest)
        return pruned if isinstance(pruned, dict) else {}


def resource_type(content: Mapping[str, Any]) -> str:
    """Name a resource's type, or ``?`` where FHIR R4 has none of that name."""
    name = content.get("resourceType")
    return name if isinstance(name, str) and name in RESOURCES else _STRANGE


def parse_time(value: str) -> tuple[datetime, str | None] | None:
    """Read a FHIR date, dateTime or instant; None for anything else."""
    try:
        if _PARTIAL.fullmatch(value):
            padded = f"{value}-01-01"[:10] if len(value) == 4 else f"{value}-01"[:10]  # noqa: PLR2004 - a year
            day = datetime.fromisoformat(padded).replace(tzinfo=HELSINKI)
            return day.astimezone(UTC), value
        found = datetime.fromisoformat(value)
        if "T" not in value:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=HELSINKI)).astimezone(UTC), None
    except (ValueError, OverflowError):
        return None


def paths(left: Json, above: str = "") -> Iterator[str]:
    """Yield the path of every simple value that is left, without its value."""
    if isinstance(left, dict):
        for name, value in left.items():
            plain = name.removeprefix("_")
            yield from paths(value, f"{above}.{plain if plain in ELEMENTS else _STRANGE}")
    elif isinstance(left, list):
        for value in left:
            yield from paths(value, above)
    else:
        yield above


def _words(values: list[Any]) -> str | None:
    told = [word for value in values if isinstance(value, dict) and (word := _word(value))]
    return "; ".join(dict.fromkeys(told)) or None


def _word(value: Content) -> str | None:
    text = value.get("text")
    if isinstance(text, str) and text:
        return text
    codings = list(_codings(value))
    told = [str(coding.get("display") or coding.get("code") or "") for coding in codings]
    return "; ".join(dict.fromkeys(word for word in told if word)) or None


def _codings(value: object) -> Iterator[Content]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            inner = item.get("coding")
            if isinstance(inner, list):
                yield from (coding for coding in inner if isinstance(coding, dict))
            elif "code" in item or "display" in item:
                yield item


def _pruned(value: object) -> Json:
    """Leave out what is empty; a resource is never deeper than its reader allows."""
    if isinstance(value, dict):
        kept = ((name, _pruned(_told(name, inner))) for name, inner in value.items())
        return {name: inner for name, inner in kept if inner not in _EMPTY}
    if isinstance(value, list):
        return [inner for item in value if (inner := _pruned(item)) not in _EMPTY]
    return value if isinstance(value, str | int | float) else None


def _told(name: str, value: object) -> object:
    return plain_text(value) if name == "div" and isinstance(value, str) else value
