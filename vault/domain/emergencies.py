"""Break-glass: one named case, a written reason, a short time, and a second person's review afterwards; pure."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final

from vault.domain.roles import Role
from vault.errors import RefusedError

MAY_BREAK: Final = frozenset({Role.CLINICIAN, Role.REGISTRAR, Role.DPO})
A_DAY: Final = timedelta(days=1)
REVIEW_WITHIN: Final = timedelta(days=3)  # an emergency without review is overdue after this
LONGEST_REASON: Final = 500  # characters: the access log's longest text
_FEWEST_LETTERS, _FEWEST_WORDS = 20, 4


class ReviewVerdict(StrEnum):
    """What the second person finds."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


def written_reason(text: str) -> str:
    """Return a reason without outer spaces, when it is at least a sentence.

    :raises RefusedError: fewer than four different words or twenty letters, or more than 500 characters.
    """
    reason = text.strip()
    words = {word.casefold() for word in re.findall(r"\w+", reason)}
    letters = sum(character.isalnum() for character in reason)
    if len(words) < _FEWEST_WORDS or letters < _FEWEST_LETTERS or len(reason) > LONGEST_REASON:
        raise RefusedError("emergency_reason", "write in a sentence of your own why this case can't wait")
    return reason
