"""Arrivals are told as they happen, over lines that idle, break and are joined again; nothing is opened for it."""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from imapclient import tls

from vault.errors import WrongUseError
from vault.intake import watch
from vault.settings import read_secret
from vault.settings_mailbox import MailboxSettings
from vault.steps import watching
from vault.steps.doors import open_mailbox
from vault.testing.dovecot import MailServer, dovecot, start, stop
from vault.testing.ports import free_port

WITHOUT_IDLE = "\nimap_capability = IMAP4rev1 LITERAL+ UIDPLUS\n"
MAIL = b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n"
SOON = 20.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with dovecot() as running:
        yield running


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SETTLING", 0.1)
    monkeypatch.setattr(watch, "SLICE", 0.1)


@pytest.fixture(autouse=True)
def empty(server: MailServer) -> None:
    mailbox = open_mailbox(server.settings())
    for message in mailbox.messages(100):
        mailbox.remove(message.source)


class Watched:
    """A mailbox that is watched by a thread while inside."""

    def __init__(self, settings: MailboxSettings) -> None:
        self.stirs = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=watching.keep_watching, args=(settings, self._stir, self._stop))

    def _stir(self) -> None:
        self.stirs += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SOON)
        assert not self._thread.is_alive()


def eventually(true: Callable[[], bool], seconds: float = SOON) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every line that a watching thread sends."""
    lines: list[bytes] = []
    send = tls.IMAP4_TLS.send

    def noted(line: Any, data: bytes) -> None:
        if threading.current_thread() is not threading.main_thread():
            lines.append(bytes(data))
        send(line, data)

    monkeypatch.setattr(tls.IMAP4_TLS, "send", noted)
    return lines


def idling(said: list[bytes], times: int = 1) -> Callable[[], bool]:
    return lambda: sum(b"IDLE" in line for line in said) >= times


def test_an_arrival_is_told_while_the_line_idles(server: MailServer, said: list[bytes]) -> None:
    with Watched(server.settings()) as watched:
        assert eventually(idling(said, 2))  # the short one is over
        assert watched.stirs == 0
        begun = time.monotonic()
        server.deliver(MAIL)
        assert eventually(lambda: watched.stirs > 0)
        assert time.monotonic() - begun < watch.RENEWED / 4


def test_what_lies_there_is_told_at_the_start(server: MailServer) -> None:
    server.deliver(MAIL)

    with Watched(server.settings()) as watched:
        assert eventually(lambda: watched.stirs > 0)


def test_nothing_is_opened_marked_or_told_twice(server: MailServer, said: list[bytes]) -> None:
    with Watched(server.settings()) as watched:
        assert eventually(idling(said, 2))
        server.deliver(MAIL)
        assert eventually(lambda: watched.stirs == 1)
        assert eventually(idling(said, 4))  # short after the news, then long
        mailbox = open_mailbox(server.settings())
        (message,) = mailbox.messages(9)
        mailbox.remove(message.source)
        assert eventually(idling(said, 5))
        assert watched.stirs == 1  # its going is no arrival
        server.deliver(MAIL)
        assert eventually(lambda: watched.stirs == 2)

    commands = {line.split()[1] if line.count(b" ") else line.strip() for line in said if line.strip()}
    assert b"EXAMINE" in commands
    assert commands <= {b"CAPABILITY", b"LOGIN", b"EXAMINE", b"NOOP", b"IDLE", b"DONE", b"LOGOUT"}


def test_an_idle_is_begun_anew_before_it_is_old(
    server: MailServer, said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch.RENEWED < 29 * 60
    monkeypatch.setattr(watch, "RENEWED", 0.1)

    with Watched(server.settings()) as watched:
        assert eventually(idling(said, 5))
        server.deliver(MAIL)
        assert eventually(lambda: watched.stirs > 0)

    assert sum(b"LOGIN" in line for line in said) == 1
    assert said.count(b"DONE\r\n") >= 4


def test_a_server_without_idle_is_asked(said: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ASKED", 0.2)

    with dovecot(extra=WITHOUT_IDLE) as plain, Watched(plain.settings()) as watched:
        assert eventually(lambda: any(b"NOOP" in line for line in said))
        assert watched.stirs == 0
        plain.deliver(MAIL)
        assert eventually(lambda: watched.stirs > 0)

    assert not any(b"IDLE" in line for line in said)
    assert sum(b"LOGIN" in line for line in said) == 1


def test_a_server_that_went_and_came_back_is_joined_again(
    tmp_path: Path, said: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "mail"
    first = start(home)
    try:
        with Watched(first.settings()) as watched:
            assert eventually(idling(said, 2))
            stop(home)
            assert eventually(lambda: "mailbox_away" in caplog.text)
            again = start(home)
            assert again.port == first.port
            again.deliver(MAIL)
            assert eventually(lambda: watched.stirs > 0, 60)
    finally:
        stop(home)
    assert read_secret(home / "password") not in caplog.text


def test_the_waits_before_joining_again_grow(server: MailServer) -> None:
    waits: list[float] = []
    ended = SimpleNamespace(is_set=lambda: len(waits) >= 11, wait=waits.append)
    away = server.settings().model_copy(update={"port": free_port()})

    watching.keep_watching(away, lambda: None, ended)  # type: ignore[arg-type]  # an Event that does not wait

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def maildir(path: Path) -> MailboxSettings:
    for name in ("tmp", "new", "cur"):
        (path / name).mkdir(parents=True)
    return MailboxSettings(kind="maildir", path=path, address="a@clinic.example")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What tells of arrivals at the mailboxes given."""
    monkeypatch.setattr(watch, "COUNTED", 0.05)

    @asynccontextmanager
    async def run(*mailboxes: MailboxSettings) -> AsyncIterator[Callable[[], Any]]:
        settings = SimpleNamespace(mailbox=mailboxes[0], mailboxes=mailboxes[1:])
        monkeypatch.setattr(watching, "load", lambda: settings)
        async with aclosing(watching.arrivals("mailbox")) as arrivals:
            yield lambda: asyncio.wait_for(anext(arrivals), SOON)

    return run


def test_all_mailboxes_are_watched_at_once(server: MailServer, tmp_path: Path, told: Callable[..., Any]) -> None:
    folder = maildir(tmp_path / "m")
    away = server.settings().model_copy(update={"port": free_port(), "name": "away"})

    async def main() -> None:
        async with told(server.settings(), away, folder) as arrival:
            for number in range(2):
                server.deliver(MAIL)
                await arrival()
                (tmp_path / "m" / "new" / f"17{number}.host").write_bytes(MAIL)
                await arrival()

    asyncio.run(main())


def test_a_watch_that_is_cancelled_ends_quietly(
    server: MailServer, told: Callable[..., Any], said: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asyncio")

    async def main() -> None:
        async with told(server.settings()) as arrival:
            task = asyncio.create_task(arrival())
            assert await asyncio.to_thread(eventually, idling(said))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("watch-")])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert any(b"LOGOUT" in line for line in said)


def test_wrong_settings_are_told_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SimpleNamespace(mailbox=maildir(tmp_path / "m"), mailboxes=[])
    (tmp_path / "m" / "new" / "170.host").write_bytes(MAIL)
    answers = iter([WrongUseError("settings_missing", "set DSR_CONFIG"), settings])

    def load() -> object:
        answer = next(answers)
        if isinstance(answer, WrongUseError):
            raise answer
        return answer

    monkeypatch.setattr(watching, "load", load)

    async def main() -> None:
        async with aclosing(watching.arrivals("mailbox")) as arrivals:
            await asyncio.wait_for(anext(arrivals), SOON)

    asyncio.run(main())
    assert "settings_missing" in caplog.text


def test_a_maildir_that_comes_late_is_watched_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "COUNTED", 0.05)
    settings = maildir(tmp_path / "m")
    shutil.move(tmp_path / "m", tmp_path / "unmounted")

    with Watched(settings) as watched:
        shutil.move(tmp_path / "unmounted", tmp_path / "m")
        (tmp_path / "m" / "new" / "170.host").write_bytes(MAIL)
        assert eventually(lambda: watched.stirs == 1)
        (tmp_path / "m" / "new" / "170.host").unlink()
        (tmp_path / "m" / "new" / "171.host").write_bytes(MAIL)
        (tmp_path / "m" / "new" / "172.host").write_bytes(MAIL)
        assert eventually(lambda: watched.stirs >= 2)


def test_scans_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([0, 2, 2, 1, 3])
    looked: list[str] = []

    def waiting_at(door: str) -> int:
        looked.append(door)
        return next(counts)

    monkeypatch.setattr(watching, "_SECONDS", 0.0)
    monkeypatch.setattr(watching, "waiting_at", waiting_at)

    async def main() -> None:
        async with aclosing(watching.arrivals("scans")) as arrivals:
            await anext(arrivals)
            assert len(looked) == 2
            await anext(arrivals)
            assert len(looked) == 5

    asyncio.run(main())
    assert set(looked) == {"scans"}
