"""What a mail is answered with, on a real installation: once, threaded, sealed to a known key, never to a machine."""

import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from vault.delivery.smtp import Courier, Sending
from vault.domain.case import Case, Event
from vault.intake.mailbox import MaildirMailbox
from vault.office import open_office
from vault.settings import Settings, SmtpSettings
from vault.settings_mailbox import MailboxSettings
from vault.steps.acknowledging import acknowledge
from vault.steps.notices import resend
from vault.steps.queue import board
from vault.steps.receive import Taken
from vault.steps.receive_mail import receive_mail
from vault.storage import outgoing
from vault.storage.cases import append, events, get_case
from vault.storage.outgoing import Outgoing, outgoing_of
from vault.testing.controller import ADDRESS, export_public
from vault.testing.installation import Installation, installed
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mails import Letter, pgp_mime_mail, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.mailworld import short_directory
from vault.testing.ports import free_port

CANARY = "kvzqwxjäöpfgh"
TEXT = request_text("sv", "Aino Virtanen", None) + f"\n{CANARY}\n"


@dataclass(frozen=True)
class Clinic:
    """A running installation, and a requester's key."""

    installation: Installation
    aino: PgpHome
    folder: Path

    @property
    def settings(self) -> Settings:
        return self.installation.settings()

    def take(self, *mails: bytes, settings: Settings | None = None, name: str = "") -> list[Case]:
        """Let mails arrive in a mailbox of this name; return their cases."""
        box = self.folder / secrets.token_hex(4)
        for folder in ("tmp", "new", "cur"):
            (box / folder).mkdir(parents=True)
        for at, raw in enumerate(mails):
            (box / "new" / f"{at:03d}.{secrets.token_hex(4)}").write_bytes(raw)
        with open_office("intake", settings or self.settings) as parts:
            refs = receive_mail(parts, MaildirMailbox(box, name=name))
            with parts.database.connect() as connection:
                return [get_case(connection, ref) for ref in refs]

    def items(self, ref: str) -> list[Outgoing]:
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            return outgoing_of(connection, ref)

    def states(self, ref: str) -> dict[str, str]:
        return {item.kind: item.state for item in self.items(ref)}

    def sent(self, ref: str) -> list[EmailMessage]:
        """Return what went out about a case, without the lines that the server put in front."""
        heads = [raw.split(b"\r\n", 2)[2] for raw in self.installation.sink().messages()]
        read = [message_from_bytes(raw, policy=policy.default) for raw in heads]
        return [message for message in read if str(message["Message-ID"]).startswith(f"<{ref}-")]

    def details(self, ref: str, event: Event) -> list[dict[str, str]]:
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            return [found.detail for found in events(connection, ref) if found.event is event]

    def at(self, ref: str) -> Case:
        with self.installation.office("operator") as parts:
            return next(row.case for row in board(parts) if row.case.ref == ref)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with installed() as installation, short_directory() as base:
        aino = make_pgp_home(base / "a", "Aino", "aino@example.fi")
        try:
            yield Clinic(installation, aino, tmp_path_factory.mktemp("boxes"))
        finally:
            aino.close()


def letter(email: str | None = None, text: str = TEXT, **more: object) -> Letter:
    sender = email or f"{secrets.token_hex(4)}@example.fi"
    return Letter("Aino", sender, ADDRESS, text, "sv", f"Begäran {CANARY}", **more)  # type: ignore[arg-type]


def written(raw: bytes, **headers: str) -> bytes:
    """Put headers in front of a mail."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return lines.encode() + raw


def test_an_acknowledgement_goes_out_within_the_run_in_her_language_and_her_thread(clinic: Clinic) -> None:
    mine = letter(answers="<0@example.fi>", message_id="<1@example.fi>")
    (case,) = clinic.take(plain_mail(mine))
    (sent,) = clinic.sent(case.ref)
    assert sent["To"] == mine.email
    assert (sent["In-Reply-To"], sent["References"]) == ("<1@example.fi>", "<0@example.fi> <1@example.fi>")
    assert sent["Auto-Submitted"] == "auto-replied"
    assert sent["Message-ID"] == f"<{case.ref}-acknowledgement@{ADDRESS.partition('@')[2]}>"
    assert "Vi har tagit emot ditt meddelande" in sent.get_content()
    assert CANARY not in sent.as_string()
    assert clinic.states(case.ref) == {"acknowledgement": outgoing.SENT}


@pytest.mark.parametrize("how", ["attached", "autocrypt", "signature"])
def test_whose_key_is_known_gets_a_sealed_answer(clinic: Clinic, how: str) -> None:
    mine = letter("aino@example.fi", attach_key=how != "autocrypt")
    ours = export_public(clinic.settings.openpgp)
    clinic.aino.learn(ours)
    raw = plain_mail(mine)
    if how == "autocrypt":
        import base64  # noqa: PLC0415

        key = base64.b64encode(clinic.aino.gpg("--export")).decode()
        raw = written(raw, Autocrypt=f"addr=aino@example.fi; keydata={key}")
    else:
        raw = pgp_mime_mail(mine, clinic.aino, ours, sign=how == "signature")
    (case,) = clinic.take(raw)
    (sent,) = clinic.sent(case.ref)
    _, sealed = sent.iter_parts()
    inner = message_from_bytes(clinic.aino.gpg("--decrypt", data=sealed.get_content()), policy=policy.default)
    assert sent["Subject"] == "[...]"
    assert case.ref in str(inner["Subject"])
    assert case.ref in inner.get_content()
    assert CANARY not in inner.as_string() + sent.as_string()


def test_the_answer_is_the_same_for_everybody(clinic: Clinic) -> None:
    stranger, patient = "Jag begär mina uppgifter.", request_text("sv", "Aino Virtanen", "131052-308T")
    cases = clinic.take(*(plain_mail(letter(text=text)) for text in (stranger, patient)))
    answers = [clinic.sent(case.ref)[0] for case in cases]
    told = [
        re.sub(r"DSR-\d{4}-\w{6}|[0-9a-f]{8,24}@example.fi|Date: .*", "*", answer.as_string()) for answer in answers
    ]
    assert told[0] == told[1]
    assert len(answers[0].as_bytes()) == len(answers[1].as_bytes())


def test_who_could_not_be_read_gets_our_key_and_certificate_and_the_ways_to_us(clinic: Clinic) -> None:
    controller = clinic.settings.controller.model_copy(update={"portal": "https://portal.clinic.example/ask"})
    settings = clinic.settings.model_copy(update={"controller": controller})
    mine = letter()
    (case,) = clinic.take(pgp_mime_mail(mine, clinic.aino, clinic.aino.public_key()), settings=settings)
    (sent,) = clinic.sent(case.ref)
    body = sent.get_body(("plain",))
    assert body is not None
    text = " ".join(body.get_content().split())
    key, certificate = sent.iter_attachments()
    assert case.exception == "mail_undecryptable"
    assert (key.get_content_type(), certificate.get_content_type()) == ("application/pgp-keys", "application/pkix-cert")
    assert clinic.settings.openpgp.fingerprint.encode() in clinic.aino.gpg(
        "--with-colons", "--show-keys", data=key.get_content()
    )
    assert "https://portal.clinic.example/ask" in text
    assert ", ".join(controller.address) in text
    assert CANARY not in sent.as_string()


NOBODY = {
    "list": {"List_Id": "<x.example.fi>"},
    "bulk": {"Precedence": "bulk"},
    "automatic": {"Auto_Submitted": "auto-generated"},
    "bounce": {"Return_Path": "<>"},
    "list without a name": {"List_Help": "<mailto:help@example.fi>"},
    "old robot": {"X_Autoreply": "yes"},
}


@pytest.mark.parametrize("name", NOBODY)
def test_a_machine_is_never_answered(clinic: Clinic, name: str) -> None:
    (case,) = clinic.take(written(plain_mail(letter()), **NOBODY[name]))
    assert case.exception == "automatic_message"
    assert clinic.states(case.ref) == {}


@pytest.mark.parametrize(
    "sender",
    [ADDRESS, ADDRESS.upper(), "owner-news@example.fi", "news-request@example.fi", "noreply+1@example.fi"],
)
def test_neither_we_nor_a_robots_address_is_answered(clinic: Clinic, sender: str) -> None:
    (case,) = clinic.take(plain_mail(letter(sender)))
    assert clinic.states(case.ref) == {}


def test_after_some_answers_a_day_an_address_gets_no_more(clinic: Clinic) -> None:
    few = clinic.settings.replies.model_copy(update={"a_day": 2})
    settings = clinic.settings.model_copy(update={"replies": few})
    same = "loop@example.fi"
    cases = clinic.take(*(plain_mail(letter(same)) for _ in range(3)), settings=settings)
    cases += clinic.take(plain_mail(letter(same.upper())), plain_mail(letter()), settings=settings)
    assert [list(clinic.states(case.ref).values()) for case in cases] == [
        *[[outgoing.SENT]] * 2,
        *[[outgoing.WITHHELD]] * 2,
        [outgoing.SENT],
    ]
    assert [len(clinic.sent(case.ref)) for case in cases] == [1, 1, 0, 0, 1]
    assert {case.exception for case in cases} == {None}  # the request goes its way


def dsn(item: str, action: str, status: str) -> bytes:
    """Write a delivery report (RFC 3464) about one of our mails."""
    parts = [
        f"Content-Type: message/delivery-status\r\n\r\n\r\nAction: {action}\r\nStatus: {status}",
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{item}@clinic.example>",
    ]
    head = (
        f"From: mailer-daemon@mx.example\r\nMessage-ID: <{secrets.token_hex(6)}@mx.example>\r\nReturn-Path: <>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    )
    return (head + "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n").encode()


@pytest.fixture
def answered(clinic: Clinic) -> Case:
    return clinic.take(plain_mail(letter()))[0]


def test_a_bounce_is_shown_on_its_case_and_not_answered(clinic: Clinic, answered: Case) -> None:
    item = f"{answered.ref}-acknowledgement"
    assert [case.ref for case in clinic.take(dsn(item, "failed", "5.1.1"))] == [answered.ref]
    assert clinic.at(answered.ref).exception == "mail_bounced"
    assert clinic.states(answered.ref) == {"acknowledgement": outgoing.BOUNCED}
    (detail,) = clinic.details(answered.ref, Event.EXCEPTION_RAISED)
    assert (detail["notice"], detail["status"]) == (item, "5.1.1")


@pytest.mark.parametrize(("action", "kind"), [("delayed", "delayed"), ("delivered", "delivered")])
def test_mail_that_waits_or_arrived_is_noted_and_stops_nothing(
    clinic: Clinic, answered: Case, action: str, kind: str
) -> None:
    clinic.take(dsn(f"{answered.ref}-acknowledgement", action, "4.4.1"))
    assert clinic.at(answered.ref).exception is None
    assert clinic.states(answered.ref) == {"acknowledgement": outgoing.SENT}
    assert [detail["automatic"] for detail in clinic.details(answered.ref, Event.REPLY_ARRIVED)] == [kind]


def test_a_vacation_notice_is_noted_and_stops_nothing(clinic: Clinic, answered: Case) -> None:
    away = letter("aino@example.fi", "Olen lomalla.", answers=f"<{answered.ref}-acknowledgement@clinic.example>")
    (case,) = clinic.take(written(plain_mail(away), Auto_Submitted="auto-replied"))
    assert (case.ref, case.exception) == (answered.ref, None)
    assert [detail["automatic"] for detail in clinic.details(case.ref, Event.REPLY_ARRIVED)] == ["automatic"]
    assert len(clinic.sent(case.ref)) == 1


def test_our_own_mail_that_comes_round_is_noted_on_its_case(clinic: Clinic, answered: Case) -> None:
    (ours,) = clinic.sent(answered.ref)
    (case,) = clinic.take(ours.as_bytes())
    assert (case.ref, case.exception) == (answered.ref, None)
    assert clinic.states(case.ref) == {"acknowledgement": outgoing.SENT}


def test_a_bounce_about_a_closed_case_opens_one_that_names_it(clinic: Clinic, answered: Case) -> None:
    with clinic.installation.owner() as connection:
        append(connection, answered, Event.FOUND_NO_REQUEST, actor="staff:1", at=answered.received_at)
    (case,) = clinic.take(dsn(f"{answered.ref}-acknowledgement", "failed", "5.2.2"))
    assert case.ref != answered.ref
    assert case.exception == "mail_bounced"
    assert clinic.details(case.ref, Event.EXCEPTION_RAISED)[-1]["case"] == answered.ref
    assert clinic.states(answered.ref) == {"acknowledgement": outgoing.BOUNCED}
    assert clinic.states(case.ref) == {}


def test_somebody_elses_bounce_is_a_case_for_a_person(clinic: Clinic) -> None:
    (case,) = clinic.take(dsn("DSR-2026-000000-question", "failed", "5.1.1"))
    assert case.exception == "automatic_message"


def test_an_answer_finds_its_case_by_what_it_answers(clinic: Clinic, answered: Case) -> None:
    answer = letter("aino@example.fi", "Ja.", answers=f"<{answered.ref}-acknowledgement@clinic.example>")
    assert [case.ref for case in clinic.take(plain_mail(answer))] == [answered.ref]
    assert len(clinic.details(answered.ref, Event.REPLY_ARRIVED)) == 1


def test_what_can_not_be_opened_is_a_case_of_its_own_even_as_an_answer(clinic: Clinic, answered: Case) -> None:
    answer = letter(answers=f"<{answered.ref}-acknowledgement@clinic.example>")
    (case,) = clinic.take(pgp_mime_mail(answer, clinic.aino, clinic.aino.public_key()))
    assert case.ref != answered.ref
    assert clinic.states(case.ref) == {"could_not_open": outgoing.SENT}


def test_while_the_mail_server_is_away_the_answer_waits_and_is_sealed_all_the_same(clinic: Clinic) -> None:
    away = clinic.settings.smtp.model_copy(update={"port": free_port()})
    raw = pgp_mime_mail(letter("aino@example.fi", attach_key=True), clinic.aino, export_public(clinic.settings.openpgp))
    (case,) = clinic.take(raw, settings=clinic.settings.model_copy(update={"smtp": away}))
    assert clinic.states(case.ref) == {"acknowledgement": outgoing.INTENDED}
    with clinic.installation.office("collector") as parts:
        resend(parts)
        resend(parts)
    (sent,) = clinic.sent(case.ref)
    assert sent.get_content_type() == "multipart/encrypted"


def test_the_answer_names_the_mailbox_that_was_written_to_now_and_later(clinic: Clinic) -> None:
    north = MailboxSettings(kind="maildir", name="north", path=clinic.folder, address="north@clinic.example")
    smtp = clinic.settings.smtp
    several = clinic.settings.model_copy(update={"mailboxes": [north]})
    away = several.model_copy(update={"smtp": smtp.model_copy(update={"port": free_port()})})
    (now,) = clinic.take(plain_mail(letter()), settings=several, name="north")
    (later,) = clinic.take(plain_mail(letter()), settings=away, name="north")
    (first,) = clinic.take(plain_mail(letter()), settings=several)
    with open_office("collector", several) as parts:
        resend(parts)
    ours = clinic.settings.mailbox.address
    named = [str(clinic.sent(case.ref)[0]["Reply-To"] or smtp.sender) for case in (now, later, first)]
    assert named == ["north@clinic.example", "north@clinic.example", ours]


class Slow(Courier):
    """A courier that hands a message over when it is told to."""

    def __init__(self, settings: SmtpSettings) -> None:
        super().__init__(settings)
        self.has_it, self.may_go = threading.Event(), threading.Event()

    def send(self, message: EmailMessage) -> Sending:
        self.has_it.set()
        assert self.may_go.wait(60)
        return super().send(message)


def test_an_answer_that_is_being_sent_is_nobody_elses(clinic: Clinic) -> None:
    away = clinic.settings.model_copy(update={"smtp": clinic.settings.smtp.model_copy(update={"port": free_port()})})
    with clinic.installation.office("collector") as other:
        resend(other)  # what others left waiting
    (case,) = clinic.take(plain_mail(letter()), settings=away)
    (item,) = clinic.items(case.ref)
    with clinic.installation.office("intake") as parts, Slow(parts.settings.smtp) as slow:
        taken = Taken(case, "0" * 16, "request", fresh=True, answer=item)
        particulars = {"reply_to": "aino@example.fi"}
        sending = threading.Thread(target=acknowledge, args=(parts, [(taken, particulars)], slow))
        sending.start()
        assert slow.has_it.wait(60)
        with clinic.installation.office("collector") as other:
            assert resend(other) == 0
        assert clinic.states(case.ref) == {"acknowledgement": outgoing.SENDING}
        slow.may_go.set()
        sending.join(60)
    assert clinic.states(case.ref) == {"acknowledgement": outgoing.SENT}
    assert (len(clinic.sent(case.ref)), clinic.at(case.ref).exception) == (1, None)
    with clinic.installation.owner() as connection:
        held = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    assert held == (0,)


def test_a_secret_of_ours_that_is_missing_leaves_the_answer_waiting(clinic: Clinic) -> None:
    smtp = clinic.settings.smtp.model_copy(update={"password_file": clinic.folder / "nothing"})
    settings = clinic.settings.model_copy(update={"smtp": smtp})
    known = {row.ref for row in cases(clinic)}
    with pytest.raises(Exception, match="secret_missing"):
        clinic.take(plain_mail(letter()), settings=settings)
    (case,) = [case for case in cases(clinic) if case.ref not in known]
    assert (case.exception, clinic.states(case.ref)) == (None, {"acknowledgement": outgoing.INTENDED})


def cases(clinic: Clinic) -> list[Case]:
    with clinic.installation.office("operator") as parts:
        return [row.case for row in board(parts)]
