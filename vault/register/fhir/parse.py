"""JSON of a FHIR resource, read strictly: one object, no deeper than 150 levels, decimals as they were written.

Decimals stay text, because FHIR's precision is part of the value (R4 s. 2.24.0.1).
"""

import json
from typing import Any, NoReturn

from vault.errors import RefusedError
from vault.register.fhir.elements import DEEPEST, Content


def parse(data: bytes) -> Content:
    """Return one resource.

    :raises RefusedError: no JSON object (code ``json_malformed``), or too deep (``json_too_deep``).
    """
    try:
        content: Any = json.loads(data, parse_float=str, parse_constant=_refuse)
        if b"\\ud" in data.lower():
            json.dumps(content, ensure_ascii=False).encode()  # half a pair of surrogates is no text
    except (ValueError, RecursionError):
        raise malformed() from None
    if not isinstance(content, dict):
        raise malformed()
    if data.count(b"{") + data.count(b"[") > DEEPEST and _deep(content):
        raise RefusedError("json_too_deep", f"a resource is nested deeper than {DEEPEST} levels; look at it by hand")
    return content


def canonical(content: object) -> bytes:
    """Return the same bytes for the same content, however its keys were ordered."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def malformed() -> RefusedError:
    """Give the one refusal for whatever is no JSON object."""
    return RefusedError("json_malformed", "this is no JSON object; export it again")


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _deep(content: object) -> bool:
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _inner(item)]
        if not level:
            return False
    return True


def _inner(item: object) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [value for value in values if isinstance(value, dict | list)]
