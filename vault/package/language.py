"""The requester's language: texts as data, dates and amounts as people write them.

Texts stand in ``texts/NAME.LANGUAGE.toml``; a test holds the three languages to the same keys and
the same places for values. A value is put into a place as plain text and never read again.
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from typing import Any, cast

from vault.domain.calendar import HELSINKI
from vault.errors import RefusedError

LANGUAGES = ("fi", "sv", "en")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_CLOCK = {"fi": "klo", "sv": "kl."}
_CENTS = 100
_NO_BREAK = "\u00a0"


def check_language(language: str) -> str:
    """Return the language.

    :raises RefusedError: it is not ``fi``, ``sv`` or ``en``.
    """
    if language not in LANGUAGES:
        raise RefusedError("language_unknown", f"letters are written in {', '.join(LANGUAGES)}; choose one of them")
    return language


@functools.cache
def texts(name: str, language: str) -> Mapping[str, Any]:
    """Read one file of texts.

    :param name: ``labels``, ``letters`` or ``notices``.
    :raises RefusedError: an unknown language.
    """
    source = files("vault.package") / "texts" / f"{name}.{check_language(language)}.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values into the places ``{name}`` of a text, in one pass.

    :raises KeyError: the text has a place for which there is no value.
    """
    return _PLACE.sub(lambda place: str(values[place[1]]), text)


def places(text: str) -> frozenset[str]:
    """Name the places of a text."""
    return frozenset(_PLACE.findall(text))


def day(value: date, language: str) -> str:
    """Write a date: ``14.3.2026``, in English ``14 March 2026``."""
    if language == "en":
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
    return f"{value.day}.{value.month}.{value.year}"


def local_day(value: datetime, language: str) -> str:
    """Write the date in Helsinki of a moment that knows its zone."""
    return day(value.astimezone(HELSINKI).date(), language)


def moment(value: datetime, language: str) -> str:
    """Write a moment in Helsinki time: ``14.3.2026 klo 9.05``, in English ``14 March 2026 at 09:05``."""
    local = value.astimezone(HELSINKI)
    written = day(local.date(), language)
    if language == "en":
        return f"{written} at {local:%H:%M}"
    return f"{written} {_CLOCK[language]} {local.hour}.{local:%M}"


def euros(cents: int, language: str) -> str:
    """Write an amount of euro cents: ``1 234,50 €``, in English ``€1,234.50``."""
    whole, rest = divmod(abs(cents), _CENTS)
    sign = "−" if cents < 0 else ""
    if language == "en":
        return f"{sign}€{whole:,}.{rest:02d}"
    grouped = f"{whole:,}".replace(",", _NO_BREAK)
    return f"{sign}{grouped},{rest:02d}{_NO_BREAK}€"


def part(name: str, language: str, *keys: str) -> Any:
    """Give one text or group of texts, by its path of keys."""
    found: Any = texts(name, language)
    for key in keys:
        found = found[key]
    return found


def sentence(name: str, language: str, *keys: str) -> str:
    """Give one text, by its path of keys."""
    return cast("str", part(name, language, *keys))
