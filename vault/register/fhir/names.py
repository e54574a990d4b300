"""HumanName, ContactPoint and Address (R4 s. 2.24) in the words of the register."""

from typing import Final

from vault.register.fhir.elements import Elements

_USES: Final = ("official", "usual", None, "nickname", "anonymous", "temp", "maiden", "old")
_OLD: Final = frozenset({"old", "maiden", "temp"})


def best(elements: list[Elements], uses: tuple[str | None, ...] = _USES) -> Elements | None:
    """Choose among several by their use; the first of the best."""
    known = {use: place for place, use in enumerate(uses)}
    return min(elements, key=lambda item: known.get(_use(item), len(known)), default=None)


def _use(item: Elements) -> str | None:
    use = item.rest.get("use")
    return use if isinstance(use, str) else None


def take_name(name: Elements) -> tuple[str, str]:
    """Take given names and family name; a name that is only text counts as given names."""
    given, family, whole = name.texts("given"), name.text("family"), name.text("text")
    name.drop("use")
    if not given and family is None:
        return whole or "", ""
    return " ".join(given), family or ""


def full_name(person: Elements) -> str | None:
    """Take the best of a person's names in one line."""
    name = best(person.children("name"))
    if name is None:
        return None
    whole = name.rest.get("text")
    parts = " ".join(part for part in take_name(name) if part)
    return (whole if isinstance(whole, str) and whole else parts) or None


def take_contact(person: Elements, system: str) -> str | None:
    """Take the best telephone number or mail address that is in use."""
    fitting = [item for item in person.children("telecom") if item.rest.get("system") == system]
    chosen = best([item for item in fitting if _use(item) not in _OLD], ("mobile", "home", None, "work"))
    if chosen is None:
        return None
    value = chosen.text("value")
    chosen.drop("system", "use", "rank")
    return value


def take_address(person: Elements) -> dict[str, str | None]:
    """Take the best address that is in use: street, postal code, city, country."""
    fitting = [item for item in person.children("address") if _use(item) not in _OLD]
    chosen = best(fitting, ("home", None, "billing", "work"))
    if chosen is None:
        return {}
    lines = chosen.texts("line")
    told = {"street": ", ".join(lines) or None, "postal_code": chosen.text("postalCode")}
    told |= {"city": chosen.text("city"), "country": chosen.text("country")}
    if not any(told.values()):
        told["street"] = chosen.text("text")
    chosen.drop("use", "type")
    return told
