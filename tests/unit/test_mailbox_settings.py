"""Settings of mailboxes: one way in, folders that differ, and names that keep several apart."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vault.errors import WrongUseError
from vault.settings_mailbox import MailboxSettings, all_different

IMAP = {"kind": "imap", "host": "mail.example", "user": "inbox", "address": "a@clinic.example"}
TOKENS = {"auth": "xoauth2", "token_url": "https://login.example/token", "client_id": "vault"}
SECRET = {"client_secret_file": "secret"}


def imap(**changes: Any) -> MailboxSettings:
    return MailboxSettings(**(IMAP | changes))


def maildir(path: str, **changes: Any) -> MailboxSettings:
    return MailboxSettings(kind="maildir", path=Path(path), address="a@clinic.example", **changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "vault"}, "mailbox_mixed"),
        ({"refresh_token_file": "token"}, "mailbox_mixed"),
        (TOKENS, "mailbox_incomplete"),
        (TOKENS | SECRET | {"client_id": ""}, "mailbox_incomplete"),
        (TOKENS | SECRET | {"user": ""}, "mailbox_incomplete"),
        (TOKENS | SECRET | {"password_file": "password"}, "mailbox_mixed"),
        (TOKENS | SECRET | {"kind": "maildir"}, "mailbox_mixed"),
        (TOKENS | SECRET | {"token_url": "http://login.example/token"}, "mailbox_plain"),
        ({"after_taking": "move"}, "mailbox_move"),
        ({"move_to": "Taken"}, "mailbox_move"),
        ({"after_taking": "move", "move_to": "inbox"}, "mailbox_move"),
        ({"after_taking": "move", "move_to": "Aside"}, "mailbox_move"),
        ({"aside": "Inbox"}, "mailbox_move"),
        ({"kind": "maildir", "aside": "../x"}, "mailbox_move"),
        ({"kind": "maildir", "after_taking": "move", "move_to": "a.b"}, "mailbox_move"),
    ],
)
def test_a_mailbox_that_contradicts_itself_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        imap(**changes)

    assert caught.value.code == code


@pytest.mark.parametrize("changes", [{"name": "Oulu|1"}, {"name": "a/b"}, {"aside": ""}, {"aside": "a\r\nb"}])
def test_a_name_that_would_blur_a_source_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        imap(**changes)


def test_tokens_and_moves_are_taken_where_they_are_whole() -> None:
    assert imap(**TOKENS, **SECRET).auth == "xoauth2"
    assert imap(**TOKENS, refresh_token_file="token").client_secret_file is None
    assert imap(after_taking="move", move_to="Taken/2026").move_to == "Taken/2026"


@pytest.mark.parametrize(
    ("first", "others", "code"),
    [
        (imap(name="first"), [], "mailbox_names"),
        (imap(), [imap(folder="Other")], "mailbox_names"),
        (imap(), [imap(name="a", folder="Other"), imap(name="a", folder="Third")], "mailbox_names"),
        (imap(), [imap(name="a", host="MAIL.example")], "mailbox_twice"),
        (imap(), [imap(name="a", folder="Inbox")], "mailbox_twice"),
        (maildir("/m"), [imap(name="a"), maildir("/m", name="b")], "mailbox_twice"),
        (maildir("/m/box"), [maildir("/m/../m/box/", name="b")], "mailbox_twice"),
    ],
)
def test_mailboxes_that_can_not_be_told_apart_are_refused(
    first: MailboxSettings, others: list[MailboxSettings], code: str
) -> None:
    with pytest.raises(WrongUseError) as caught:
        all_different(first, others)

    assert caught.value.code == code


def test_other_folders_accounts_and_servers_are_other_mailboxes() -> None:
    others = [imap(name="a", folder="Other"), imap(name="b", user="second"), imap(name="c", port=994)]

    all_different(imap(), [*others, maildir("/m", name="d")])
