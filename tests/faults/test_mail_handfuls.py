"""Mails that are recorded a handful at a time: copies, replies and what can't be recorded do not harm those beside."""

import re
import ssl
import threading
import time
from collections.abc import Iterator, Sized
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from imapclient import IMAPClient

from vault.domain.case import Stage, reference
from vault.errors import OutOfReachError, VaultError
from vault.intake.mailbox import Mailbox
from vault.steps import mail_round, receive
from vault.steps.doors import open_mailboxes
from vault.steps.replying import answer_to
from vault.testing.controller import ADDRESS
from vault.testing.dovecot import USER
from vault.testing.installation import installed
from vault.testing.mailclinic import Clinic, request
from vault.testing.mailfaults import Disturbed, cannot_remove, renumber
from vault.testing.mails import Letter, plain_mail
from vault.testing.processes import wait_until

ROLE = "select count(*) from arrivals where role = '%s'"


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with installed() as installation:
        yield Clinic(installation)


@pytest.fixture(autouse=True)
def _clean(clinic: Clinic) -> Iterator[None]:
    yield
    clinic.settle()


def put(clinic: Clinic, raw: bytes, times: int) -> None:
    """Put the very same bytes into the mailbox, as somebody does who drags a file there."""
    context = ssl.create_default_context(cafile=str(clinic.server.home / "ca.pem"))
    with IMAPClient("127.0.0.1", clinic.server.port, ssl=True, ssl_context=context) as client:
        client.login(USER, (clinic.server.home / "password").read_text())
        for _ in range(times):
            client.append("INBOX", raw)


def taken_and_not_removed(clinic: Clinic, **changes: Any) -> None:
    stuck: Mailbox = Disturbed(open_mailboxes(clinic.settings()), at_removal=cannot_remove)
    with pytest.raises(OutOfReachError):
        clinic.receive(stuck, **changes)


def nameless(raw: bytes) -> bytes:
    return re.sub(rb"(?im)^Message-ID:.*\r?\n", b"", raw)


@pytest.mark.parametrize("number", [1, 3])
def test_a_reference_that_is_taken_already_costs_no_message(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Ten million references are drawn by chance; two cases may draw one."""
    clinic.post(1)
    clinic.receive()
    (first,) = clinic.fresh()
    draw, drawn = reference, count()

    def unlucky(year: int, chance: int) -> str:
        return first.ref if next(drawn) == 0 else draw(year, chance)

    monkeypatch.setattr("vault.steps.case_of.reference", unlucky)
    clinic.post(number)
    clinic.receive()

    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * number
    assert clinic.left() == 0


def test_one_that_can_not_be_recorded_harms_none_beside_it(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.post(2)
    clinic.server.deliver(request(sender="unlucky@requester.example"))
    clinic.post(2)

    def failing(parts: Any, case: Any, kind: str, particulars: Any) -> Any:
        if particulars["from"] == "unlucky@requester.example":
            raise KeyError("personal words")
        return answer_to(parts, case, kind, particulars)

    with monkeypatch.context() as broken:
        broken.setattr(receive, "answer_to", failing)
        with pytest.raises(VaultError, match="mail_reading_failed") as told:
            clinic.receive()
    cases = clinic.fresh()
    assert "personal" not in str(told.value)
    assert (len(cases), clinic.left()) == (4, 1)
    assert all(clinic.notices(case.ref) == {"acknowledgement": 1} for case in cases)
    clinic.receive()

    assert (len(clinic.fresh()), clinic.left()) == (1, 0)


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
@pytest.mark.parametrize("numbers", ["as before", "anew"])
def test_the_same_bytes_in_one_handful(clinic: Clinic, named: bool, numbers: str) -> None:
    """Each is a message of its own: with a Message-ID a copy, without one perhaps another person's few words."""
    put(clinic, request() if named else nameless(request()), 3)
    taken_and_not_removed(clinic)
    if numbers == "anew":
        renumber(clinic.server)
    clinic.receive()

    merged = 2 if named else 0
    assert sorted(case.stage for case in clinic.fresh()) == [Stage.MERGED] * merged + [Stage.RECEIVED] * (3 - merged)
    assert clinic.left() == 0


def test_replies_and_their_copies_in_one_handful_with_what_they_answer(clinic: Clinic) -> None:
    before = {role: clinic.asked(ROLE % role) for role in ("reply", "duplicate")}
    clinic.post(1)
    clinic.receive()
    (case,) = clinic.fresh()
    replies = [
        plain_mail(
            Letter("Kysyj\u00e4", "asks@requester.example", ADDRESS, f"Answer {number}", subject=f"Re: {case.ref}")
        )
        for number in range(3)
    ]
    for raw in (*replies, replies[0]):
        clinic.server.deliver(raw)
    taken_and_not_removed(clinic)
    clinic.receive()

    assert [one.stage for one in clinic.fresh()] == [Stage.MERGED]
    assert {role: clinic.asked(ROLE % role) - was for role, was in before.items()} == {"reply": 3, "duplicate": 1}
    assert clinic.left() == 0


@pytest.mark.parametrize(
    ("step", "numbers"),
    [(timedelta(days=3), "anew"), (timedelta(hours=-3), "anew"), (timedelta(days=3), "as before")],
    ids=["ahead-anew", "back-anew", "ahead"],
)
def test_a_clock_that_steps_between_taking_and_removing(clinic: Clinic, step: timedelta, numbers: str) -> None:
    clinic.post(3)
    with clinic.office() as parts:
        now = parts.now

    def stepped() -> datetime:
        return now() + step

    taken_and_not_removed(clinic, now=stepped)
    if numbers == "anew":
        renumber(clinic.server)
    clinic.post(1)
    clinic.receive()

    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 4
    assert clinic.left() == 0


def test_two_handfuls_of_answers_wait_for_a_slow_mail_server_and_no_third(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, answered = threading.Event(), list[None]()

    def slow(_parts: object, several: Sized, *_: object) -> None:
        assert answer.wait(60)
        answered.extend([None] * len(several))

    monkeypatch.setattr(mail_round, "acknowledge", slow)
    clinic.post(4 * 16)
    run = threading.Thread(target=clinic.receive)
    run.start()
    try:
        wait_until(lambda: len(clinic.cases()) - len(clinic.known) >= 2 * 16, "two handfuls")
        time.sleep(1.5)  # three more would be committed in that time
        assert len(clinic.fresh()) == 2 * 16
    finally:
        answer.set()
        run.join(60)
    assert len(clinic.fresh()) == 2 * 16
    assert len(answered) == 4 * 16
