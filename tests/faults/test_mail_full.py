"""A mailbox, a folder or a mail server that is full: every message is one case, and no reply goes out twice."""

import ssl
from collections.abc import Iterator

import pytest
from imapclient import IMAPClient

from vault.errors import OutOfReachError, RefusedError
from vault.office import open_office
from vault.settings import Settings, SmtpSettings
from vault.steps.notices import resend
from vault.testing.dovecot import FULL, USER, dovecot, quota
from vault.testing.installation import installed
from vault.testing.mailclinic import Clinic, request
from vault.testing.mailfaults import saying

INBOX = 12_000  # bytes
ROOM = 4_000  # bytes of the folders that become full
TAKEN, ASIDE = f"{FULL}Taken", f"{FULL}Aside"


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with installed() as installation, dovecot(extra=quota(INBOX, ROOM)) as server:
        yield Clinic(installation, server)


@pytest.fixture(autouse=True)
def _clean(clinic: Clinic) -> Iterator[None]:
    yield
    clinic.settle()
    with client_of(clinic) as client:
        for _, _, name in client.list_folders(FULL, "*"):
            client.delete_folder(name)


def client_of(clinic: Clinic) -> IMAPClient:
    home = clinic.server.home
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))
    client = IMAPClient("127.0.0.1", clinic.server.port, ssl=True, ssl_context=context)
    client.login(USER, (home / "password").read_text())
    return client


def fill(clinic: Clinic, folder: str, left: int) -> None:
    """Make a folder and leave so many bytes of room in it."""
    with client_of(clinic) as client:
        client.create_folder(folder)
        client.append(folder, b"Subject: x\r\n\r\n".ljust(ROOM - left - 2, b"x") + b"\r\n")


def make_room(clinic: Clinic, folder: str) -> None:
    with client_of(clinic) as client:
        client.select_folder(folder)
        client.delete_messages(client.search(["SUBJECT", "x"]))
        client.expunge()


def post_until_full(clinic: Clinic) -> int:
    for number in range(100):
        try:
            clinic.post(1)
        except OutOfReachError:
            return number
    raise AssertionError("it is never full")


@pytest.mark.parametrize("taken", [{}, {"after_taking": "move", "move_to": "Taken"}], ids=["expunge", "move"])
def test_a_full_mailbox_is_taken_from_and_takes_mail_again(clinic: Clinic, taken: dict[str, str]) -> None:
    number = post_until_full(clinic)
    clinic.receive(settings=clinic.settings(**taken))
    if taken:
        assert clinic.left(folder="Taken", move_to="") == number
        with client_of(clinic) as client:
            client.delete_folder("Taken")
    clinic.post(1)
    clinic.receive()

    assert number > 5
    assert [case.exception for case in clinic.fresh()] == [None] * (number + 1)
    assert clinic.left() == 0


def test_what_a_full_folder_does_not_take_stays_and_is_no_second_case(clinic: Clinic) -> None:
    fill(clinic, TAKEN, 0)
    settings = clinic.settings(after_taking="move", move_to=TAKEN)
    clinic.post(3)
    for _ in range(3):
        with pytest.raises(RefusedError, match="mailbox_move_failed"):
            clinic.receive(settings=settings)
    cases = clinic.fresh()
    assert ([case.exception for case in cases], clinic.left()) == ([None] * 3, 3)

    make_room(clinic, TAKEN)
    clinic.receive(settings=settings)

    assert (clinic.fresh(), clinic.left(), clinic.left(folder=TAKEN)) == ([], 0, 3)
    assert all(clinic.notices(case.ref) == {"acknowledgement": 1} for case in cases)


def test_a_folder_takes_what_it_has_room_for(clinic: Clinic) -> None:
    """One that is too large for it must not keep the others at the door."""
    fill(clinic, TAKEN, 2_500)
    settings = clinic.settings(after_taking="move", move_to=TAKEN)
    clinic.post(1)
    clinic.server.deliver(request("x " * 2_000))
    clinic.post(1)
    with pytest.raises(RefusedError, match="mailbox_move_failed"):
        clinic.receive(settings=settings)

    assert len(clinic.fresh()) == 3
    assert (clinic.left(), clinic.left(folder=TAKEN)) == (1, 1 + 2)


def test_a_message_too_large_waits_for_room_where_people_look_for_it(clinic: Clinic) -> None:
    fill(clinic, ASIDE, 0)
    known = clinic.settings(aside=ASIDE)
    small = known.model_copy(update={"limits": known.limits.model_copy(update={"message_bytes": 2_000})})
    clinic.server.deliver(request("x " * 1_500))
    for _ in range(2):
        with pytest.raises(RefusedError, match="mailbox_move_failed"):
            clinic.receive(settings=small)
    (case,) = clinic.fresh()
    assert (case.exception, clinic.left()) == ("mail_too_large", 1)

    make_room(clinic, ASIDE)
    clinic.receive(settings=small)

    assert (clinic.fresh(), clinic.left(), clinic.left(folder=ASIDE, aside="Elsewhere")) == ([], 0, 1)
    assert clinic.notices(case.ref) == {"could_not_open": 1}


def with_smtp(clinic: Clinic, smtp: SmtpSettings) -> Settings:
    return clinic.settings().model_copy(update={"smtp": smtp})


def resent(clinic: Clinic, smtp: SmtpSettings) -> None:
    with open_office("collector", with_smtp(clinic, smtp)) as parts:
        resend(parts)


@pytest.mark.parametrize("verb", ["mail", "end"])
def test_a_reply_that_the_mail_server_has_no_room_for_goes_out_later_and_once(clinic: Clinic, verb: str) -> None:
    answers = {verb: "452 4.3.1 Insufficient system storage"}
    clinic.post(3)
    with saying(answers) as (smtp, heard):
        clinic.receive(settings=with_smtp(clinic, smtp))
        cases = clinic.fresh()
        waiting = [item.state for case in cases for item in clinic.outgoing(case.ref)]
        asked = heard[verb]
        answers.clear()
        sent = heard["end"]
        for _ in range(2):
            resent(clinic, smtp)

    assert (asked, waiting) == (3, ["intended"] * 3)
    assert heard["end"] - sent == 3
    assert [item.state for case in cases for item in clinic.outgoing(case.ref)] == ["sent"] * 3
    assert [case.exception for case in clinic.cases() if case.ref in {one.ref for one in cases}] == [None] * 3


@pytest.mark.parametrize("verb", ["rcpt", "end"])
def test_a_reply_that_a_full_mailbox_refuses_is_shown_and_never_sent_again(clinic: Clinic, verb: str) -> None:
    clinic.post(2)
    with saying({verb: "552 5.2.2 Mailbox full"}) as (smtp, heard):
        clinic.receive(settings=with_smtp(clinic, smtp))
        asked = heard[verb]
        resent(clinic, smtp)

    cases = clinic.fresh()
    assert [case.exception for case in cases] == ["mail_refused"] * 2
    assert [item.state for case in cases for item in clinic.outgoing(case.ref)] == ["refused"] * 2
    assert (asked, heard[verb], clinic.left()) == (2, 2, 0)
