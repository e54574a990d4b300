"""An answer on its way, killed with SIGKILL at its calls to the outside: sent once, or shown as maybe sent once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.domain.case import Case, Event
from vault.intake.mailbox import MaildirMailbox
from vault.office import open_office
from vault.steps.queue import board
from vault.steps.receive_mail import receive_mail
from vault.storage import outgoing
from vault.storage.cases import events
from vault.storage.outgoing import outgoing_of
from vault.testing.controller import ADDRESS
from vault.testing.crashes import killed_at
from vault.testing.installation import Installation, installed
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.ports import free_port
from vault.testing.road import run_step

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
STRIDE = 1 if FUZZ else 9  # every call in `make fuzz`, a sample of them in `make test`
CASES = 2


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as running:
        yield running


def intended(installation: Installation, folder: Path) -> list[str]:
    """Take in some mails while the mail server is away; return their cases, whose answers wait."""
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(parents=True)
    for number in range(CASES):
        letter = Letter("Aino", f"{folder.name}{number}@example.fi", ADDRESS, request_text("fi", "Aino", None))
        (folder / "new" / str(number)).write_bytes(plain_mail(letter))
    settings = installation.settings()
    away = settings.model_copy(update={"smtp": settings.smtp.model_copy(update={"port": free_port()})})
    with open_office("intake", away) as parts:
        return receive_mail(parts, MaildirMailbox(folder))


def case(installation: Installation, ref: str) -> Case:
    with installation.office("operator") as parts:
        return next(row.case for row in board(parts) if row.case.ref == ref)


def state(installation: Installation, ref: str) -> str:
    with installation.office("operator") as parts, parts.database.connect() as connection:
        (item,) = outgoing_of(connection, ref)
        noted = [event.event for event in events(connection, ref)].count(Event.NOTICE_SENT)
        assert noted == (1 if item.state == outgoing.SENT else 0)
        return item.state


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
def test_an_answer_killed_anywhere_goes_out_at_most_once(
    installation: Installation, after: bool, tmp_path: Path
) -> None:
    number = 1
    unclear = 0
    while True:
        refs = intended(installation, tmp_path / f"{number}{after}"[:40])
        assert [state(installation, ref) for ref in refs] == [outgoing.INTENDED] * CASES
        killed = killed_at(number, run_step, installation.home, "resend", after=after)
        run_step(installation.home, "resend")
        raws = installation.sink().messages()
        sent = [sum(f"<{ref}-acknowledgement@".encode() in raw for raw in raws) for ref in refs]
        states = [state(installation, ref) for ref in refs]
        maybe = [ref for ref, one in zip(refs, states, strict=True) if one == outgoing.MAYBE_SENT]
        assert set(states) <= {outgoing.SENT, outgoing.MAYBE_SENT}
        assert all(count <= 1 for count in sent)
        assert all(count == 1 for count, one in zip(sent, states, strict=True) if one == outgoing.SENT)
        assert len(maybe) <= killed
        assert all(case(installation, ref).exception == "maybe_sent" for ref in maybe)
        unclear += len(maybe)
        if not killed:
            break
        number += STRIDE
    assert number > CASES * STRIDE
    assert unclear > 0 or not FUZZ  # some kill falls between what was said to the server and what was written down
