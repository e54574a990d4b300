"""The cap's rules as tables: the 101st patient is refused, what is open opens again, an emergency passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.domain.caps import Verdict, judge, near

OPEN, NEAR, REFUSED = Verdict.OPEN, Verdict.NEAR, Verdict.REFUSED


@pytest.mark.parametrize(
    ("others", "again", "emergency", "verdict"),
    [
        (0, False, False, OPEN),
        (78, False, False, OPEN),
        (79, False, False, NEAR),  # the 80th
        (99, False, False, NEAR),  # the 100th
        (100, False, False, REFUSED),  # the 101st
        (99, True, False, NEAR),  # one of the hundred again
        (100, True, False, NEAR),  # one of them, after an emergency on top
        (100, False, True, NEAR),
        (500, False, False, REFUSED),
        (500, False, True, NEAR),
    ],
)
def test_the_hundred_and_first_is_refused(others: int, again: bool, emergency: bool, verdict: Verdict) -> None:
    assert judge(others, 100, again=again, emergency=emergency) is verdict


@pytest.mark.parametrize(("limit", "first"), [(1, 1), (2, 2), (5, 4), (10, 8), (100, 80), (1000, 800)])
def test_near_is_four_fifths(limit: int, first: int) -> None:
    assert near(limit) == first


@given(st.integers(1, 60), st.lists(st.integers(0, 80), max_size=200))
def test_never_more_distinct_patients_than_the_limit(limit: int, wanted: list[int]) -> None:
    opened: set[int] = set()
    for patient in wanted:
        again = patient in opened
        if judge(len(opened - {patient}), limit, again=again, emergency=False) is not REFUSED:
            opened.add(patient)

    assert len(opened) == min(limit, len(set(wanted)))
