"""Caps for people: how many distinct patients one member of staff may open an hour; pure, no clock, no store.

The rules (DOMAIN.md section 6: "the 101st read is refused and alarms"):

1. What counts is distinct patients, or cases whose subject is unknown, within the last hour of any moment.
2. What was opened within that hour opens again and is not counted twice.
3. At the limit nothing more opens, except one named case under an emergency; that look counts too.
4. Whoever comes near the limit for the third time within a week is shown on the board.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

WINDOW: Final = timedelta(hours=1)
NEAR_SHARE: Final = 0.8
NEAR_TIMES: Final = 3
NEAR_WITHIN: Final = timedelta(days=7)


class Verdict(StrEnum):
    """What a cap says about one look."""

    OPEN = "open"
    NEAR = "near"  # it opens, and most of the hour's number is used up
    REFUSED = "refused"


def judge(others: int, limit: int, *, again: bool, emergency: bool) -> Verdict:
    """Rule on one look before it happens.

    :param others: distinct patients that the person opened within the last hour, this one left out.
    :param limit: how many she may open an hour, this one included.
    :param again: this one is among those that she opened within the hour.
    :param emergency: she has broken the glass for this case.
    """
    if others >= limit and not (again or emergency):
        return Verdict.REFUSED
    return Verdict.NEAR if others + 1 >= near(limit) else Verdict.OPEN


def near(limit: int) -> int:
    """Return the number of patients from which somebody is near the limit."""
    return max(1, round(limit * NEAR_SHARE))
