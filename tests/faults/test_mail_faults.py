"""A mailbox that dies, cuts, numbers anew or lets nothing be removed: each message is one case, none two."""

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from vault.domain.case import Stage
from vault.errors import OutOfReachError, VaultError, WrongUseError
from vault.intake.mail import MailTools
from vault.intake.message import Mailbox, Message
from vault.steps import mail_round
from vault.steps.doors import open_mailboxes
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming
from vault.steps.receive_mail import receive_mail
from vault.steps.sealed_object import BESIDE
from vault.storage import mailroom
from vault.testing import dovecot
from vault.testing.controller import ADDRESS, export_public
from vault.testing.installation import installed
from vault.testing.mailclinic import Clinic, request
from vault.testing.mailfaults import Disturbed, cannot_remove, cutting_line, lying_files, renumber
from vault.testing.mailkeys import make_pgp_home
from vault.testing.mails import Letter, pgp_mime_mail
from vault.testing.mailtexts import request_text, small_talk

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
MANY = 1_000 if FUZZ else 40


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with installed() as installation:
        yield Clinic(installation)


@pytest.fixture(autouse=True)
def _clean(clinic: Clinic) -> Iterator[None]:
    yield
    clinic.settle()


def test_two_intakes_at_once_make_one_case_of_each(clinic: Clinic) -> None:
    clinic.post(MANY)

    def work(_: int) -> None:
        with suppress(OutOfReachError):
            clinic.receive()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    while clinic.left():
        clinic.receive()

    cases = clinic.fresh()
    assert len(cases) == MANY
    assert {case.stage for case in cases} == {Stage.RECEIVED}
    assert all(clinic.notices(case.ref) == {"acknowledgement": 1} for case in cases[:10])


def test_killed_dovecot_loses_and_doubles_nothing(clinic: Clinic) -> None:
    clinic.post(24)
    home = clinic.installation.home / "mailbox"

    def die(number: int) -> None:
        if number == 5:
            dovecot.stop(home, first=signal.SIGKILL)

    with clinic.office() as parts, pytest.raises(OutOfReachError):
        receive_mail(parts, Disturbed(open_mailboxes(parts.settings), at_removal=die))
    dovecot.start(home)
    clinic.receive()

    assert len(clinic.fresh()) == 24
    assert clinic.left() == 0


@pytest.mark.parametrize("every", [range(2_000, 60_000, 700)] if FUZZ else [range(3_000, 40_000, 5_000)], ids=["cuts"])
def test_line_cut_anywhere_loses_and_doubles_nothing(clinic: Clinic, every: range) -> None:
    clinic.post(12)
    with cutting_line(clinic.server.port, every) as port:
        for _ in range(2 * len(every)):
            with suppress(OutOfReachError):
                clinic.receive(settings=clinic.settings(port=port))
            if not clinic.left():
                break

    assert clinic.left() == 0
    assert len(clinic.fresh()) == 12


def test_renumbered_messages_are_known_by_their_bytes(clinic: Clinic) -> None:
    clinic.post(6)
    with clinic.office() as parts, pytest.raises(OutOfReachError):
        receive_mail(parts, Disturbed(open_mailboxes(parts.settings), at_removal=cannot_remove))
    assert clinic.left() == 6

    renumber(clinic.server)
    clinic.receive()

    assert clinic.left() == 0
    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 6


def test_renumbering_in_the_middle_of_a_round(clinic: Clinic) -> None:
    clinic.post(30)

    def anew(number: int) -> None:
        if number == 20:
            renumber(clinic.server)

    with clinic.office() as parts:
        disturbed = Disturbed(open_mailboxes(parts.settings), at_message=anew)
        receive_mail(parts, disturbed)
        disturbed.close()
    clinic.receive()

    assert clinic.left() == 0
    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 30


def test_two_intakes_that_see_two_numberings(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """One read the message under its old number, the other under the new one; both take it at the same time."""
    clinic.post(1)
    with clinic.office() as parts:
        (old,) = list(open_mailboxes(parts.settings).messages(10))
        renumber(clinic.server)
        (new,) = list(open_mailboxes(parts.settings).messages(10))
    both = Barrier(2)

    def read(message: Message, tools: MailTools) -> Incoming:
        both.wait(20)  # neither has been taken when both are known to be new
        return read_message(message, tools)

    monkeypatch.setattr(mail_round, "read_message", read)

    def work(message: Message) -> None:
        with clinic.office() as parts:
            receive_mail(parts, _Only(message, open_mailboxes(parts.settings)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (old, new)))

    assert old.source != new.source
    assert len(clinic.fresh()) == 1


class _Only(Disturbed):
    """A mailbox that hands out one message that was fetched before."""

    def __init__(self, message: Message, inner: Mailbox) -> None:
        super().__init__(inner)
        self._message = message

    def messages(self, limit: int) -> Iterator[Message]:
        yield from [self._message][:limit]


class _Gone(_Only):
    """The same, whose message goes when it is removed."""

    def remove(self, *sources: str) -> None:
        if sources != (self._message.source,):
            raise AssertionError("another message was removed")


def test_copy_that_was_sent_later_is_a_duplicate(clinic: Clinic) -> None:
    (raw,) = clinic.post(1)
    clinic.receive()
    clinic.server.deliver(raw)
    clinic.receive()

    assert sorted(case.stage for case in clinic.fresh()) == [Stage.MERGED, Stage.RECEIVED]


@pytest.mark.parametrize("recorded", [True, False])
def test_same_bytes_behind_a_recorded_removal_are_a_copy(
    clinic: Clinic, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between removing and recording leaves the very same bytes for the message itself, not for a copy."""
    raw = request()
    with clinic.office() as parts:
        box = open_mailboxes(parts.settings)
        for number in (1, 2):
            message = Message(f"imap|INBOX|{number}|{recorded:d}", raw, parts.now())
            with monkeypatch.context() as killed:
                if not recorded:
                    killed.setattr(mailroom, "removed", lambda *_: None)
                receive_mail(parts, _Gone(message, box))

    assert len(clinic.fresh()) == (2 if recorded else 1)


def test_lost_records_of_removals_are_settled_by_a_later_round(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    unsettled = "select count(*) from mail_identities where removed_at is null"
    before = clinic.asked(unsettled)
    clinic.post(2)
    with monkeypatch.context() as killed:
        killed.setattr(mailroom, "removed", lambda *_: None)
        clinic.receive()
    assert clinic.asked(unsettled) == before + 2
    clinic.post(1)
    with clinic.office() as parts:
        later = parts.now() + timedelta(hours=2)
    clinic.receive(now=lambda: later)

    assert clinic.asked(unsettled) == 0
    assert len(clinic.fresh()) == 3


def test_message_that_fails_by_our_fault_holds_up_none_behind_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.server.deliver(request(small_talk("fi", "the fatal one")))
    clinic.post(3)

    def read(message: Message, tools: MailTools) -> Incoming:
        if b"the fatal one" in message.data:
            raise KeyError("personal words")
        return read_message(message, tools)

    monkeypatch.setattr(mail_round, "read_message", read)
    with pytest.raises(VaultError, match="mail_reading_failed") as told:
        clinic.receive()
    assert "personal" not in str(told.value)
    assert (len(clinic.fresh()), clinic.left()) == (3, 1)
    for _ in range(2):
        with pytest.raises(VaultError, match="mail_reading_failed"):
            clinic.receive()
    clinic.receive()

    assert [case.exception for case in clinic.fresh()] == ["mail_reading_failed"]
    assert clinic.left() == 0
    assert clinic.asked("select count(*) from mail_tries") == 0


def test_our_wrong_passphrase_keeps_the_mail_and_takes_the_plain_one(clinic: Clinic, tmp_path: Path) -> None:
    settings = clinic.settings()
    home = make_pgp_home(clinic.installation.nest / "q", "Aino", "aino@requester.example")
    letter = Letter("Aino", "aino@requester.example", ADDRESS, request_text("fi", "Aino", None))
    clinic.server.deliver(pgp_mime_mail(letter, home, export_public(settings.openpgp)))
    home.close()
    clinic.post(1)
    wrong = tmp_path / "wrong"
    wrong.write_text("quite another passphrase 9")
    wrong.chmod(0o600)
    changed = settings.model_copy(update={"openpgp": settings.openpgp.model_copy(update={"passphrase_file": wrong})})
    for _ in range(5):
        with pytest.raises(WrongUseError):
            clinic.receive(settings=changed)
    assert clinic.left() == 1
    clinic.receive()

    assert [case.exception for case in clinic.fresh()] == [None, None]


@pytest.mark.parametrize("alone", [False, True], ids=["words", "one file and no words"])
def test_too_large_message_is_a_case_and_lies_aside(clinic: Clinic, alone: bool) -> None:
    raw = request("x " * 30_000)
    clinic.server.deliver(as_a_file(raw) if alone else raw)
    settings = clinic.settings()
    small = settings.model_copy(update={"limits": settings.limits.model_copy(update={"message_bytes": 20_000})})
    stuck = Disturbed(open_mailboxes(small), at_removal=cannot_remove)
    with clinic.office() as parts, pytest.raises(OutOfReachError):
        receive_mail(replace(parts, settings=small), stuck)
    clinic.receive(settings=small)
    clinic.receive(settings=small)

    (case,) = clinic.fresh()
    assert case.exception == "mail_too_large"
    assert clinic.notices(case.ref) == {"could_not_open": 1}
    assert clinic.left() == 0
    aside = open_mailboxes(clinic.settings(folder=settings.mailbox.aside, aside="Elsewhere"))
    (message,) = aside.messages(10)
    assert message.data.count(b"x ") >= 29_000
    aside.remove(message.source)
    aside.close()


def as_a_file(raw: bytes) -> bytes:
    """Send as scanners and fax gateways do: the whole mail is one file."""
    return re.sub(rb"(?im)^Content-Type: .*(?:\r?\n[ \t].*)*", b"Content-Type: application/pdf; name=scan.pdf", raw)


def test_sealed_original_is_durable_before_the_message_goes(clinic: Clinic) -> None:
    clinic.server.deliver(request("x " * BESIDE))

    class Refusing:
        def put(self, *_: object) -> None:
            raise OutOfReachError("objects_away", "the object store does not answer")

    for _ in range(5):
        with pytest.raises(OutOfReachError, match="objects_away"):
            clinic.receive(objects=Refusing())
    assert (clinic.fresh(), clinic.left()) == ([], 1)
    assert len(lying_files(clinic.server)) == 1

    clinic.receive()
    assert [case.exception for case in clinic.fresh()] == [None]  # what failed was not held against the message
