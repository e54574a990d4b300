"""An answer on its way, killed with SIGKILL at its calls to the outside: sent once, or shown as maybe sent once."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from vault.domain.case import Event
from vault.intake.mailbox import MaildirMailbox
from vault.steps.receive_mail import receive_mail
from vault.storage import outgoing
from vault.storage.cases import events
from vault.storage.outgoing import INTENDED, MAYBE_SENT, SENT, Outgoing, outgoing_of
from vault.testing.controller import ADDRESS
from vault.testing.crashes import killed_at
from vault.testing.installation import Installation, installed
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.road import run_step

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
STRIDE = 1 if FUZZ else 9  # every call in `make fuzz`, a sample of them in `make test`
CASES = 2


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as running:
        yield running


@pytest.fixture(scope="module")
def refs(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Cases whose requesters can be written to."""
    folder = tmp_path_factory.mktemp("box")
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir()
    for number in range(CASES):
        letter = Letter("Aino", f"aino{number}@example.fi", ADDRESS, request_text("fi", "Aino", None))
        (folder / "new" / str(number)).write_bytes(plain_mail(letter))
    with installation.office("intake") as parts:
        return receive_mail(parts, MaildirMailbox(folder))


def intended(installation: Installation, refs: list[str], mark: str) -> list[str]:
    """Intend one more answer on each case; return the items."""
    with installation.office("collector") as parts, parts.database.connect() as connection:
        items = [Outgoing(f"{ref}-{mark}", ref, "acknowledgement", "mail", INTENDED, parts.now()) for ref in refs]
        assert all(outgoing.intend(connection, item) for item in items)
    return [item.ref for item in items]


def states(installation: Installation, refs: list[str], items: list[str]) -> list[str]:
    """Return the items' states; what is sent is an event of its case, once, and what is not is none."""
    found = []
    with installation.office("operator") as parts, parts.database.connect() as connection:
        for ref, item in zip(refs, items, strict=True):
            (state,) = [known.state for known in outgoing_of(connection, ref) if known.ref == item]
            told = [event.event for event in events(connection, ref) if event.detail.get("notice") == item]
            wanted = {SENT: [Event.NOTICE_SENT], MAYBE_SENT: [Event.EXCEPTION_RAISED]}
            assert told == wanted.get(state, [])
            found.append(state)
    return found


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
def test_an_answer_killed_anywhere_goes_out_at_most_once(
    installation: Installation, refs: list[str], after: bool
) -> None:
    unclear = 0
    for number in count(1, STRIDE):
        items = intended(installation, refs, f"a{number}-{after}")
        assert states(installation, refs, items) == [INTENDED] * CASES
        killed = killed_at(number, run_step, installation.home, "resend", after=after)
        run_step(installation.home, "resend")
        raws = installation.sink().messages()
        sent = [sum(f"<{item}@".encode() in raw for raw in raws) for item in items]
        ended = states(installation, refs, items)
        assert set(ended) <= {SENT, MAYBE_SENT}
        assert all(mails <= 1 for mails in sent)
        assert all(mails == 1 for mails, state in zip(sent, ended, strict=True) if state == SENT)
        assert ended.count(MAYBE_SENT) <= killed
        unclear += ended.count(MAYBE_SENT)
        if not killed:
            break
    assert number > CASES * STRIDE
    assert unclear > 0 or not FUZZ  # some kill falls between what was said to the server and what was written down
