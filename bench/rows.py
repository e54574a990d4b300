"""The figures of one run: rows of a fixed shape, a table for people, a file for later runs to be held against."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from vault.errors import WrongUseError

_HEAD = ("name", "value", "unit", "peer", "ratio", "limit", "note")
_RIGHT = frozenset({1, 4})  # columns of figures


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    :param name: what was measured, such as ``collect/speed``; one row a name.
    :param value: in ``unit``.
    :param peer: what else did the same work in the same run; None when nothing did.
    :param peer_value: the peer's figure in the same unit.
    :param ratio: ``value`` over ``peer_value``, or the median of such ratios where the work was repeated.
    :param limit: what the ratio, or the value where there is no peer, must reach; None where nothing is asked.
    :param at_most: the limit is not to be passed, instead of to be reached.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    note: str = ""
    limit: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        if self.limit is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured <= self.limit if self.at_most else measured >= self.limit


def checked(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, if later runs can be held against them.

    :raises WrongUseError: a name stands twice, a figure is no finite number, or a peer is incomplete.
    """
    rows = list(rows)
    if len({row.name for row in rows}) != len(rows):
        raise WrongUseError("bench_row_twice", "two rows have one name; name them apart")
    for row in rows:
        numbers = [row.value, *(n for n in (row.peer_value, row.ratio, row.limit) if n is not None)]
        if not row.name or not row.unit or not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise WrongUseError("bench_row_malformed", "a row wants a name, a unit and finite figures of 0 or more")
        if len({row.peer is None, row.peer_value is None, row.ratio is None}) != 1:
            raise WrongUseError("bench_peer_incomplete", "a peer comes with its figure and the ratio, or not at all")
    return rows


def to_json(rows: Iterable[Row]) -> str:
    """Write rows as a JSON list of objects, one line each."""
    lines = [json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) for row in checked(rows)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def from_json(text: str) -> list[Row]:
    """Read rows back.

    :raises WrongUseError: not a list of rows.
    """
    names = [field.name for field in fields(Row)]
    try:
        bodies = json.loads(text)
        if not isinstance(bodies, list) or any(list(body) != names for body in bodies):
            raise WrongUseError("bench_row_malformed", f"each row is an object with {', '.join(names)}")
        return checked(Row(**body) for body in bodies)
    except (ValueError, TypeError):
        raise WrongUseError("bench_row_malformed", "the file holds no rows; run make bench again") from None


def write(rows: Iterable[Row], path: Path) -> None:
    """Write the file in one step, so that a run that is cut short leaves the last whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(to_json(rows), encoding="utf-8")
    part.replace(path)


def table(rows: Iterable[Row]) -> str:
    """Show rows for people."""
    lines = [_HEAD, *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _line(row: Row) -> tuple[str, ...]:
    peer = "" if row.peer is None or row.peer_value is None else f"{row.peer}: {number(row.peer_value)}"
    ratio = "" if row.ratio is None else number(row.ratio)
    return (row.name, number(row.value), row.unit, peer, ratio, _limit(row), row.note)


def _limit(row: Row) -> str:
    if row.limit is None:
        return ""
    return f"{'<=' if row.at_most else '>='} {number(row.limit)} {'met' if row.met else 'MISSED'}"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = enumerate(zip(line, widths, strict=True))
    return "  ".join(c.rjust(width) if place in _RIGHT else c.ljust(width) for place, (c, width) in cells).rstrip()


def number(value: float) -> str:
    """Spell a figure with three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"
