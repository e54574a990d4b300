"""The mailbox: a real Dovecot over TLS, and a Maildir; each message is removed alone and only by its name."""

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from imapclient import IMAPClient

from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.intake.mailbox import ImapMailbox, Mailbox, MaildirMailbox
from vault.testing.dovecot import MailServer, dovecot
from vault.testing.ports import free_port

MAILS = [f"From: a@b.example\r\nSubject: {n}\r\n\r\nbody {n}\r\n".encode() for n in range(5)]


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with dovecot() as running:
        yield running


@pytest.fixture
def imap(server: MailServer) -> ImapMailbox:
    mailbox = ImapMailbox(server.settings(), (server.home / "password").read_text())
    for message in list(mailbox.messages(1000)):
        mailbox.remove(message.source)
    mailbox.close()
    return mailbox


def other_client(server: MailServer) -> IMAPClient:
    context = ssl.create_default_context(cafile=str(server.home / "ca.pem"))
    client = IMAPClient("127.0.0.1", server.port, ssl=True, ssl_context=context)
    client.login("inbox", (server.home / "password").read_text())
    client.select_folder("INBOX")
    return client


def bodies(mailbox: Mailbox, limit: int = 100) -> list[bytes]:
    return [message.data.partition(b"\r\n\r\n")[2] for message in mailbox.messages(limit)]


def test_messages_are_handed_out_unchanged_and_oldest_first(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS:
        server.deliver(mail)

    messages = list(imap.messages(3))

    assert [m.data.endswith(mail) for m, mail in zip(messages, MAILS, strict=False)] == [True] * 3
    assert all(abs(m.received_at - datetime.now(UTC)) < timedelta(minutes=5) for m in messages)
    assert all(m.source.startswith("imap|INBOX|") for m in messages)
    assert imap.count() == 5
    assert bodies(imap) == [mail.partition(b"\r\n\r\n")[2] for mail in MAILS]  # nothing was marked as read or moved


def test_a_source_names_a_message_for_good(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS[:2]:
        server.deliver(mail)
    first, second = imap.messages(10)

    imap.remove(first.source)

    assert [m.source for m in imap.messages(10)] == [second.source]
    imap.remove(first.source)  # gone already: no error
    assert imap.count() == 1


def test_only_the_named_message_is_expunged(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS[:3]:
        server.deliver(mail)
    with other_client(server) as client:
        client.add_flags(client.search("ALL")[:1], [b"\\Deleted"])  # somebody else's mark
    messages = list(imap.messages(10))

    imap.remove(messages[1].source)

    assert bodies(imap) == [b"body 0\r\n", b"body 2\r\n"]


def test_removing_while_reading_is_how_the_door_is_emptied(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS:
        server.deliver(mail)

    seen = []
    for message in imap.messages(10):
        imap.remove(message.source)
        seen.append(message.data)

    assert len(seen) == 5
    assert imap.count() == 0


def test_a_message_that_vanishes_meanwhile_is_passed_over(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS[:3]:
        server.deliver(mail)
    walk = imap.messages(10)
    next(walk)

    with other_client(server) as client:
        uid = client.search("ALL")[1]
        client.delete_messages([uid])
        client.uid_expunge([uid])

    assert [m.data.partition(b"\r\n\r\n")[2] for m in walk] == [b"body 2\r\n"]


def test_a_broken_line_is_mended(server: MailServer, imap: ImapMailbox) -> None:
    for mail in MAILS[:2]:
        server.deliver(mail)
    walk = imap.messages(10)
    first = next(walk)

    imap._line._client.socket().shutdown(2)  # as when the server restarts

    assert len(list(walk)) == 1
    imap.remove(first.source)
    assert imap.count() == 1


def test_a_source_of_another_numbering_removes_nothing(server: MailServer, imap: ImapMailbox) -> None:
    server.deliver(MAILS[0])
    (message,) = imap.messages(10)
    kind, folder, validity, uid = message.source.split("|")

    for source, code in (
        (f"{kind}|{folder}|{int(validity) + 1}|{uid}", "mailbox_renumbered"),
        (f"{kind}|Other|{validity}|{uid}", "mailbox_source"),
        ("maildir|x", "mailbox_source"),
        ("imap|INBOX|1:*|1:*", "mailbox_source"),
        ("", "mailbox_source"),
    ):
        with pytest.raises(RefusedError, match=code):
            imap.remove(source)
    assert imap.count() == 1


def test_a_mailbox_that_is_away_says_what_to_do(server: MailServer, tmp_path: Path) -> None:
    settings = server.settings()
    password = (server.home / "password").read_text()
    other = tmp_path / "ca.pem"
    other.write_text("no certificate")
    cases = [
        (settings.model_copy(update={"port": free_port()}), password, OutOfReachError, "mailbox_away"),
        (settings, "wrong password", OutOfReachError, "mailbox_login"),
        (settings.model_copy(update={"ca_file": None}), password, OutOfReachError, "mailbox_certificate"),
        (settings.model_copy(update={"ca_file": other}), password, WrongUseError, "mailbox_ca"),
        (settings.model_copy(update={"folder": "Absent"}), password, OutOfReachError, "mailbox_folder_away"),
    ]
    for changed, secret, kind, code in cases:
        with pytest.raises(kind, match=code) as caught:
            ImapMailbox(changed, secret).count()
        assert secret not in str(caught.value)
    with pytest.raises(WrongUseError, match="mailbox_folder"):
        ImapMailbox(settings.model_copy(update={"folder": "a|b"}), password)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    for number, mail in enumerate(MAILS):
        folder = "cur" if number == 1 else "new"
        path = tmp_path / folder / f"17{number}.M1P2.host{':2,S' if number == 1 else ''}"
        path.write_bytes(mail)
        os.utime(path, (1_790_000_000 + number, 1_790_000_000 + number))
    (tmp_path / "tmp" / "17.half").write_bytes(b"not yet")
    (tmp_path / "new" / ".hidden").write_bytes(b"no mail")
    (tmp_path / "new" / "179.link").symlink_to("/etc/passwd")
    return tmp_path


def test_a_maildir_is_read_oldest_first_whatever_its_flags(maildir: Path) -> None:
    mailbox = MaildirMailbox(maildir)

    messages = list(mailbox.messages(3))

    assert [m.data for m in messages] == MAILS[:3]
    assert [m.source for m in messages] == [f"maildir|17{n}.M1P2.host" for n in range(3)]
    assert messages[0].received_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert mailbox.count() == 5


def test_a_maildir_loses_one_file_at_a_time_even_when_a_mail_program_moved_it(maildir: Path) -> None:
    mailbox = MaildirMailbox(maildir)
    messages = list(mailbox.messages(10))
    (maildir / "new" / "170.M1P2.host").rename(maildir / "cur" / "170.M1P2.host:2,RS")

    mailbox.remove(messages[0].source)
    mailbox.remove(messages[0].source)  # gone already: no error
    mailbox.remove(messages[1].source)

    assert [m.data for m in mailbox.messages(10)] == MAILS[2:]
    assert (maildir / "tmp" / "17.half").exists()


@pytest.mark.parametrize(
    "source", ["imap|INBOX|1|1", "maildir|", "", "maildir", "maildir|../../etc/passwd", "maildir|other/170.M1P2.host"]
)
def test_a_maildir_takes_its_own_sources_only(maildir: Path, source: str) -> None:
    with pytest.raises(RefusedError, match="mailbox_source"):
        MaildirMailbox(maildir).remove(source)
    assert MaildirMailbox(maildir).count() == 5


def test_a_missing_maildir_is_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(OutOfReachError, match="mailbox_away"):
        MaildirMailbox(tmp_path / "absent").count()
