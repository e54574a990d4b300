"""What a witness's owner is told: an older log put back, a fork, and nothing where all goes on."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from vault.accesslog.witness.check import check_published
from vault.accesslog.witness.protocol import Head
from vault.accesslog.witness.service import WitnessService
from vault.testing.witness import NOW, ShelfSource, SignedLog, close_day, days_of_looks, witness_of

LEAVES = days_of_looks(days=4, looks=170, subjects=9)
WHOLE = len(LEAVES)


@pytest.fixture
def log() -> SignedLog:
    return SignedLog(list(LEAVES))


@pytest.fixture
def witness(log: SignedLog, tmp_path: Path) -> WitnessService:
    return witness_of(log, tmp_path)


def head(witness: WitnessService) -> Head:
    with witness.state.change() as memory:
        return memory.remembered().head


def test_check_finds_an_older_checkpoint_put_back(witness: WitnessService, log: SignedLog) -> None:
    witness.add_checkpoint(log.request(0, WHOLE))
    log.shelf.replace_locked("checkpoint", log.note(600))

    def faults(now: datetime) -> list[str]:
        return [code for code, _ in check_published(witness.state, witness.keys, witness.source, now).faults]

    assert faults(NOW + timedelta(minutes=1)) == []
    assert faults(NOW + timedelta(minutes=11)) == ["published_behind"]


@pytest.mark.parametrize("anew", [False, True], ids=["goes-on", "reads-anew"])
def test_check_finds_a_fork_and_cosigns_nothing(anew: bool, witness: WitnessService, log: SignedLog) -> None:
    looks = days_of_looks(2, 170, 9)
    other = [looks[1], looks[0], *looks[2:170]]
    fork = SignedLog([*other, close_day(other, date(2026, 11, 1)), *looks[2:100]], log.service)
    fork.publish(len(fork.leaves))
    witness.add_checkpoint(log.request(0, 171))
    if anew:
        with witness.state.change() as memory:
            memory.forget()

    verdict = check_published(witness.state, witness.keys, ShelfSource(fork.shelf), NOW)

    assert [code for code, _ in verdict.faults] == ["root_differs"]
    assert head(witness).size == 171
