"""A mail key that ends within sixty days rings on the board, once, from the intake's own round."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from vault.domain.alarms import AlarmCode, Why
from vault.errors import OutOfReachError
from vault.intake.message import Mailbox
from vault.intake.ownkeys import LIFETIME
from vault.steps import receive_mail as step
from vault.steps.alarms import alarms, close
from vault.steps.mail_keys import ring_for_mail_keys
from vault.steps.parts import Parts, Staff
from vault.testing.installation import Installation, installed

OFFICER = Staff("5", "Olli Officer", frozenset({"dpo"}))
SOON = LIFETIME - timedelta(days=30)  # from now on: the keys end within sixty days


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    with installed() as installation:
        yield installation


@pytest.fixture
def house(place: Installation) -> Installation:
    """Give the house with its board empty."""
    with place.owner() as connection:
        connection.execute("truncate alarms cascade")
    return place


@contextmanager
def intake_at(house: Installation, later: timedelta) -> Iterator[Parts]:
    """Let the intake work at a later day."""
    with house.office("intake") as parts:
        yield replace(parts, now=lambda: datetime.now(UTC) + later)


def rung(house: Installation) -> list[dict[str, str]]:
    with house.office("desk") as parts:
        return [dict(row.alarm.detail) for row in alarms(parts) if row.alarm.code == AlarmCode.MAIL_KEY_ENDS]


def close_all(house: Installation, later: timedelta) -> None:
    with house.office("desk") as parts:
        then = replace(parts, now=lambda: datetime.now(UTC) + later)
        for row in alarms(then):
            close(then, OFFICER, row.alarm.ref, Why.TEST)


def test_keys_that_last_do_not_ring(house: Installation) -> None:
    with intake_at(house, timedelta()) as parts:
        assert not ring_for_mail_keys(parts)
    assert rung(house) == []


def test_a_round_rings_once_and_again_a_week_after_it_was_closed(house: Installation) -> None:
    for hours in (0, 1, 2, 30):
        with intake_at(house, SOON + timedelta(hours=hours)) as parts:
            assert step.receive_mail(parts) == []
    (told,) = rung(house)
    ends = {kind: datetime.fromisoformat(day).replace(tzinfo=UTC) - datetime.now(UTC) for kind, day in told.items()}
    assert set(ends) <= {"openpgp", "smime"}
    assert all(SOON < left < LIFETIME + timedelta(days=1) for left in ends.values())
    close_all(house, SOON + timedelta(days=2))

    with intake_at(house, SOON + timedelta(days=8)) as parts:
        assert not ring_for_mail_keys(parts)
    with intake_at(house, SOON + timedelta(days=10)) as parts:
        assert ring_for_mail_keys(parts)
    close_all(house, SOON + timedelta(days=10))


def test_a_key_that_has_ended_rings_too(house: Installation) -> None:
    with intake_at(house, LIFETIME + timedelta(days=1)) as parts:
        assert ring_for_mail_keys(parts)

    (told,) = rung(house)
    assert "ended" in told.values()


def test_keys_that_can_not_be_looked_at_fail_the_round_when_everything_is_taken(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mock(spec=Mailbox, chunks=Mock(return_value=iter(())))
    done = Mock()
    monkeypatch.setattr(step, "MailRound", Mock(return_value=Mock(faults=[], refs=["DSR"], run=done)))
    monkeypatch.setattr(step, "ring_for_mail_keys", Mock(side_effect=OutOfReachError("openpgp_agent", "see gpg")))

    with intake_at(house, timedelta()) as parts, pytest.raises(OutOfReachError, match="see gpg"):
        step.receive_mail(parts, mailbox)

    done.assert_called_once()
