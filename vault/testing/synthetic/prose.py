"""Text of invented documents: sentences from a stock in Finnish, Swedish or English, with their slots filled."""

import tomllib
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from vault.testing.synthetic.dice import Dice

LANGUAGES = ("fi", "sv", "en")
_STOCK = Path(__file__).parent / "stock"
_RANGES = {"score": (3, 38), "weeks": (2, 8), "hours": (4, 8), "number": (2, 9)}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@cache
def stock(language: str, *, minor: bool = False) -> dict[str, Any]:
    """Return a language's sentences by heading.

    :param minor: leave out what fits no child: work, driving, marriage.
    """
    words: dict[str, Any] = tomllib.loads((_STOCK / f"{language}.toml").read_text(encoding="utf-8"))
    return _without(words, tuple(words["grown_up"])) if minor else words


def _without(part: Any, stems: tuple[str, ...]) -> Any:
    if isinstance(part, dict):
        return {name: _without(inner, stems) for name, inner in part.items()}
    if not isinstance(part, list) or isinstance(part[0], list):
        return part
    return [sentence for sentence in part if not any(stem in sentence.lower() for stem in stems)] or part


class Prose:
    """Writes in one language; ``words`` are the stock's headings."""

    def __init__(self, language: str, dice: Dice, *, minor: bool = False) -> None:
        self.words = stock(language, minor=minor)
        self._dice = dice

    def text(self, sentence: str, day: date, **facts: str) -> str:
        """Fill a sentence's slots for a document of that day; ``facts`` are known, the rest is drawn."""
        return sentence.format_map(_Slots(self, self._dice, day, facts)) if "{" in sentence else sentence

    def one(self, sentences: Sequence[str], day: date, **facts: str) -> str:
        """Write one of the sentences."""
        return self.text(self._dice.pick(sentences), day, **facts)

    def some(self, sentences: Sequence[str], low: int, high: int, day: date, **facts: str) -> str:
        """Write a paragraph of ``low`` to ``high`` different sentences."""
        return self.all(self._dice.some(sentences, self._dice.between(low, high)), day, **facts)

    def all(self, sentences: Sequence[str], day: date, **facts: str) -> str:
        """Write every sentence, in order."""
        return " ".join(self.text(sentence, day, **facts) for sentence in sentences)

    def date(self, day: date) -> str:
        """Spell a date as the language does."""
        pattern: str = self.words["date"]
        return pattern.format(day=day.day, month=day.month, name=_MONTHS[day.month - 1], year=day.year)


class _Slots(dict[str, str]):
    """Decides a slot's value when a sentence asks for it."""

    def __init__(self, prose: Prose, dice: Dice, day: date, facts: dict[str, str]) -> None:
        super().__init__(facts)
        self._prose = prose
        self._dice = dice
        self._day = day

    def __missing__(self, name: str) -> str:
        if name in _RANGES:
            return str(self._dice.between(*_RANGES[name]))
        match name:
            case "minutes":
                return str(self._dice.between(2, 9) * 5)
            case "on_day":
                return str(self._dice.pick(self._prose.words["days"]))
            case "person":
                return str(self._dice.pick(self._prose.words["persons"]))
            case "date":
                return self._prose.date(self._day + timedelta(days=7))
        raise KeyError(name)
