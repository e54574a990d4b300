"""gpg's agent runs when it was started, is gone when it was ended, and a foreign one is left alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vault.errors import OutOfReachError
from vault.intake import agent
from vault.intake.agent import Agent, end_agent, is_running
from vault.testing.mailworld import short_directory


@pytest.fixture
def home() -> Iterator[Path]:
    with short_directory() as base:
        yield base
        end_agent(base)


def test_what_was_ended_is_gone_at_once_and_starts_anew(home: Path) -> None:
    for _ in range(3):
        ours = Agent()
        ours.start(home)
        assert is_running(home)
        assert ours.seen
        ours.end(home)
        assert not is_running(home)
        assert not ours.seen


def test_a_foreign_one_is_left_alone(home: Path) -> None:
    Agent().start(home)
    second = Agent()

    second.start(home)
    second.end(home)

    assert not second.ours
    assert is_running(home)


def test_threads_start_one_together(home: Path) -> None:
    ours = Agent()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ours.start, [home] * 4))

    assert ours.ours
    ours.end(home)
    assert not is_running(home)


def test_one_that_does_not_start_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_PATIENCE", 0.2)

    with pytest.raises(OutOfReachError, match="openpgp_agent"):
        Agent().start(home / "absent")
