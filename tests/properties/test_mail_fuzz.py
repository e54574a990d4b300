"""A million changed mails neither crash nor hang the readers of strangers' bytes, nor make them grow."""

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from vault.errors import UnreadableError
from vault.intake.mime import Part, parse
from vault.testing import mailfuzz
from vault.testing.mailattacks import prey
from vault.testing.mailseeds import seeds

WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
EXECUTIONS = 1_000_000 if WHOLE else 6_000
PROCESSES = os.cpu_count() or 1
GROWTH = 60_000_000  # bytes; what is kept for good would be more by far


@pytest.fixture(scope="module")
def made() -> Iterator[Sequence[bytes]]:
    with prey("http://127.0.0.1:9") as hunted:
        yield seeds(hunted)


def test_changed_mails_are_read_or_refused_in_time(made: Sequence[bytes], tmp_path: Path) -> None:
    first = random.SystemRandom().randrange(1 << 32) if WHOLE else 1

    tried = mailfuzz.attempt_in_parallel(made, EXECUTIONS, first, PROCESSES, tmp_path)

    assert tried.found == (), f"first={first}"
    assert tried.executions == EXECUTIONS // PROCESSES * PROCESSES
    assert tried.slowest < mailfuzz.PATIENCE
    assert tried.growth < GROWTH


def test_seeds_are_of_every_making(made: Sequence[bytes]) -> None:
    kinds = {part.type for seed in made if seed.startswith(b"From: ") for part in walkable(seed)}

    assert len(made) > 90
    assert {"multipart/encrypted", "multipart/signed", "application/pkcs7-mime", "application/pgp-keys"} <= kinds


def walkable(seed: bytes) -> list[Part]:
    try:
        return list(parse(seed).walk())
    except UnreadableError:
        return []


@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_fault_would_be_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    def falls(data: bytes) -> None:
        while fault == "hang":
            data = data[::-1]
        raise ValueError

    monkeypatch.setattr(mailfuzz, "TARGETS", (falls,))
    monkeypatch.setattr(mailfuzz, "PATIENCE", 0.05)

    tried = mailfuzz.attempt([b"From: a@b.example\r\n\r\nx"], 10, 1)

    assert tried.executions == 0
    assert tried.found[0].startswith("falls ValueError " if fault == "crash" else "falls HangError ")
