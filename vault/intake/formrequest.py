"""A filled form becomes a request, the same way from paper, from an attached PDF and from the body of a mail."""

from collections.abc import Mapping
from typing import Any

from vault.domain.request import LANGUAGES, AnswerBy, Request, RequestKind

_TICKED, _NOTHING_TICKED = 1.0, 0.5  # confidence
CHILD, OTHER = "child", "other"


def request_of(values: Mapping[str, Any], language: str) -> Request:
    """Turn a form's fields into a request; a form with nothing ticked asks for inspection.

    :param values: by the names of :data:`vault.intake.forms.INSPECTION_1`; empty when no form was read.
    :param language: of the answer; Finnish when it is none of ours.
    """
    ticked = values.get("kinds") or ()
    known = tuple(kind for kind in RequestKind if kind.value in ticked)
    answer_by, whose = values.get("answer_by"), values.get("for_whom")
    on_behalf = whose in {CHILD, OTHER}
    subject = "other_" if on_behalf else ""  # whose records are asked for, not who asks
    nothing = (RequestKind.INSPECTION,) if values else ()
    return Request(
        kinds=known or nothing,
        confidence=_TICKED if known else _NOTHING_TICKED if values else 0.0,
        language=language if language in LANGUAGES else LANGUAGES[0],
        on_behalf=on_behalf,
        name=values.get(f"{subject}name") or None,
        code=values.get(f"{subject}code") or None,
        email=values.get("email") or None,
        address=", ".join(filter(None, [values.get("street"), town_of(values)])) or None,
        answer_by=AnswerBy(answer_by) if answer_by in tuple(AnswerBy) else None,
        text=str(values.get("details") or ""),
        case_ref=None,
        one_time_code=None,
        for_child=whose == CHILD,
    )


def town_of(values: Mapping[str, Any]) -> str:
    """Return the postal code and town as one line."""
    return f"{values.get('postal_code') or ''} {values.get('city') or ''}".strip()
