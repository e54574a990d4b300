"""Several mailboxes read as one, messages moved instead of removed, and messages that are too large."""

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from vault.errors import OutOfReachError, RefusedError
from vault.intake.imap import ImapMailbox
from vault.intake.mailbox import Mailboxes
from vault.intake.maildir import MaildirMailbox
from vault.intake.message import Mailbox
from vault.settings import read_secret
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import open_mailbox
from vault.testing.dovecot import MailServer, dovecot
from vault.testing.ports import free_port

WITHOUT_MOVE = "\nimap_capability = IMAP4rev1 LITERAL+ UIDPLUS UNSELECT\n"


@pytest.fixture(scope="module", params=["", WITHOUT_MOVE], ids=["move", "copy"])
def server(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    with dovecot(extra=request.param) as running:
        yield running


def client_of(server: MailServer, folder: str | None = "INBOX") -> IMAPClient:
    context = ssl.create_default_context(cafile=str(server.home / "ca.pem"))
    client = IMAPClient("127.0.0.1", server.port, ssl=True, ssl_context=context)
    client.login("inbox", read_secret(server.home / "password"))
    if folder:
        client.select_folder(folder)
    return client


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked for, item by item."""
    asked: list[str] = []
    fetch = IMAPClient.fetch

    def noted(client: IMAPClient, uids: list[int], items: list[str]) -> object:
        asked.extend(items)
        return fetch(client, uids, items)

    monkeypatch.setattr(IMAPClient, "fetch", noted)
    return asked


@pytest.fixture(autouse=True)
def only_an_inbox(server: MailServer) -> None:
    with client_of(server) as client:
        client.delete_messages(client.search("ALL"))
        client.expunge()
        for _, _, name in client.list_folders():
            if name != "INBOX":
                client.unsubscribe_folder(name)
                client.delete_folder(name)


def changed(server: MailServer, **changes: str | int) -> MailboxSettings:
    return MailboxSettings.model_validate(server.settings().model_dump() | changes)


def mail(number: int | str, size: int = 0) -> bytes:
    return f"From: a@b.example\r\nSubject: {number}\r\n\r\nbody {number}\r\n".encode() + b"x" * 70 * (size // 70)


def maildir(path: Path, *mails: bytes) -> Path:
    for name in ("tmp", "new", "cur"):
        (path / name).mkdir(parents=True)
    for number, data in enumerate(mails):
        (path / "new" / f"17{number}.M1P2.host").write_bytes(data)
    return path


def subjects(mailbox: Mailbox, limit: int = 100) -> list[str]:
    found = [re.search(rb"^Subject: (.+?)\r?$", message.data, re.MULTILINE) for message in mailbox.messages(limit)]
    return [match[1].decode() for match in found if match]


def folder_of(server: MailServer, name: str) -> list[bytes]:
    with client_of(server, name) as client:
        return [
            answer[b"BODY[TEXT]"].rstrip()
            for answer in client.fetch(client.search("ALL"), ["BODY.PEEK[TEXT]"]).values()
        ]


def test_several_are_read_in_turn_and_know_their_own(server: MailServer, tmp_path: Path) -> None:
    for number in range(3):
        server.deliver(mail(number))
    first, second = (maildir(tmp_path / name, mail(name)) for name in ("m", "n"))
    both = Mailboxes(
        [open_mailbox(changed(server)), MaildirMailbox(first, name="oulu"), MaildirMailbox(second, name="turku")]
    )

    messages = list(both.messages(4))

    assert [re.findall(rb"body (\w+)", message.data) for message in messages] == [[b"0"], [b"m"], [b"n"], [b"1"]]
    assert [message.mailbox for message in messages] == ["", "oulu", "turku", ""]
    assert [message.source.partition("|")[2] for message in messages][1:3] == [
        "oulu/170.M1P2.host",
        "turku/170.M1P2.host",
    ]
    for message in messages:
        both.remove(message.source)
    assert subjects(both) == ["2"]
    assert both.count() == 1


def test_one_folder_under_two_names_has_two_sources(server: MailServer) -> None:
    server.deliver(mail(1))
    plain, named = open_mailbox(changed(server)), open_mailbox(changed(server, name="second"))
    (one,), (other,) = plain.messages(9), named.messages(9)

    assert re.fullmatch(r"imap\|INBOX\|\d+\|\d+", one.source)
    assert re.fullmatch(r"imap\|second\|INBOX\|\d+\|\d+", other.source)
    for mailbox, source in ((plain, other.source), (named, one.source)):
        with pytest.raises(RefusedError, match="mailbox_source"):
            mailbox.remove(source)
    assert plain.count() == 1


def test_one_that_is_away_stops_no_other_and_is_named(server: MailServer, tmp_path: Path) -> None:
    for number in range(2):
        server.deliver(mail(number))
    gone = open_mailbox(changed(server, name="gone", port=free_port()))
    all_of_them = Mailboxes(
        [gone, MaildirMailbox(tmp_path / "absent", name="late"), open_mailbox(changed(server, name="there"))]
    )
    walk = all_of_them.messages(100)

    seen = [next(walk) for _ in range(2)]
    with pytest.raises(OutOfReachError, match=r"mailbox_away.*\[gone\]"):
        next(walk)

    assert [message.mailbox for message in seen] == ["there", "there"]


def test_many_are_numbered_some_at_a_time(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        server.deliver(mail(number))
    monkeypatch.setattr("vault.intake.imap._NUMBERS", 2)
    mailbox = open_mailbox(changed(server))

    for limit in range(8):
        assert subjects(mailbox, limit) == [str(number) for number in range(min(limit, 5))]


def test_a_source_of_nobody_is_refused(tmp_path: Path) -> None:
    both = Mailboxes([MaildirMailbox(maildir(tmp_path / name, mail(1)), name=name) for name in ("a", "b")])

    for take in (both.remove, both.set_aside):
        for source in ("maildir|c/170.M1P2.host", "maildir|170.M1P2.host", "imap|INBOX|1|1", ""):
            with pytest.raises(RefusedError, match="mailbox_source"):
                take(source)
    assert both.count() == 2


def test_a_taken_message_is_moved_alone(server: MailServer) -> None:
    for number in range(3):
        server.deliver(mail(number))
    with client_of(server) as client:
        client.add_flags(client.search("ALL")[:1], [b"\\Deleted"])  # somebody else's mark
    mailbox = open_mailbox(changed(server, after_taking="move", move_to="Taken"))
    messages = list(mailbox.messages(9))

    for _ in range(2):  # the second time it is gone already
        mailbox.remove(messages[1].source)

    assert subjects(mailbox) == ["0", "2"]
    assert folder_of(server, "Taken") == [b"body 1"]
    with client_of(server, "Taken") as client:
        assert b"\\Deleted" not in client.get_flags(client.search("ALL"))[1]


def test_a_folder_that_can_not_be_made_is_said_and_the_message_stays(server: MailServer) -> None:
    server.deliver(mail(1))
    mailbox = open_mailbox(changed(server, after_taking="move", move_to="a" * 190 + "/~../x"))
    (message,) = mailbox.messages(9)

    with pytest.raises(RefusedError, match="mailbox_move_failed"):
        mailbox.remove(message.source)

    assert mailbox.count() == 1


@pytest.mark.parametrize("size", [2_000, 300_000, 2_500_000])
def test_a_message_too_large_comes_with_its_header_alone_and_is_set_aside(
    server: MailServer, fetched: list[str], size: int
) -> None:
    server.deliver(mail("large", size))
    server.deliver(mail("small"))
    mailbox = ImapMailbox(changed(server), read_secret(server.home / "password"), largest=size - 1_000)

    large, small = mailbox.messages(9)

    assert (large.too_large, small.too_large) == (True, False)
    assert large.size > size - 100
    assert b"Subject: large" in large.data
    assert b"body" not in large.data
    assert all(int(asked) <= size for asked in re.findall(r"BODY\.PEEK\[\]<\d+\.(\d+)>", " ".join(fetched)))
    assert sum("BODY" in question for question in fetched) == 2
    mailbox.set_aside(large.source)
    assert subjects(mailbox) == ["small"]
    assert len(folder_of(server, "Aside")) == 1
    with client_of(server) as client:
        assert [name for _, _, name in client.list_sub_folders()] == ["Aside"]


def test_a_server_that_is_wrong_about_the_size_is_stopped_at_the_limit(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail("larger than told", 3_000_000))
    fetch = IMAPClient.fetch

    def understated(client: IMAPClient, uids: list[int], items: list[str]) -> object:
        found = fetch(client, uids, items)
        return {uid: {**answer, b"RFC822.SIZE": 1_000} for uid, answer in found.items()}

    monkeypatch.setattr(IMAPClient, "fetch", understated)
    (within,) = open_mailbox(changed(server)).messages(9)
    (beyond,) = open_mailbox(changed(server), largest=1_000_000).messages(9)

    assert within.data.rstrip().endswith(mail("larger than told", 3_000_000))
    assert (within.too_large, beyond.too_large, beyond.size) == (False, True, 1_000_001)
    assert b"body" not in beyond.data


@pytest.mark.parametrize("size", [262_144 - 100, 262_144, 1_310_720, 1_310_720 + 300, 3_000_000])
def test_pieces_are_joined_without_a_seam(server: MailServer, size: int) -> None:
    lines = b"".join(b"%08d %s\r\n" % (number, b"y" * 60) for number in range(size // 71))
    server.deliver(b"Subject: long\r\n\r\n" + lines)

    (message,) = open_mailbox(changed(server)).messages(9)

    assert message.data.endswith(b"Subject: long\r\n\r\n" + lines)
    assert message.size == len(message.data)


def test_a_message_that_vanishes_between_two_pieces_is_none(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail("long", 2_500_000))
    fetch, asked = IMAPClient.fetch, []

    def late(client: IMAPClient, uids: list[int], items: list[str]) -> object:
        asked.append(items)
        if len(asked) == 2:  # the first piece came
            with client_of(server) as other:
                other.delete_messages(other.search("ALL"))
                other.expunge()
        return fetch(client, uids, items)

    monkeypatch.setattr(IMAPClient, "fetch", late)

    assert list(open_mailbox(changed(server)).messages(9)) == []
    assert len(asked) >= 2


def test_a_line_that_breaks_between_two_pieces_is_joined_again(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail("long", 2_500_000))
    fetch, asked = IMAPClient.fetch, []

    def late(client: IMAPClient, uids: list[int], items: list[str]) -> object:
        asked.append(items)
        if len(asked) == 2:
            client.socket().shutdown(socket.SHUT_RDWR)
        return fetch(client, uids, items)

    monkeypatch.setattr(IMAPClient, "fetch", late)
    (message,) = open_mailbox(changed(server)).messages(9)

    assert message.data.rstrip().endswith(mail("long", 2_500_000))
    assert asked[1] == asked[2]


def test_a_folder_numbered_anew_ends_the_walk(server: MailServer) -> None:
    def fill() -> None:
        with client_of(server, None) as client:
            client.create_folder("Requests")
            for number in range(3):
                client.append("Requests", mail(number))

    fill()
    mailbox = open_mailbox(changed(server, folder="Requests"))
    assert isinstance(mailbox, ImapMailbox)
    walk = mailbox.messages(9)
    first = next(walk)
    with client_of(server, None) as client:
        client.delete_folder("Requests")
    fill()
    mailbox._line.drop()  # as when the connection broke meanwhile

    assert list(walk) == []  # message 2 of the new numbering is none that this walk has counted
    for take in (mailbox.remove, mailbox.set_aside):
        with pytest.raises(RefusedError, match="mailbox_renumbered"):
            take(first.source)
    again = list(mailbox.messages(9))
    assert len(again) == 3
    assert first.source not in {message.source for message in again}


def test_a_maildir_moves_sets_aside_and_leaves_large_bodies_unread(tmp_path: Path) -> None:
    path = maildir(tmp_path / "box", mail(0), mail("large", 3_000), mail(2))
    mailbox = MaildirMailbox(path, move_to="Taken", largest=2_000)
    first, large, _ = mailbox.messages(9)

    for _ in range(2):  # the second time both are gone already
        mailbox.remove(first.source)
        mailbox.set_aside(large.source)

    assert (large.too_large, large.size > 2_000) == (True, True)
    assert large.data == b"From: a@b.example\r\nSubject: large\r\n\r\n"
    assert subjects(mailbox) == ["2"]
    assert (path / ".Taken" / "cur" / "170.M1P2.host:2,").read_bytes() == mail(0)
    assert (path / ".Aside" / "cur" / "171.M1P2.host:2,").read_bytes() == mail("large", 3_000)
    assert subjects(MaildirMailbox(path / ".Taken")) == ["0"]
