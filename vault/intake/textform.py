"""The form as plain text in a mail: written for people to fill in between colons and brackets, read line by line.

A reader takes it out of a quoted reply too. What stands outside the form's own lines is not the form's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vault.domain.private import Private
from vault.intake.forms import CHOICES, FORMS, INSPECTION_1, PREFIX, Field, FieldKind, Form, parse_payload
from vault.intake.formtexts import TEXTS

_PAYLOAD = re.compile(rf"{PREFIX}:[a-z_]{{1,32}}:[0-9]{{1,3}}:[a-z]{{2}}")
_QUOTED = re.compile(r"^[\s>|*]*")
_TICK = re.compile(r"[\[(]([^\])]{0,3})[\])]\s*(\S.*)")
_EMPTY = re.compile(r"[\s_.…-]*")
_LONGEST = 20_000  # characters that are read
_LONGEST_LINE = 400


def write_text_form(language: str, form: Form = INSPECTION_1) -> str:
    """Write the empty form.

    :param language: one of the form's languages.
    """
    texts = TEXTS[language]
    lines = [texts["title"], form.payload(language), ""]
    for field in form.fields:
        if field.kind in CHOICES:
            ticks = [f"[ ] {texts[f'{field.name}.{option.value}']}" for option in field.options]
            lines += ["", texts[field.name], *ticks]
        elif field.kind is not FieldKind.INK:
            lines.append(f"{texts[field.name]}: ")
    return "\n".join([*lines, ""])


@dataclass(frozen=True, slots=True)
class TextForm(Private):
    """A form that was found in a text: its language and what stands in its fields."""

    language: str
    values: Mapping[str, str | tuple[str, ...]]


def read_text_form(text: str) -> TextForm | None:
    """Read the form in a text; None when there is none, several, or nothing is filled in.

    :param text: the words of a mail, from anywhere.
    """
    found = {match[0] for match in _PAYLOAD.finditer(text[:_LONGEST])}
    payload = parse_payload(found.pop()) if len(found) == 1 else None
    form = payload.form() if payload else None
    if payload is None or form is None:
        return None
    values = dict(_values(text[:_LONGEST], FORMS[payload.name, payload.version], TEXTS[payload.language]))
    return TextForm(payload.language, values) if values else None


def _values(text: str, form: Form, texts: Mapping[str, str]) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    lines = [_QUOTED.sub("", line[:_LONGEST_LINE]).strip() for line in text.split("\n")]
    ticked = {_plain(tick[2]) for line in lines if (tick := _TICK.match(line)) and not _EMPTY.fullmatch(tick[1])}
    for field in form.fields:
        if field.kind in CHOICES:
            chosen = tuple(o.value for o in field.options if _plain(texts[f"{field.name}.{o.value}"]) in ticked)
            if field.kind is FieldKind.MANY and chosen:
                yield field.name, chosen
            elif len(chosen) == 1:  # two ticks where one may stand say nothing
                yield field.name, chosen[0]
        elif value := _written(field, lines, texts.get(field.name, "")):
            yield field.name, value


def _written(field: Field, lines: list[str], label: str) -> str | None:
    """Return what stands behind a field's label; written twice in two ways it says nothing."""
    found = set()
    for line in lines:
        head, colon, value = line.partition(":")
        if colon and _plain(head) == _plain(label) and not _EMPTY.fullmatch(value):
            found.add(value.strip()[: field.longest])
    return found.pop() if len(found) == 1 else None


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())
