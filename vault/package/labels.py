"""A record's body in plain words: every field is shown, the unknown ones under their own name.

Codes are explained, dates, times and amounts written as people write them; the machine-readable
copy keeps the stored values.
"""

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from importlib.resources import files
from itertools import groupby
from typing import cast

from vault.domain.records import Json, RecordKind
from vault.package.language import day, euros, fill, moment, part, sentence
from vault.package.typesetting import Shown

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})")
_FILE = "data"  # an attached file in base64, as FHIR has it
_LONGEST_SHORT = 160  # characters that still stand beside their label
Field = tuple[str, Json]


def label(kind: RecordKind, field: str, language: str) -> str:
    """Name a field in plain words, or by its own name where no words are known."""
    own = part("labels", language, "fields_of").get(kind.value, {})
    common = part("labels", language, "fields")
    return cast("str", own.get(field) or common.get(field) or field)


def shown_fields(kind: RecordKind, body: Mapping[str, Json], language: str) -> list[Shown]:
    """Show a body as runs of fields: short ones beside their labels, long ones below theirs.

    :returns: ``[{short, rows: [{label, value}]}]`` in reading order; no field is left out.
    """
    runs = groupby(_in_order(kind, body), key=lambda field: _is_short(kind, field))
    return [{"short": short, "rows": [_row(kind, field, language) for field in fields]} for short, fields in runs]


def shown_value(kind: RecordKind, field: str, value: Json, language: str) -> Shown:
    """Show one value as ``{t, v}``: ``text``, ``pre``, ``none``, ``list``, ``table`` or ``rows``."""
    if isinstance(value, Mapping):
        return _rows(kind, value, language)
    if isinstance(value, list):
        return _list(kind, field, value, language)
    if value is None or value == "":
        return {"t": "none", "v": sentence("labels", language, "words", "not_recorded" if value is None else "empty")}
    if field in _fields()["preformatted"].get(kind.value, ()):
        return {"t": "pre", "v": str(value)}
    return {"t": "text", "v": plain(kind, field, value, language)}


def plain(kind: RecordKind, field: str, value: str | float, language: str) -> str:
    """Write one simple value as people write it."""
    if isinstance(value, bool):
        return sentence("labels", language, "words", "yes" if value else "no")
    if isinstance(value, int) and field.endswith("_cents"):
        return euros(value, language)
    if isinstance(value, str) and field == _FILE and len(value) > _LONGEST_SHORT:
        size = str(len(value) * 3 // 4)  # base64; the machine-readable copy holds it whole
        return fill(sentence("labels", language, "words", "file_in_data"), {"bytes": size})
    if isinstance(value, str):
        return _code(kind, field, value, language) or _written_time(value, language) or value
    return str(value)


def _code(kind: RecordKind, field: str, value: str, language: str) -> str | None:
    words = part("labels", language, "values_of").get(kind.value, {}).get(field, {})
    return cast("str | None", words.get(value))


def _written_time(value: str, language: str) -> str | None:
    try:
        if _DATE.fullmatch(value):
            return day(date.fromisoformat(value), language)
        if _TIME.fullmatch(value):
            return moment(datetime.fromisoformat(value), language)
    except (ValueError, OverflowError):  # looks like a time and is none: shown as it stands
        return None
    return None


def _row(kind: RecordKind, field: Field, language: str) -> Shown:
    name, value = field
    return {"label": label(kind, name, language), "value": shown_value(kind, name, value, language)}


def _rows(kind: RecordKind, value: Mapping[str, Json], language: str) -> Shown:
    if not value:
        return {"t": "none", "v": sentence("labels", language, "words", "empty")}
    return {"t": "rows", "v": [_row(kind, field, language) for field in _in_order(kind, value)]}


def _list(kind: RecordKind, field: str, values: Sequence[Json], language: str) -> Shown:
    if not values:
        return {"t": "none", "v": sentence("labels", language, "words", "empty")}
    names = _columns(kind, values)
    if names:
        rows = cast("Sequence[Mapping[str, str | int | float]]", values)
        cells = [[plain(kind, name, row[name], language) for name in names] for row in rows]
        return {"t": "table", "head": [label(kind, name, language) for name in names], "v": cells}
    return {"t": "list", "v": [shown_value(kind, field, value, language) for value in values]}


def _columns(kind: RecordKind, values: Sequence[Json]) -> list[str]:
    """Name the columns of a list of like rows of simple values, else nothing."""
    first = values[0]
    if not isinstance(first, Mapping) or not first:
        return []
    alike = all(isinstance(row, Mapping) and row.keys() == first.keys() for row in values)
    if not alike:
        return []
    simple = all(
        isinstance(cell, str | int | float) for row in values for cell in cast("Mapping[str, Json]", row).values()
    )
    return [name for name, _ in _in_order(kind, first)] if simple else []


def _is_short(kind: RecordKind, field: Field) -> bool:
    name, value = field
    if isinstance(value, Mapping | list):
        return not value
    if name in _fields()["prose"].get(kind.value, ()):
        return False
    return "\n" not in str(value) and len(str(value)) <= _LONGEST_SHORT


def _in_order(kind: RecordKind, body: Mapping[str, Json]) -> list[Field]:
    known = {name: place for place, name in enumerate(_fields()["order"].get(kind.value, ()))}
    return sorted(body.items(), key=lambda field: (known.get(field[0], len(known)), field[0]))


@functools.cache
def _fields() -> Mapping[str, Mapping[str, Sequence[str]]]:
    source = files("vault.package") / "texts" / "fields.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))
