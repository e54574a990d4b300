"""What an opened mail asks for: from the form in its words, from an attached form, from an attached letter, or freely.

A form speaks for itself; the words around it add what they plainly ask for besides. Attached files are read only
when the mail's own words leave something open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vault.domain.private import Private
from vault.domain.request import Request, RequestKind
from vault.intake.attachedforms import AttachedForm, read_attached
from vault.intake.formrequest import request_of, town_of
from vault.intake.opened import OpenedMail
from vault.intake.textform import read_text_form
from vault.intake.understand import SURE, understand
from vault.settings import Limits

_NAMED = 0.9  # confidence of a right that the words name


@dataclass(frozen=True, slots=True)
class Asked(Private, shows=("form",)):
    """What is asked and how it was read.

    :param form: ``text`` or ``pdf`` when a form says it; None for free words.
    :param sure: whether machines may go on; otherwise a person reads it.
    :param address: the postal address of the form, by lines.
    """

    request: Request
    form: str | None = None
    sure: bool = True
    address: tuple[str, ...] = ()


def read_asked(opened: OpenedMail, limits: Limits | None = None) -> Asked:
    """Read what a mail asks for.

    :param limits: what one child process may use for an attached file.
    """
    free = _free(opened, "")
    found = read_text_form(opened.text)
    if found is not None:
        return Asked(_said_by(found.values, found.language, free, ()), "text", address=_lines(found.values))
    if _is_clear(free) or not opened.attachments:
        return Asked(free, sure=_is_sure(free))
    attached = read_attached(opened.attachments, limits)
    if attached.values is not None:
        return _attached_form(attached, free)
    request = _free(opened, attached.words) if attached.words else free
    return Asked(request, "pdf" if not attached.sure else None, sure=attached.sure and _is_sure(request))


def _free(opened: OpenedMail, more: str) -> Request:
    headers = opened.headers
    names = [file.name for file in opened.attachments]
    text = f"{opened.text}\n\n{more}" if more else opened.text
    return understand(text, subject=headers.subject, language=headers.language, attachments=names)


def _is_sure(request: Request) -> bool:
    return bool(request.kinds) and request.confidence >= SURE


def _is_clear(request: Request) -> bool:
    """Tell whether the words alone say what is asked and about whom, or which case they answer."""
    return request.one_time_code is not None or (request.confidence >= _NAMED and request.code is not None)


def _attached_form(attached: AttachedForm, free: Request) -> Asked:
    values = attached.values or {}
    besides = free.kinds if free.confidence >= _NAMED else ()
    request = _said_by(values, attached.language or free.language, free, besides)
    return Asked(request, "pdf", sure=attached.sure and _is_sure(request), address=_lines(values))


def _said_by(values: Mapping[str, Any], language: str, free: Request, besides: tuple[RequestKind, ...]) -> Request:
    """Take the form's word, and from the mail what no form has: its own words, its case and its code."""
    form = request_of(values, str(values.get("language") or language))
    kinds = tuple(kind for kind in RequestKind if kind in {*form.kinds, *besides})
    words = "\n\n".join(filter(None, [form.text, free.text]))
    return replace(form, kinds=kinds, text=words, case_ref=free.case_ref, one_time_code=free.one_time_code)


def _lines(values: Mapping[str, Any]) -> tuple[str, ...]:
    lines = tuple(str(part or "").strip() for part in (values.get("name"), values.get("street"), town_of(values)))
    return lines if all(lines) else ()
