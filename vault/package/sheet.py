"""A letter's sheet: blocks on the controller's paper, with the address where a C5 envelope has its window.

No letter shows a personal identity code (Act 1050/2018 s. 29(4)): one that would is not made.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from vault.errors import RefusedError
from vault.package.blocks import Block
from vault.package.heading import Heading, Recipient
from vault.package.language import fill, local_day, part
from vault.package.typesetting import Shown, typeset

_IDENTITY_CODE = re.compile(r"(?<![0-9A-Za-z])[0-9]{6}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y](?![0-9A-Za-z])")
_COUNTRY = re.compile(r"[A-Z]{2}")
_HOME = "FI"
_MOST_LINES = 6  # of an address in the window
_LONGEST_LINE = 44  # characters that fit into the window's width


def sheet_of(heading: Heading, title: str) -> dict[str, Shown]:
    """Give what every sheet's head and foot show; the title in the file names the kind and the case only."""
    controller = heading.controller
    return {
        "lang": heading.language,
        "title": f"{title} – {heading.case_ref}",
        "case_ref": heading.case_ref,
        "sender": controller.name,
        "page_of": part("labels", heading.language, "words")["page_of"],
        "foot": [f"{controller.name}, {', '.join(controller.address)}", controller.email],
    }


def common_values(heading: Heading) -> dict[str, object]:
    """Give the values that any text may ask for."""
    controller = heading.controller
    return {
        "case_ref": heading.case_ref,
        "controller": controller.name,
        "address": ", ".join(controller.address),
        "email": controller.email,
        "dpo": controller.data_protection_officer,
    }


def set_letter(heading: Heading, kind: str, title: str, recipient: Recipient | None, blocks: Sequence[Block]) -> bytes:
    """Set a letter as PDF.

    :param kind: what it is, in two words; stands in the file's title.
    :param recipient: for the address window; None for a letter that lies in a package.
    :raises RefusedError: a personal identity code stands in it, or typesetting failed.
    """
    words = part("letters", heading.language, "words")
    lines = [] if recipient is None else _window(recipient, heading.language)
    shown: Mapping[str, Shown] = sheet_of(heading, kind) | {
        "kind": kind,
        "heading": title,
        "about": [
            {"label": words["date"], "value": local_day(heading.at, heading.language)},
            {"label": words["case"], "value": heading.case_ref},
        ],
        "recipient": lines,
        "blocks": blocks,
        "closing": closing(heading, words["regards"]),
    }
    refuse_identity_code("\n".join(_texts([title, lines, blocks])))
    return typeset("letter", shown, heading.at)


def _window(recipient: Recipient, language: str) -> list[str]:
    """Give the lines of the address; a country's code becomes its name, and ours is left out."""
    lines = [line for line in (recipient.name, *recipient.lines) if line.strip()]
    if len(lines) > 1 and _COUNTRY.fullmatch(lines[-1]):
        code = lines.pop()
        names = part("labels", language, "values_of")["contact_details"]["country"]
        lines += [] if code == _HOME else [str(names.get(code, code)).upper()]
    return [line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…" for line in lines[:_MOST_LINES]]


def _texts(value: Shown) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def closing(heading: Heading, regards: str) -> list[str]:
    """Give the lines that end a letter or notice."""
    officer = fill(part("letters", heading.language, "words")["dpo"], common_values(heading))
    return [regards, "", heading.controller.name, officer]


def refuse_identity_code(text: str) -> None:
    """Refuse a text that shows a personal identity code.

    :raises RefusedError: it does; the message does not repeat it.
    """
    if _IDENTITY_CODE.search(text):
        raise RefusedError("identity_code_shown", "take the personal identity code out of this text and send it again")
