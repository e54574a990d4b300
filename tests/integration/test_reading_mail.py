"""What one mail becomes: its reading judged, and how a right that no machine answers travels on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from vault.domain.case import Event, Stage
from vault.intake.mail import MailTools
from vault.intake.message import Message
from vault.steps import check
from vault.steps.identify import identify
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming
from vault.testing.mails import pgp_mime_mail
from vault.testing.mailtexts import request_text
from vault.testing.road import REGISTRAR, Road, travelled
from vault.testing.scans import as_pdf, fill_form, print_sheet

ASKED = request_text("fi", "Aino Virtanen", "131052-308T")
FORM: dict[str, str | tuple[str, ...]] = {
    "name": "Aino Virtanen",
    "code": "131052-308T",
    "kinds": ("inspection",),
    "language": ("sv",),
}


def read(text: str, *files: tuple[str, str, bytes], **headers: str) -> Incoming:
    message = EmailMessage()
    message.set_content(text)
    for name, value in {"From": "aino@example.fi", "Message-ID": "<1@example.fi>", **headers}.items():
        message[name.replace("_", "-")] = value
    for name, kind, data in files:
        main, _, sub = kind.partition("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return read_message(Message("maildir|1", message.as_bytes(), datetime.now(UTC)), MailTools())


@pytest.mark.parametrize(
    ("text", "exception", "notice"),
    [
        (ASKED, None, "acknowledgement"),
        ("Poistakaa kaikki tietoni.", "other_right_asked", "acknowledgement"),
        (ASKED + "\nPoistakaa sitten kaikki tietoni.", "other_right_asked", "acknowledgement"),
        ("Onko teillä auki lauantaina?", "no_request_found", "no_request_found"),
        ("", "no_request_found", "no_request_found"),
    ],
)
def test_a_reading_is_judged(text: str, exception: str | None, notice: str) -> None:
    incoming = read(text)

    assert (incoming.exception, incoming.notice) == (exception, notice)


def test_a_form_that_is_not_read_surely_waits_for_a_person() -> None:
    sheet = print_sheet(fill_form({"name": "Aino Virtanen", "kinds": ("inspection",)}), 200)

    incoming = read("Lomake.", ("lomake.pdf", "application/pdf", as_pdf([sheet], 200)))

    assert (incoming.exception, incoming.particulars["form"]) == ("form_unclear", "pdf")


def test_an_attached_form_speaks_and_its_language_is_kept() -> None:
    incoming = read("Lomake.", ("lomake.pdf", "application/pdf", fill_form(FORM)))

    assert (incoming.exception, incoming.language, len(incoming.attachments)) == (None, "sv", 1)


def test_the_language_of_a_mail_without_words_is_what_its_headers_name() -> None:
    assert read("", Content_Language="sv-FI, en").language == "sv"
    assert read("", Accept_Language="de, en;q=0.5").language == "en"
    assert read("").language == "fi"


def test_copies_of_identity_documents_are_flagged_in_the_particulars() -> None:
    incoming = read(ASKED, ("passi.jpg", "image/jpeg", b"\xff\xd8\xff"), ("a.txt", "text/plain", b"a"))

    flags = [words.get("delete_after") for words in incoming.particulars["attachments"]]
    assert flags == ["identity", None]


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def test_another_right_that_is_cleared_by_mistake_is_not_answered_with_a_package(road: Road) -> None:
    patient = road.cast.patient("bound")
    text = f"Poistakaa kaikki tietoni.\nNimi: {patient.name}\nHenkilötunnus: {patient.code}\n"
    known = road.refs()
    road.drop(pgp_mime_mail(road.cast.letter("bound", text, subject="Asiani"), road.cast.homes["bound"], road.ours))
    road.run("receive-mail")
    (ref,) = road.refs() - known
    assert road.at(ref).exception == "other_right_asked"

    with road.installation.office("desk") as parts:
        check.clear_exception(parts, REGISTRAR, ref)
    with road.installation.office("collector") as parts:
        identify(parts, [ref])
    case = road.at(ref)
    assert (case.stage, case.exception, case.subject) == (Stage.CHECKING, "other_right_asked", None)

    with road.installation.office("desk") as parts:
        check.correct(parts, REGISTRAR, ref, {"kinds": "inspection erasure"})
        assert road.at(ref).exception == "other_right_asked"
        check.clear_exception(parts, REGISTRAR, ref)  # the erasure was handed on; the rest goes its way
    with road.installation.office("collector") as parts:
        identify(parts, [ref])
    assert road.at(ref).stage is Stage.IDENTIFIED
    assert road.kinds(ref)[Event.IDENTITY_PROVED] == 1
