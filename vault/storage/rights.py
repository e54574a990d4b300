"""Rights as values: what an office may do with a table, in which columns and on which rows.

Rows are told by conditions spelled exactly as PostgreSQL spells them back, so that what was wanted can
be compared with what stands. They compare a row's own columns with constants, and nothing else: no function,
no other table, so an index still finds the row.
"""

import re
from dataclasses import dataclass
from typing import Final

EVERY_ROW: Final = "true"
_WORD: Final = re.compile(r"[a-z][a-z0-9_:-]*")


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one table.

    :param verb: ``select``, ``insert``, ``update`` or ``delete``.
    :param columns: which; none means all of them.
    :param rows: which, as a condition on the row.
    """

    verb: str
    columns: tuple[str, ...] = ()
    rows: str = EVERY_ROW


def select(columns: str = "", *, rows: str = EVERY_ROW) -> Right:
    """See rows; ``columns`` are names with spaces between, else all."""
    return Right("select", tuple(sorted(columns.split())), rows)


def insert(*, rows: str = EVERY_ROW) -> Right:
    """Add rows."""
    return Right("insert", (), rows)


def update(columns: str, *, rows: str = EVERY_ROW) -> Right:
    """Change these columns; a row fits before and after the change."""
    return Right("update", tuple(sorted(columns.split())), rows)


def delete(*, rows: str = EVERY_ROW) -> Right:
    """Take rows away."""
    return Right("delete", (), rows)


def one_of(column: str, *values: str) -> str:
    """Rows whose column holds one of these words."""
    words = [f"'{_word(value)}'::text" for value in values]
    many = f"ANY (ARRAY[{', '.join(words)}])"  # dearer to plan than a plain comparison
    return f"({_word(column)} = {words[0] if len(words) == 1 else many})"


def number(column: str, value: int) -> str:
    """Rows whose column holds this number."""
    return f"({_word(column)} = {value:d})"


def begins(column: str, start: str) -> str:
    """Rows whose column begins so; ``start`` holds no letter that LIKE takes for another."""
    if "_" in start:
        raise ValueError(f"no plain word: {start!r}")
    return f"({_word(column)} ~~ '{_word(start)}%'::text)"


def both(first: str, second: str) -> str:
    """Rows that fit both conditions."""
    return f"({first} AND {second})"


def either(first: str, second: str) -> str:
    """Rows that fit one of the conditions."""
    return f"({first} OR {second})"


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError(f"no plain word: {value!r}")
    return value
