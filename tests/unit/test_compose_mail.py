"""Outgoing mail: threads with the requester's own, says that a machine wrote it, tells nothing else."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from vault.delivery.compose import OwnFile, notice_mail, package_mail
from vault.delivery.entity import BOUNDARY
from vault.delivery.protected import pgp_mime
from vault.errors import RefusedError
from vault.settings import Controller, Settings, SmtpSettings
from vault.settings_mailbox import MailboxSettings


@dataclass(frozen=True)
class Said:
    subject: str
    text: str


WORDS = Said("DSR-2026-7K3QXM", "Hyvä vastaanottaja,\n\npyyntönne on saapunut.\n" + "ä" * 1500 + "\n.\n.. end\n")


@pytest.fixture
def settings() -> Settings:
    controller = Controller(
        name="Päijänteen Terapia, Oy", address=["Katu 1"], email="info@clinic.example", data_protection_officer="x"
    )
    parts: dict[str, Any] = {
        "controller": controller,
        "smtp": SmtpSettings(host="127.0.0.1", port=25, sender="answers@clinic.example"),
        "mailbox": MailboxSettings(kind="maildir", path=Path("/x"), address="requests@clinic.example"),
    }
    return Settings.model_construct(**parts)


def arrived(message: EmailMessage) -> EmailMessage:
    """What the other side reads."""
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def particulars(**changes: Any) -> dict[str, Any]:
    known = {"reply_to": "aino@example.fi", "message_id": "<2@example.fi>", "references": ["<1@example.fi>"]}
    return {**known, **changes}


def test_a_notice_answers_the_requesters_message(settings: Settings) -> None:
    message = arrived(notice_mail(settings, "DSR-2026-7K3QXM-acknowledgement", WORDS, particulars()))

    assert str(message["From"]) == '"Päijänteen Terapia, Oy" <answers@clinic.example>'
    assert message["To"] == "aino@example.fi"
    assert message["Reply-To"] == "requests@clinic.example"
    assert message["Subject"] == "DSR-2026-7K3QXM"
    assert message["In-Reply-To"] == "<2@example.fi>"
    assert message["References"] == "<1@example.fi> <2@example.fi>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<DSR-2026-7K3QXM-acknowledgement@clinic.example>"
    assert message["Date"] is not None
    assert message.get_content().replace("\r\n", "\n") == WORDS.text


TWO = [
    MailboxSettings(kind="maildir", name="north", path=Path("/n"), address="north@clinic.example"),
    MailboxSettings(kind="maildir", name="south", path=Path("/s"), address="answers@clinic.example"),
]


@pytest.mark.parametrize(
    ("mailbox", "answers_to"),
    [
        ("north", "north@clinic.example"),
        ("south", None),  # the sender's own address needs no other
        ("gone since", "requests@clinic.example"),
        ("", "requests@clinic.example"),
        (None, "requests@clinic.example"),
        (7, "requests@clinic.example"),
    ],
)
def test_an_answer_goes_to_the_mailbox_that_was_written_to(
    settings: Settings, mailbox: object, answers_to: str | None
) -> None:
    several = settings.model_copy(update={"mailboxes": TWO})

    message = notice_mail(several, "DSR-2026-7K3QXM-question", WORDS, particulars(mailbox=mailbox))

    assert arrived(message)["Reply-To"] == answers_to


LONG_NAME = "Päijät-Hämeen hyvinvointiyhtymän terveyskeskus ja sen sivutoimipisteet kaikissa kunnissa"


@pytest.mark.parametrize("name", ["Clinic", 'The "Best", of: Clinics', LONG_NAME, "Clinic " * 30], ids=len)
def test_any_name_of_a_clinic_survives(settings: Settings, name: str) -> None:
    named = settings.model_copy(update={"controller": settings.controller.model_copy(update={"name": name.strip()})})

    raw = notice_mail(named, "DSR-2026-7K3QXM-question", WORDS, particulars()).as_bytes()

    (address,) = message_from_bytes(raw, policy=policy.default)["From"].addresses
    assert (address.display_name, address.addr_spec) == (name.strip(), "answers@clinic.example")
    assert max(map(len, raw.split(b"\r\n"))) < 100


def test_no_text_and_no_file_can_hold_the_boundary(settings: Settings) -> None:
    words = Said("DSR-2026-7K3QXM", f"\n--{BOUNDARY}\n--{BOUNDARY}--\n" * 3)
    file = OwnFile("x.bin", "application/octet-stream", f"\r\n--{BOUNDARY}--\r\n".encode() * 9)

    message = arrived(notice_mail(settings, "DSR-2026-7K3QXM-question", words, particulars(), (file, file)))

    text, *files = message.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == words.text
    assert [one.get_payload(decode=True) for one in files] == [file.data] * 2


def test_the_message_id_is_stable(settings: Settings) -> None:
    first, second = (notice_mail(settings, "DSR-2026-7K3QXM-question", WORDS, particulars()) for _ in range(2))

    assert first["Message-ID"] == second["Message-ID"]


def test_every_line_survives_any_mail_server(settings: Settings) -> None:
    raw = notice_mail(settings, "DSR-2026-7K3QXM-question", WORDS, particulars()).as_bytes()

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) < 100
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_a_letter_that_came_by_post_is_answered_without_a_thread(settings: Settings) -> None:
    message = arrived(notice_mail(settings, "DSR-2026-7K3QXM-completion", WORDS, {"reply_to": "aino@example.fi"}))

    assert message["In-Reply-To"] is None
    assert message["Auto-Submitted"] == "auto-generated"


def test_long_threads_are_cut_and_false_ids_left_out(settings: Settings) -> None:
    many = [f"<{n}@x.example>" for n in range(100)] + ["no id", "<a@b>\r\nBcc: c@d.example", 7]

    message = arrived(notice_mail(settings, "DSR-2026-7K3QXM-question", WORDS, particulars(references=many)))

    ids = str(message["References"]).split()
    assert len(ids) == 20
    assert ids[-1] == "<2@example.fi>"
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("form", "kind", "name"),
    [
        ("openpgp", "application/octet-stream", "DSR-2026-7K3QXM.zip.gpg"),
        ("pdf", "application/pdf", "DSR-2026-7K3QXM.pdf"),
    ],
)
def test_a_package_goes_as_an_attachment(settings: Settings, form: str, kind: str, name: str) -> None:
    data = bytes(range(256)) * 10

    message = arrived(
        package_mail(settings, "DSR-2026-7K3QXM", "fi", form, data, particulars=particulars(), words=WORDS)
    )

    (attachment,) = message.iter_attachments()
    assert (attachment.get_content_type(), attachment.get_filename()) == (kind, name)
    assert attachment.get_payload(decode=True) == data
    assert message["Message-ID"] == "<DSR-2026-7K3QXM-package@clinic.example>"
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == WORDS.text


def test_pgp_mime_has_the_two_parts_of_rfc_3156() -> None:
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "a@b.example"

    read = arrived(pgp_mime(message, b"-----BEGIN PGP MESSAGE-----\n\nAA==\n-----END PGP MESSAGE-----\n"))

    assert read.get_content_type() == "multipart/encrypted"
    assert read.get_param("protocol") == "application/pgp-encrypted"
    version, sealed = read.iter_parts()
    assert version.get_content_type() == "application/pgp-encrypted"
    assert version.get_payload(decode=True) == b"Version: 1\r\n"
    assert str(sealed.get_payload()).startswith("-----BEGIN PGP MESSAGE-----")


@pytest.mark.parametrize("address", [None, "", 7])
def test_nobody_is_written_to_without_an_address(settings: Settings, address: object) -> None:
    with pytest.raises(RefusedError, match="no_address"):
        notice_mail(settings, "DSR-2026-7K3QXM-question", WORDS, particulars(reply_to=address))


@pytest.mark.parametrize("ref", ["", "a b", "a\r\nBcc: x", "<a>", "x" * 200])
def test_an_item_reference_stays_harmless(settings: Settings, ref: str) -> None:
    with pytest.raises(RefusedError, match="item_reference"):
        notice_mail(settings, ref, WORDS, particulars())


def test_other_forms_do_not_go_by_mail(settings: Settings) -> None:
    with pytest.raises(RefusedError, match="package_form"):
        package_mail(settings, "DSR-2026-7K3QXM", "fi", "paper", b"", particulars=particulars(), words=WORDS)


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: c@d.example", "not an address", "a@b@c", "a <b@c.example"])
def test_an_address_can_not_bring_headers_along(settings: Settings, address: str) -> None:
    with pytest.raises(RefusedError, match="no_address"):
        notice_mail(settings, "DSR-2026-7K3QXM-question", WORDS, particulars(reply_to=address))
