"""Choices that look random and are the same for the same seed, on every machine and every Python."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_BLOCK = struct.Struct("<16I")


class Dice:
    """A stream of choices that its seed decides.

    :param seed: anything with a stable text; different seeds give independent streams.
    """

    __slots__ = ("_numbers",)

    def __init__(self, *seed: str | int) -> None:
        self._numbers = _stream("|".join(map(str, seed)).encode())

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1."""
        return next(self._numbers) * limit >> 32

    def between(self, low: int, high: int) -> int:
        """Return a number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Say yes in so many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self.below(len(choices))]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """Return ``count`` different choices, or all of them, in a drawn order."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]


def _stream(seed: bytes) -> Iterator[int]:
    number = 0
    while True:
        yield from _BLOCK.unpack(hashlib.blake2b(seed + b"#%d" % number).digest())
        number += 1
