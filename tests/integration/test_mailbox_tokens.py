"""A mailbox that wants OAuth2: real tokens at a real Dovecot, kept for a while, fetched anew, and refused clearly."""

from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from vault.errors import OutOfReachError, VaultError, WrongUseError
from vault.intake.mailbox import ImapMailbox
from vault.intake.tokens import AccessTokens
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import open_mailbox
from vault.testing.dovecot import MailServer, dovecot
from vault.testing.token_server import CLIENT, SECRET, TokenServer, token_server

MAIL = b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[TokenServer]:
    with token_server() as server:
        yield server


@pytest.fixture
def tokens(running: TokenServer) -> TokenServer:
    """The one server, with its first answers."""
    for one in fields(TokenServer):
        if one.default is not MISSING:
            setattr(running, one.name, one.default)
    running.asked.clear()
    return running


@pytest.fixture(scope="module", params=["xoauth2 oauthbearer", "xoauth2"], ids=["oauthbearer", "xoauth2"])
def server(request: pytest.FixtureRequest, running: TokenServer) -> Iterator[MailServer]:
    with dovecot(extra=running.configuration(request.param)) as mailbox:
        yield mailbox


def secret(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def settings_for(tokens: TokenServer, folder: Path, **changes: Any) -> MailboxSettings:
    values: dict[str, Any] = {
        "kind": "imap",
        "user": "inbox",
        "address": "requests@clinic.example",
        "auth": "xoauth2",
        "token_url": tokens.url,
        "client_id": CLIENT,
        "client_secret_file": secret(folder, "client-secret", SECRET),
        "token_ca_file": tokens.home / "tls" / "ca.pem",
    }
    return MailboxSettings(**values | changes)


def at(server: MailServer, settings: MailboxSettings) -> MailboxSettings:
    return settings.model_copy(update={"port": server.port, "ca_file": server.home / "ca.pem"})


def test_a_token_opens_the_mailbox_and_is_kept(server: MailServer, tokens: TokenServer, tmp_path: Path) -> None:
    server.deliver(MAIL)
    mailbox = open_mailbox(at(server, settings_for(tokens, tmp_path, scope="mail.read")))

    (message,) = mailbox.messages(10)
    mailbox.remove(message.source)

    assert message.data.endswith(MAIL)
    assert mailbox.count() == 0  # over the third line
    assert tokens.asked == [{"grant_type": "client_credentials", "scope": "mail.read"}]


def test_a_kept_token_that_is_refused_is_fetched_anew_once(
    server: MailServer, tokens: TokenServer, tmp_path: Path
) -> None:
    given = AccessTokens(at(server, settings_for(tokens, tmp_path)))
    tokens.seconds = -100  # over, though the answer says 3600
    given.current()
    tokens.seconds = 3600
    mailbox = ImapMailbox(at(server, settings_for(tokens, tmp_path)), given)

    assert mailbox.count() == 0
    assert len(tokens.asked) == 2


def test_another_account_and_a_token_that_is_over_do_not_get_in(
    server: MailServer, tokens: TokenServer, tmp_path: Path
) -> None:
    settings = at(server, settings_for(tokens, tmp_path))

    for change in ({"user": "mallory"}, {"user": "inbox", "seconds": -100}):
        for name, value in change.items():
            setattr(tokens, name, value)
        asked = len(tokens.asked)
        with pytest.raises(OutOfReachError, match="mailbox_login"):
            open_mailbox(settings).count()
        assert len(tokens.asked) == asked + 1


def test_a_refresh_token_is_used_and_the_one_that_replaces_it_kept(tokens: TokenServer, tmp_path: Path) -> None:
    path = secret(tmp_path, "refresh", tokens.refresh)
    settings = settings_for(tokens, tmp_path, client_secret_file=None, refresh_token_file=path)
    tokens.rotates = True
    first = tokens.refresh

    for _ in range(3):
        assert AccessTokens(settings).current()

    assert [(form["refresh_token"], form["client_id"]) for form in tokens.asked] == [
        (first, CLIENT),
        ("refresh-token-0001", CLIENT),
        ("refresh-token-0002", CLIENT),
    ]
    assert path.read_text() == "refresh-token-0003"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [child.name for child in tmp_path.iterdir() if child.name.startswith("refresh")] == ["refresh"]


@pytest.mark.parametrize(("told", "used"), [(3600, 3500.0), ("3600", 3500.0), (86_400, 3500.0), (300, 200.0)])
def test_a_token_is_kept_until_a_minute_before_its_end(
    tokens: TokenServer, tmp_path: Path, told: float | str, used: float
) -> None:
    now = 1000.0
    tokens.told = told
    given = AccessTokens(settings_for(tokens, tmp_path), clock=lambda: now)

    first = given.current()
    now += used
    assert given.current() == first
    assert len(tokens.asked) == 1
    now += 60
    given.current()

    assert len(tokens.asked) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, b'{"error": "invalid_grant"}'), "mailbox_token_refused"),
        ((401, b"who are you, Aino Virtanen?"), "mailbox_token_refused"),
        ((302, b""), "mailbox_token_away"),
        ((503, b""), "mailbox_token_away"),
        ((200, b"<html>"), "mailbox_token_malformed"),
        ((200, b"[]"), "mailbox_token_malformed"),
        ((200, b"[" * 60_000), "mailbox_token_malformed"),
        ((200, b"x" * 70_000), "mailbox_token_malformed"),
        ((200, b'{"token_type": "Bearer"}'), "mailbox_token_malformed"),
        ((200, b'{"access_token": "abc", "token_type": "mac"}'), "mailbox_token_malformed"),
        ((200, b'{"access_token": "a\\u0001b", "token_type": "Bearer"}'), "mailbox_token_malformed"),
        ((200, b'{"access_token": "abc", "token_type": "Bearer", "expires_in": "soon"}'), "mailbox_token_malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1][:20].decode()}",
)
def test_what_is_no_token_has_a_code_and_none_of_the_servers_words(
    tokens: TokenServer, tmp_path: Path, answer: tuple[int, bytes], code: str
) -> None:
    tokens.answer = answer

    with pytest.raises(OutOfReachError) as caught:
        AccessTokens(settings_for(tokens, tmp_path)).current()

    assert caught.value.code == code
    assert "Aino" not in str(caught.value)


def test_a_server_that_nobody_vouches_for_gets_no_secret(tokens: TokenServer, tmp_path: Path) -> None:
    with pytest.raises(OutOfReachError, match="mailbox_token_away"):
        AccessTokens(settings_for(tokens, tmp_path, token_ca_file=None)).current()

    assert tokens.asked == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret_file": Path("/nowhere")}, "secret_missing"),
        ({"token_ca_file": Path("/nowhere")}, "mailbox_ca"),
    ],
)
def test_a_secret_or_authority_that_is_missing_is_said(
    tokens: TokenServer, tmp_path: Path, changes: dict[str, Path], code: str
) -> None:
    with pytest.raises(WrongUseError) as caught:
        AccessTokens(settings_for(tokens, tmp_path, **changes)).current()

    assert caught.value.code == code


def test_tokens_show_themselves_nowhere(tokens: TokenServer, tmp_path: Path) -> None:
    given = AccessTokens(settings_for(tokens, tmp_path))
    token = given.current()
    tokens.answer = (401, token.encode())
    given.forget()

    with pytest.raises(VaultError) as caught:
        given.current()

    assert token not in f"{given!r}{given}{caught.value}"
