"""Projective maps between a sheet in millimetres and its picture in pixels: pure arithmetic."""

from collections.abc import Sequence
from typing import TypeAlias

from vault.errors import UnreadableError

Point: TypeAlias = tuple[float, float]
Map: TypeAlias = tuple[float, float, float, float, float, float, float, float]
# (a, b, c, d, e, f, g, h): x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1)

_TINY = 1e-9


def fit(source: Sequence[Point], target: Sequence[Point]) -> Map:
    """Return the map that takes four source points to four target points.

    :raises UnreadableError: three of the points lie on one line (code ``not_registered``).
    """
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    a, b, c, d, e, f, g, h = _solve(rows)
    return (a, b, c, d, e, f, g, h)


def fit_evenly(source: Sequence[Point], target: Sequence[Point]) -> Map:
    """Return the affine map that takes the source points nearest to the target points (least squares).

    It guesses better than an exact map far away from points that are close together.

    :raises UnreadableError: all points lie on one line (code ``not_registered``).
    """
    terms = [(x, y, 1.0) for x, y in source]
    answers = []
    for axis in (0, 1):
        rows = [[sum(one[i] * one[j] for one in terms) for j in range(3)] for i in range(3)]
        for i, row in enumerate(rows):
            row.append(sum(one[i] * point[axis] for one, point in zip(terms, target, strict=True)))
        answers.append(_solve(rows))
    (a, b, c), (d, e, f) = answers
    return (a, b, c, d, e, f, 0.0, 0.0)


def apply(mapping: Map, point: Point) -> Point:
    """Return where ``mapping`` takes ``point``."""
    a, b, c, d, e, f, g, h = mapping
    x, y = point
    scale = g * x + h * y + 1
    if abs(scale) < _TINY:
        raise UnreadableError("not_registered", "the sheet's picture is too distorted; a person must read it")
    return ((a * x + b * y + c) / scale, (d * x + e * y + f) / scale)


def after_scaling(mapping: Map, scale: float, origin: Point) -> Map:
    """Return ``mapping`` for source points given as ``(point - origin) / scale``.

    With a map from millimetres to pixels, a scale of 25.4 / 300 and a field's corner as origin this is
    the map from a 300 dpi cutting of the field into the picture.
    """
    a, b, c, d, e, f, g, h = mapping
    x, y = origin
    w = g * x + h * y + 1
    rows = (a * scale, b * scale, a * x + b * y + c, d * scale, e * scale, d * x + e * y + f, g * scale, h * scale)
    a, b, c, d, e, f, g, h = (number / w for number in rows)
    return (a, b, c, d, e, f, g, h)


def _solve(rows: list[list[float]]) -> list[float]:
    """Gauss-Jordan elimination with row pivots; each row carries its right side last."""
    for column in range(len(rows)):
        best = max(range(column, len(rows)), key=lambda n: abs(rows[n][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column][column]
        if abs(pivot) < _TINY:
            raise UnreadableError("not_registered", "the sheet's picture is too distorted; a person must read it")
        rows[column] = [value / pivot for value in rows[column]]
        for n, row in enumerate(rows):
            if n != column and row[column]:
                rows[n] = [value - row[column] * other for value, other in zip(row, rows[column], strict=True)]
    return [row[-1] for row in rows]
