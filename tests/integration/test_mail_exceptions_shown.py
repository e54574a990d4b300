"""Each way in which a mail can fail stands on the board with what to do, in the reader's language."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from vault.desk.render import LANGUAGES, texts
from vault.errors import RefusedError
from vault.intake.mail import MailTools
from vault.intake.message import Message
from vault.steps import mail_round
from vault.steps.queue import board
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming
from vault.steps.receive_mail import receive_mail
from vault.testing.cast import deliverer
from vault.testing.fill import fill
from vault.testing.installation import Installation, installed, to_toml
from vault.testing.mailexceptions import FATAL, LARGEST, doubtful_mails, exceptional_mails, returned
from vault.testing.patients import patients
from vault.testing.pipeline import start_desk
from vault.testing.road import run_step
from vault.testing.staff import StaffClient

NOTED = {"mail_undecryptable": "pgp_no_key", "mail_refused": "mail_several_encrypted_parts"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A desk at which every mail's exception waits: case by code."""

    staff: StaffClient
    cases: Mapping[str, str]


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    with installed() as installation:
        bounds = to_toml({"limits": {"message_bytes": LARGEST}})
        installation.config.write_text(installation.config.read_text("utf-8") + bounds, "utf-8")
        arrive(installation)
        url = start_desk(installation)
        staff = StaffClient.with_key(url, installation.assertion_key, ("registrar", "dpo"))
        yield Shown(staff, {line.exception: line.ref for line in staff.board("?exception=any") if line.exception})


def arrive(installation: Installation) -> None:
    """Let every mail come in, and one of our replies come back."""
    drop = deliverer(installation)
    people = list(patients(1, 2))
    with installation.office("registry") as parts:
        assert parts.register
        fill(parts.register, people)
    mails = {**exceptional_mails(installation, installation.nest), **doubtful_mails(people)}
    for raw in (*mails.values(), another(mails["subject_unknown"])):
        drop(raw)
    fail_thrice(installation)
    run_step(installation.home, "receive-mail")
    run_step(installation.home, "identify")
    drop(returned(acknowledgement(installation)))
    run_step(installation.home, "receive-mail")


def fail_thrice(installation: Installation) -> None:
    """Let a fault of ours stop one message as often as is tried."""

    def read(message: Message, tools: MailTools) -> Incoming:
        if FATAL.encode() in message.data:
            raise KeyError
        return read_message(message, tools)

    with pytest.MonkeyPatch.context() as broken, installation.office("intake") as parts:
        broken.setattr(mail_round, "read_message", read)
        for _ in range(3):
            with pytest.raises(RefusedError, match="our own fault"):
                receive_mail(parts)


def another(raw: bytes) -> bytes:
    """Write a mail once more, so that it is a request of its own."""
    return re.sub(rb"(?im)^(Message-ID: <)", rb"\1again.", raw, count=1)


def acknowledgement(installation: Installation) -> bytes:
    """Return our reply to the second of two requests of nobody's, so that the first keeps its own exception."""
    with installation.office("operator") as parts:
        unknown = [row.case.ref for row in board(parts) if row.case.exception == "subject_unknown"]
    return next(raw for raw in installation.sink().messages() if unknown[-1].encode() in raw)


CODES = (
    *("mail_undecryptable", "mail_refused", "mail_too_large", "no_request_found", "other_right_asked"),
    *("automatic_message", "subject_unknown", "mail_bounced"),
    *("form_unclear", "mail_reading_failed", "representative", "name_differs"),
)


def test_each_stands_on_the_board(shown: Shown) -> None:
    assert set(shown.cases) == set(CODES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_the_case_says_what_it_means_and_what_to_do(shown: Shown, code: str, language: str) -> None:
    shown.staff.http.headers["Accept-Language"] = language

    page = shown.staff.page(f"/cases/{shown.cases[code]}").text

    words = texts(language)["exceptions"][code]
    assert words["means"] in page
    assert words["do"] in page


@pytest.mark.parametrize("code", NOTED)
def test_what_the_reader_noted_is_said_in_words(shown: Shown, code: str) -> None:
    shown.staff.http.headers["Accept-Language"] = "en"

    said = shown.staff.open_identity(shown.cases[code])["reason"]

    assert texts("en")["reading_notes"][NOTED[code]] in said
    assert NOTED[code] in said


@pytest.mark.parametrize(
    ("code", "what", "found"),
    [
        ("mail_undecryptable", "request", "BEGIN PGP MESSAGE"),
        ("mail_refused", "request", "BEGIN PGP MESSAGE"),
        ("mail_reading_failed", "request", FATAL),
        ("form_unclear", "request", "Lomake liitteenä."),
        ("automatic_message", "request", "I am away until Monday."),
        ("mail_bounced", "report", "Action: failed"),
    ],
)
def test_a_person_sees_the_mail_as_it_came(shown: Shown, code: str, what: str, found: str) -> None:
    links = shown.staff.page(f"/identity/{shown.cases[code]}").all("a", data_mail=what)

    page = shown.staff.page(links[0].attributes["href"])

    assert found in page.text
    assert page.all("dd", data_header="from")


def test_of_a_mail_that_was_too_large_there_is_nothing_to_see(shown: Shown) -> None:
    assert shown.staff.page(f"/identity/{shown.cases['mail_too_large']}").all("a", data_mail=None) == []
