"""Mail intake is killed with SIGKILL at its calls to the outside, again and again: each message is one case."""

import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from vault.domain.case import Stage
from vault.intake.mail import MailTools
from vault.intake.message import Message
from vault.steps import mail_round
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming
from vault.testing.controller import ADDRESS
from vault.testing.crashes import killed_at
from vault.testing.mails import Letter, plain_mail, smime_mail
from vault.testing.mailtexts import request_text, small_talk
from vault.testing.road import Road, run_step, travelled

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
STRIDE = 1 if FUZZ else 17  # every call in `make fuzz`, a sample of them in `make test`
MANY = 1_000 if FUZZ else 40
MOST = 1_000 if FUZZ else 70  # calls before a kill; a message takes about three
FATAL = "the one that kills its reader"
NUMBERS = count(1)
_GARBAGE = "-----BEGIN PGP MESSAGE-----\n\naGVsbG8gd29ybGQ=\n=abcd\n-----END PGP MESSAGE-----\n"


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled(2) as road:
        yield road


def letter(text: str | None = None) -> Letter:
    """Write as somebody who never wrote before."""
    sender = f"asks{next(NUMBERS)}@requester.example"
    return Letter("Kysyjä", sender, ADDRESS, text or request_text("fi", "Tuntematon Kysyjä", None))


def mixed(road: Road) -> list[bytes]:
    """Write a request, one that is encrypted, one that nobody can open, a broken one."""
    certificate = road.installation.settings().smime.certificate_file
    broken = plain_mail(letter()).replace(b"Content-Type: text/plain", b"Content-Type: multipart/mixed")
    return [plain_mail(letter()), smime_mail(letter(), certificate), plain_mail(letter(_GARBAGE)), broken]


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
def test_kill_at_any_call_leaves_one_case_of_each_message(road: Road, after: bool) -> None:
    for number in count(2 if after else 1, STRIDE):
        before = road.refs()
        mails = mixed(road)
        for raw in mails:
            road.drop(raw)
        killed = killed_at(number, run_step, road.home, "receive-mail", after=after)
        road.run("receive-mail")
        made = road.refs() - before
        assert len(made) == len(mails)
        assert all(road.at(ref).stage is Stage.RECEIVED for ref in made)
        assert road.in_mailbox() == 0
        assert all(len(road.mails_about(ref)) <= 1 for ref in made)
        if not killed:
            break
    assert number > STRIDE


def test_many_messages_and_many_kills(road: Road) -> None:
    """Killed at random calls until the mailbox is empty: as many cases and exceptions as messages, no more."""
    chance = random.Random(5)  # noqa: S311 - a test's dice
    before = road.refs()
    mails = [raw for _ in range(MANY // 4) for raw in mixed(road)]
    for raw in mails:
        road.drop(raw)
    kills = 0
    while road.in_mailbox():
        kills += killed_at(chance.randrange(10, MOST), run_step, road.home, "receive-mail")
    assert kills > 1
    made = road.refs() - before
    assert len(made) == len(mails)
    shown = Counter(case.exception for case in road.cases() if case.ref in made)
    unlucky = shown["mail_reading_failed"]  # a message that three kills met while it was read
    assert shown["mail_undecryptable"] + unlucky >= len(mails) // 4
    assert shown[None] + unlucky >= len(mails) // 2
    assert unlucky < len(mails) // 4


def test_two_intakes_that_are_killed_beside_each_other(road: Road) -> None:
    """Each of two takes what the other was killed over, and what it still holds: none twice, in whatever order."""
    before = road.refs()
    mails = [raw for _ in range(MANY // 4) for raw in mixed(road)]
    for raw in mails:
        road.drop(raw)

    def work(seed: int) -> int:
        chance, kills = random.Random(seed), 0  # noqa: S311 - a test's dice
        while road.in_mailbox():
            kills += killed_at(chance.randrange(10, MOST), run_step, road.home, "receive-mail")
        return kills

    with ThreadPoolExecutor(2) as pool:
        kills = sum(pool.map(work, (6, 7)))
    road.run("receive-mail")
    made = [case for case in road.cases() if case.ref not in before]

    assert kills > 1
    assert len(made) == len(mails)
    assert {case.stage for case in made} == {Stage.RECEIVED}
    assert all(len(road.mails_about(case.ref)) <= 1 for case in made)


def die_reading(home: Path) -> None:
    """Receive mail with a reader that one message kills."""

    def read(message: Message, tools: MailTools) -> Incoming:
        if FATAL.encode() in message.data:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_message(message, tools)

    mail_round.read_message = read  # type: ignore[attr-defined]  # a name that the module imported
    run_step(home, "receive-mail")


def test_message_that_kills_its_reader_is_set_aside_and_takes_nothing_with_it(road: Road) -> None:
    before = road.refs()
    mails = [plain_mail(letter()), plain_mail(letter(small_talk("fi", FATAL))), plain_mail(letter())]
    for raw in mails:
        road.drop(raw)
    deaths = 0
    while road.in_mailbox():
        child = multiprocessing.get_context("spawn").Process(target=die_reading, args=(road.home,))
        child.start()
        child.join(60)
        deaths += child.exitcode == -signal.SIGKILL
        if deaths > 5:
            break

    assert deaths == 3
    made = [case for case in road.cases() if case.ref not in before]
    assert sorted(str(case.exception) for case in made) == ["None", "None", "mail_reading_failed"]
