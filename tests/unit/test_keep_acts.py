"""Keeping does all of its acts: one that fails stops none behind it, and is told at the end."""

from functools import partial
from unittest.mock import Mock

import pytest

from vault.errors import OutOfReachError
from vault.steps import keep as step
from vault.steps.parts import Parts

ACTS = ("_forgotten", "_tidied", "_copies_destroyed", "_purged", "_rewrapped")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a note in place of each act."""
    order: list[str] = []
    for name in ACTS:
        monkeypatch.setattr(step, name, partial(_note, order, name))
    return order


def _note(order: list[str], name: str, _parts: Parts) -> dict[str, int]:
    order.append(name)
    return {name: 1}


def test_all_are_done_in_order(done: list[str]) -> None:
    assert step.keep(Mock(spec=Parts)) == dict.fromkeys(ACTS, 1)
    assert done == list(ACTS)


@pytest.mark.parametrize("broken", ACTS)
def test_one_that_fails_stops_none_behind_it(done: list[str], monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(step, broken, Mock(side_effect=OutOfReachError("objects_away", "try again")))

    with pytest.raises(OutOfReachError):
        step.keep(Mock(spec=Parts))

    assert done == [name for name in ACTS if name != broken]


def test_the_first_fault_is_told(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_tidied", Mock(side_effect=OutOfReachError("objects_away", "try again")))
    monkeypatch.setattr(step, "_purged", Mock(side_effect=ValueError))

    with pytest.raises(OutOfReachError, match="try again"):
        step.keep(Mock(spec=Parts))

    assert done == ["_forgotten", "_copies_destroyed", "_rewrapped"]
