"""Sending: a real TLS server takes the mail; a scripted one shows each way in which it may not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from vault.delivery.smtp import Courier, send
from vault.errors import WrongUseError
from vault.settings import SmtpSettings
from vault.testing.ports import free_port
from vault.testing.smtp_sink import SmtpSink, smtp_sink

CLOSE = "close"


@pytest.fixture(scope="module")
def sink() -> Iterator[SmtpSink]:
    with smtp_sink() as running:
        yield running


def message(text: str = "hei\n") -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = "answers@clinic.example", "aino@example.fi", "DSR-2026-7K3QXM"
    made.set_content(text)
    return made


def test_a_message_is_sent_over_tls_unchanged(sink: SmtpSink) -> None:
    text = "hei\n.\n..\nloppu\n"

    outcome = send(message(text), sink.settings())

    raw = sink.messages()[-1]
    assert outcome == "sent"
    assert raw.startswith(b"Return-Path: <requests@clinic.example>\r\nDelivered-To: aino@example.fi\r\n")
    assert raw.endswith(text.replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"ca_file": None},  # nobody vouches for the server
        {"security": "tls"},  # it speaks in the clear first
        {"user": "somebody"},
        {"port": 1},
    ],
)
def test_a_server_that_does_not_let_us_in_gets_nothing(sink: SmtpSink, changes: dict[str, object]) -> None:
    before = len(sink.messages())

    assert send(message(), sink.settings().model_copy(update=changes)) == "later"
    assert len(sink.messages()) == before


def test_a_password_never_goes_over_an_open_line(sink: SmtpSink) -> None:
    with pytest.raises(WrongUseError, match="smtp_open_line"):
        send(message(), sink.settings().model_copy(update={"security": "none"}))


def test_a_missing_secret_or_authority_is_our_own_fault(sink: SmtpSink) -> None:
    for name, code in (("password_file", "secret_missing"), ("ca_file", "smtp_ca")):
        with pytest.raises(WrongUseError, match=code):
            send(message(), sink.settings().model_copy(update={name: sink.home / "absent"}))


@contextmanager
def scripted(answers: dict[str, str], lines: int = 1) -> Iterator[tuple[SmtpSettings, list[str]]]:
    """Run a server that says what a table tells it, on so many lines in turn; CLOSE hangs up instead."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, answers, heard, lines), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        yield SmtpSettings(host="127.0.0.1", port=port, sender="answers@clinic.example", security="none"), heard
        thread.join(10)


def _serve(server: socket.socket, answers: dict[str, str], heard: list[str], lines: int) -> None:
    for _ in range(lines):
        _talk(server, answers, heard)


def _talk(server: socket.socket, answers: dict[str, str], heard: list[str]) -> None:
    line, _ = server.accept()
    with line, line.makefile("rwb") as stream:
        said: list[str] = []

        def say(verb: str, usual: str) -> bool:
            said.append(verb)
            usual = answers.get(verb, usual)
            answer = answers.get(f"second {verb}", usual) if said.count(verb) > 1 else usual
            if answer != CLOSE:
                stream.write(answer.encode() + b"\r\n")
                stream.flush()
            return answer != CLOSE

        if not say("greeting", "220 hello"):
            return
        for raw in iter(stream.readline, b""):
            verb = raw[:4].decode().strip().lower()
            heard.append(verb)
            if not say(verb, "354 go on" if verb == "data" else "250 ok"):
                return
            if verb == "data" and answers.get(verb, "354").startswith("354") and not _take(stream.readline, say):
                return


def _take(read: Callable[[], bytes], say: Callable[[str, str], bool]) -> bool:
    while read() not in {b".\r\n", b""}:
        pass
    return say("end", "250 taken")


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({}, "sent"),
        ({"quit": CLOSE}, "sent"),
        ({"quit": "421 bye"}, "sent"),
        ({"rcpt": "251 will forward"}, "sent"),
        ({"greeting": "554 no"}, "later"),
        ({"greeting": CLOSE}, "later"),
        ({"ehlo": CLOSE}, "later"),
        ({"mail": "451 later"}, "later"),
        ({"mail": "550 no"}, "refused"),
        ({"mail": CLOSE}, "later"),
        ({"rcpt": "450 greylisted"}, "later"),
        ({"rcpt": "550 no such user"}, "refused"),
        ({"rcpt": CLOSE}, "later"),
        ({"data": "451 later"}, "later"),
        ({"data": "554 no"}, "refused"),
        ({"end": "451 later"}, "later"),
        ({"end": "554 spam"}, "refused"),
        ({"end": CLOSE}, "unclear"),
    ],
)
def test_what_the_server_says_decides(answers: dict[str, str], outcome: str) -> None:
    with scripted(answers) as (settings, heard):
        assert send(message(), settings) == outcome
    if outcome != "later" and "rcpt" not in answers and "mail" not in answers:
        assert "data" in heard


def test_nobody_listening_means_later() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=free_port(), sender="a@b.example", security="none")

    assert send(message(), settings) == "later"


def test_a_courier_keeps_its_line(sink: SmtpSink) -> None:
    before = len(sink.messages())
    with Courier(sink.settings()) as courier:
        assert [courier.send(message(f"{number}\n")) for number in range(3)] == ["sent"] * 3
    assert [raw.rpartition(b"\r\n\r\n")[2] for raw in sink.messages()[before:]] == [b"0\r\n", b"1\r\n", b"2\r\n"]


def test_after_a_taken_message_the_server_is_asked_nothing_before_the_next() -> None:
    with scripted({}) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["sent"] * 2
    assert heard == ["ehlo", *["mail", "rcpt", "data"] * 2, "quit"]


def test_one_line_carries_several_messages_and_a_refused_one_stops_none() -> None:
    with scripted({"data": "554 no"}) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["refused"] * 2
    assert heard == ["ehlo", "mail", "rcpt", "data", "rset", "mail", "rcpt", "data", "quit"]


@pytest.mark.parametrize("verb", ["mail", "rcpt"])
@pytest.mark.parametrize("answer", [CLOSE, "421 too many"])
def test_a_line_that_was_closed_meanwhile_is_made_anew(verb: str, answer: str) -> None:
    with scripted({f"second {verb}": answer}, lines=2) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["sent"] * 2
    assert (heard.count("ehlo"), heard.count("data")) == (2, 2)


@pytest.mark.parametrize("answer", [CLOSE, "421 too many"])
def test_a_line_on_which_nothing_was_sent_is_made_anew_where_the_server_is_gone(answer: str) -> None:
    with scripted({"data": "554 no", "rset": answer}, lines=2) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["refused"] * 2
    assert heard.count("ehlo") == 2


def test_a_message_that_was_given_over_is_not_given_to_a_second_line() -> None:
    with scripted({"second end": CLOSE}, lines=2) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(3)] == ["sent", "unclear", "sent"]
    assert (heard.count("ehlo"), heard.count("data")) == (2, 3)


def test_a_server_that_closes_before_every_message_is_tried_once_for_each() -> None:
    with scripted({"mail": CLOSE}, lines=2) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["later"] * 2
    assert heard.count("mail") == 2


def test_after_an_unclear_end_the_line_is_not_used_again() -> None:
    with scripted({"end": CLOSE}, lines=2) as (settings, heard), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(2)] == ["unclear"] * 2
    assert (heard.count("ehlo"), heard.count("rset")) == (2, 0)


def test_a_server_that_is_away_is_asked_once() -> None:
    with scripted({"greeting": CLOSE}) as (settings, _), Courier(settings) as courier:
        assert [courier.send(message()) for _ in range(5)] == ["later"] * 5
