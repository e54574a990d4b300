"""Who a FHIR resource is about and who a reference means (R4 s. 2.3): the same words for the same resource.

A relative reference means a resource of the same server; an absolute one is never taken for a relative
one of another server, because ``Patient/1`` there is another person than ``Patient/1`` here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from typing import Any, Final, cast

from vault.domain.hetu import HetuError, parse

_HISTORY: Final = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}$")
_RESTFUL: Final = re.compile(r"(?P<base>https?://.+/)?(?P<own>[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE: Final = re.compile(r"(?=([0-9]{6}[-A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y]))")
PERSON_ELEMENTS: Final = ("subject", "patient", "beneficiary", "individual", "for")
_SEVERAL: Final = (("participant", "actor"), ("entity", "what"))


def normal(reference: str, full_url: str | None, base: str | None = None) -> str:
    """Spell a reference in the one way in which its resource is known.

    :param full_url: of the entry in which the reference stands; None in NDJSON.
    :param base: the server's own base URL, where the operator named it; its absolute references become relative.
    """
    spelled = _HISTORY.sub("", reference) if "/_history/" in reference else reference
    if full_url is None and base is None:
        return spelled
    if base is not None and spelled.startswith(base.rstrip("/") + "/"):
        spelled = spelled[len(base.rstrip("/")) + 1 :]
    match = _RESTFUL.fullmatch(spelled)
    if match is None or match["base"] is not None:
        return spelled
    around = _RESTFUL.fullmatch(_HISTORY.sub("", full_url or ""))
    if around is None or around["base"] is None or (base and around["base"].startswith(base)):
        return spelled
    return around["base"] + match["own"]


def names_of(resource: Mapping[str, Any], full_url: str | None, base: str | None = None) -> list[str]:
    """Return every spelling by which others may mean this resource, the surest first."""
    kind, ident = resource.get("resourceType"), resource.get("id")
    names = [normal(full_url, full_url, base)] if full_url else []
    if isinstance(kind, str) and isinstance(ident, str):
        relative = f"{kind}/{ident}"
        names += [normal(relative, full_url, base), *([relative] if _urn(full_url) else [])]
    return list(dict.fromkeys(names))


def persons(resource: Mapping[str, Any], full_url: str | None, base: str | None = None) -> list[str]:
    """Return the patients whom a resource is about, each once; contained ones as ``#id``."""
    own = resource.get("id") if resource.get("resourceType") == "Patient" else None
    if resource.get("resourceType") == "Patient":
        return names_of(resource, full_url, base) if own or full_url else []
    found = (normal(text, full_url, base) for text in _person_references(resource))
    return list(dict.fromkeys(name for name in found if is_person(name, resource)))


def is_person(name: str, resource: Mapping[str, Any]) -> bool:
    """Tell whether a normal reference may mean a patient."""
    if name.startswith("#"):
        return any(
            isinstance(item, dict) and item.get("id") == name[1:] and item.get("resourceType") == "Patient"
            for item in _listed(resource.get("contained"))
        )
    match = _RESTFUL.fullmatch(name)
    return name.startswith("urn:") if match is None else match["own"].startswith("Patient/")


def without_others(resource: Mapping[str, Any], own: Collection[str], spell: Callable[[str], str]) -> list[str]:
    """Take out what names another patient, and the patient's own name tag; return the paths of the former."""
    paths: list[str] = []
    content = cast("dict[str, Any]", resource)
    for name in PERSON_ELEMENTS:
        if any(spell(target) in own for target in _targets(content.get(name))):
            content.pop(name)
    for outer, inner in _SEVERAL:
        elements = content.get(outer)
        if isinstance(elements, list):
            kept = [item for item in elements if not _of_another(item, inner, own, spell)]
            paths += [f"{resource.get('resourceType')}.{outer}"] * (len(elements) - len(kept))
            content[outer] = kept
    return paths


def _of_another(item: object, inner: str, own: Collection[str], spell: Callable[[str], str]) -> bool:
    names = [spell(target) for target in _targets(item.get(inner))] if isinstance(item, dict) else []
    patients = [name for name in names if (match := _RESTFUL.fullmatch(name)) and match["own"].startswith("Patient/")]
    return bool(patients) and not any(name in own for name in patients)


def _person_references(resource: Mapping[str, Any]) -> Iterator[str]:
    for name in PERSON_ELEMENTS:
        yield from _targets(resource.get(name))
    for outer, inner in _SEVERAL:
        for element in _listed(resource.get(outer)):
            if isinstance(element, dict):
                yield from _targets(element.get(inner))


def _targets(value: object) -> Iterator[str]:
    for item in _listed(value):
        if isinstance(item, dict) and isinstance(item.get("reference"), str):
            yield item["reference"]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _urn(full_url: str | None) -> bool:
    return full_url is not None and full_url.startswith("urn:")


def identifier_in(ident: str) -> bool:
    """Tell whether a resource's id holds a personal identity code, or is none that FHIR allows."""
    return _ID.fullmatch(ident) is None or any(_is_code(found) for found in _CODE.findall(ident))


def _is_code(value: str) -> bool:
    try:
        parse(value, date.max)
    except HetuError:
        return False
    return True
