"""Making and rotating the mail keys, killed with SIGKILL anywhere: once more, and all is there, once, and opens."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from vault.intake.ownkeys import KeyState, complaints
from vault.testing.crashes import killed_at
from vault.testing.mailkeyhouse import MailKeyHouse, dying, make, make_aged, open_smime, rotate, seal_smime
from vault.testing.mailworld import short_directory

# every call in `make fuzz`, a sample of them in `make test`
STRIDE = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 9
TEXT = b"Asking for my data.\n"


@pytest.fixture
def house() -> Iterator[MailKeyHouse]:
    with short_directory() as folder:
        yield MailKeyHouse(folder)


def killed_everywhere(house: MailKeyHouse, act: Callable[[Path], object], prepare: Callable[[Path], object]) -> int:
    """Kill ``act`` at every ``STRIDE``-th of its calls to the outside, each time from the start; count the kills."""
    for number in count(1, STRIDE):
        place = MailKeyHouse(house.folder / str(number))
        prepare(place.directory)
        if not killed_at(0, dying, number, act, place.directory):
            return number // STRIDE
        act(place.directory)
        assert act(place.directory) == []
        whole(place)
    raise AssertionError("it never came to its end")


def whole(place: MailKeyHouse) -> None:
    now = datetime.now(UTC)
    keys = place.keys
    current = [key for key in keys.keys(now) if key.state is KeyState.CURRENT]
    assert complaints(keys.keys(now), now) == []
    assert [(key.kind, sorted(key.uses)) for key in current] == [
        ("openpgp", ["certify", "sign"]),
        ("openpgp", ["encrypt"]),
        ("smime", ["encrypt", "sign"]),
    ]
    assert place.decrypt(place.encrypt(keys.pgp.public_key(keys.fingerprint or ""), TEXT)) == TEXT
    assert open_smime(place.smime, seal_smime(place.smime, TEXT)) == TEXT


def test_made_although_killed(house: MailKeyHouse) -> None:
    assert killed_everywhere(house, make, lambda directory: directory.mkdir(parents=True)) >= 2


def test_rotated_although_killed(house: MailKeyHouse) -> None:
    assert killed_everywhere(house, rotate, lambda directory: make_aged(directory, 400)) >= 2
