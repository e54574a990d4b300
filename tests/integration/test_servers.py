"""Servers of one's own: private, unprivileged, found again after a crash, gone when they are done with."""

import json
import os
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import psycopg
import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from vault.errors import OutOfReachError, VaultError, WrongUseError
from vault.settings import SmtpSettings, read_secret
from vault.settings_mailbox import MailboxSettings
from vault.storage.objects import Objects
from vault.testing import dovecot, moto_server, places, postgres, processes, rgw, smtp_sink
from vault.testing.object_server import ObjectServer
from vault.testing.postgres import PostgresServer

ADDRESS = "requests@clinic.example"


def imap(settings: MailboxSettings, password: str) -> IMAPClient:
    context = ssl.create_default_context(cafile=str(settings.ca_file))
    client = IMAPClient(settings.host, port=settings.port, ssl_context=context, timeout=10)
    client.login(settings.user, password)
    return client


def submit(settings: SmtpSettings, raw: bytes) -> None:
    assert settings.password_file is not None
    with smtplib.SMTP(settings.host, settings.port, timeout=10) as line:
        line.starttls(context=ssl.create_default_context(cafile=str(settings.ca_file)))
        line.login(settings.user, read_secret(settings.password_file))
        line.sendmail("clinic@clinic.example", ["requester@example.org"], raw)


def keep_row(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn(server.create_database("kept"))) as connection:
        connection.execute("create table if not exists kept (word text)")
        connection.execute("insert into kept values ('here')")


def row_is_kept(server: PostgresServer) -> bool:
    with psycopg.connect(server.dsn(server.create_database("kept"))) as connection:
        return connection.execute("select word from kept").fetchall() == [("here",)]


def keep_object(server: ObjectServer) -> None:
    objects = Objects(server.settings())
    objects.prepare()
    objects.put("kept", b"here")


def object_is_kept(server: ObjectServer) -> bool:
    return Objects(server.settings()).get("kept") == b"here"


def mail_is_kept(server: dovecot.MailServer) -> bool:
    settings = server.settings(ADDRESS)
    assert settings.password_file is not None
    with imap(settings, read_secret(settings.password_file)) as client:
        return bool(client.select_folder("INBOX")[b"EXISTS"] == 1)


@dataclass(frozen=True)
class Kind:
    """How to run one kind of server, and how to see that it keeps what it was given."""

    lend: Callable[[], AbstractContextManager[Any]]
    start: Callable[[Path], Any]
    stop: Callable[[Path], None]
    destroy: Callable[[Path], None]
    keep: Callable[[Any], None]
    is_kept: Callable[[Any], bool]


KINDS = {
    "postgres": Kind(postgres.postgres, postgres.start, postgres.stop, postgres.destroy, keep_row, row_is_kept),
    "rgw": Kind(rgw.rgw, rgw.start, rgw.stop, rgw.destroy, keep_object, object_is_kept),
    "dovecot": Kind(
        dovecot.dovecot,
        dovecot.start,
        dovecot.stop,
        dovecot.destroy,
        lambda server: server.deliver(b"Subject: kept\r\n\r\nhere\r\n"),
        mail_is_kept,
    ),
    "smtp": Kind(
        smtp_sink.smtp_sink,
        smtp_sink.start,
        smtp_sink.stop,
        smtp_sink.destroy,
        lambda server: submit(server.settings(), b"Subject: kept\r\n\r\nhere\r\n"),
        lambda server: len(server.messages()) == 1,
    ),
}
LENT = {**{name: kind.lend for name, kind in KINDS.items()}, "moto": moto_server.moto_server}


@pytest.mark.parametrize("name", LENT)
def test_a_lent_server_leaves_nothing_behind(name: str) -> None:
    with LENT[name]() as server:
        home = server.home
        running = processes.running_in(home)
        sockets = places._noted(home, "run")
        assert running
        assert all(process.alive() for process in running)

    assert not any(process.alive() for process in running)
    assert not any(path.exists() for path in (home, *sockets))


@pytest.mark.parametrize("name", LENT)
def test_a_server_ends_when_its_starter_is_killed(name: str, tmp_path: Path) -> None:
    module = "moto_server" if name == "moto" else "smtp_sink" if name == "smtp" else name
    script = (
        "import os, pathlib, signal, sys\n"
        "from vault.testing import processes\n"
        f"from vault.testing.{module} import {LENT[name].__name__} as lend\n"
        "with lend() as server:\n"
        "    running = processes.running_in(server.home)\n"
        "    members = [member for one in running for member in processes.session_of(one.pid)]\n"
        "    lines = [str(server.home), *(member.to_json() for member in members)]\n"
        "    pathlib.Path(sys.argv[1]).write_text('\\n'.join(lines))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "home"], check=False)
    assert done.returncode == -signal.SIGKILL
    home, *lines = (tmp_path / "home").read_text().splitlines()
    started = [processes.Running(**json.loads(line)) for line in lines]

    processes.wait_until(lambda: not Path(home).exists(), "the end", seconds=10)

    assert started
    assert not any(process.alive() for process in started)


@pytest.mark.parametrize("name", KINDS)
def test_a_server_is_adopted_then_found_again_after_a_stop_and_a_crash(name: str, tmp_path: Path) -> None:
    kind, home = KINDS[name], tmp_path / "a home with spaces"
    try:
        server = kind.start(home)
        kind.keep(server)
        assert kind.start(home) == server

        kind.stop(home)
        assert processes.running_in(home) == []
        assert kind.is_kept(kind.start(home))

        for process in processes.running_in(home):
            os.kill(process.pid, signal.SIGKILL)
        processes.wait_until(lambda: not processes.running_in(home), "the crash", seconds=5)
        assert kind.is_kept(kind.start(home))
    finally:
        kind.destroy(home)
    assert not home.exists()


@pytest.mark.parametrize("name", ["postgres", "rgw", "dovecot"])
def test_a_server_is_never_root(name: str) -> None:
    with LENT[name]() as server:
        for process in processes.running_in(server.home):
            status = Path(f"/proc/{process.pid}/status").read_text()
            uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
            assert "0" not in uids


@pytest.mark.parametrize(
    ("name", "program", "package"),
    [
        ("rgw", "radosgw", "radosgw"),
        ("rgw", "ceph-mon", "ceph-mon"),
        ("rgw", "ceph-osd", "ceph-osd"),
        ("rgw", "ceph-authtool", "ceph-common"),
        ("dovecot", "dovecot", "dovecot-core"),
    ],
)
def test_a_missing_server_is_named_by_its_package(
    name: str, program: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which

    def which(wanted: str, path: str | None = None) -> str | None:
        return None if wanted == program else real(wanted, path=path)

    monkeypatch.setattr(shutil, "which", which)

    with pytest.raises(WrongUseError, match=rf"package {package}$") as caught, LENT[name]():
        pass

    assert caught.value.code == "server_missing"


def test_each_object_store_draws_its_own_keys_and_takes_no_others() -> None:
    with rgw.rgw() as first, moto_server.moto_server() as second:
        drawn = [read_secret(server.settings().secret_key_file) for server in (first, second)]
        for server in (first, second):
            places.write_private(server.home / "secret-key", drawn[server is first])
            with pytest.raises(OutOfReachError, match="SignatureDoesNotMatch"):
                Objects(server.settings()).prepare()

    assert drawn[0] != drawn[1]


def test_the_mailbox_speaks_tls_and_wants_its_password() -> None:
    with dovecot.dovecot() as server:
        settings = server.settings(ADDRESS)
        assert settings.password_file is not None
        server.deliver(b"Subject: one\r\n\r\n\xe4\r\n")

        with imap(settings, read_secret(settings.password_file)) as client:
            client.select_folder("INBOX")
            assert client.fetch([1], ["BODY[TEXT]"])[1][b"BODY[TEXT]"] == b"\xe4\r\n"
            assert {b"UIDPLUS", b"IDLE", b"MOVE"} <= set(client.capabilities())
        with pytest.raises(LoginError):
            imap(settings, "wrong")
        with pytest.raises(ssl.SSLError):
            IMAPClient(settings.host, port=settings.port, ssl_context=ssl.create_default_context())
        with pytest.raises((OSError, EOFError)):
            IMAPClient(settings.host, port=settings.port, ssl=False, timeout=5).noop()


def test_a_mailbox_that_is_gone_takes_nothing() -> None:
    with dovecot.dovecot() as server:
        pass

    with pytest.raises(OutOfReachError):
        server.deliver(b"Subject: x\r\n\r\n")


def test_the_sink_keeps_each_message_with_its_envelope() -> None:
    message = EmailMessage()
    message["Subject"] = "Täällä"
    message.set_content("yksi\n.kaksi\n")
    with smtp_sink.smtp_sink() as sink:
        for _ in range(2):
            submit(sink.settings(), message.as_bytes(policy=SMTP))
        kept = sink.messages()

    head = b"Return-Path: <clinic@clinic.example>\r\nDelivered-To: requester@example.org\r\n"
    assert len(kept) == 2
    assert all(raw == head + message.as_bytes(policy=SMTP) for raw in kept)


@pytest.mark.parametrize("tls", [False, True])
def test_the_sink_takes_nothing_without_tls_and_password(*, tls: bool) -> None:
    with smtp_sink.smtp_sink() as sink:
        settings = sink.settings()
        with smtplib.SMTP(settings.host, settings.port) as line:
            if tls:
                line.starttls(context=ssl.create_default_context(cafile=str(settings.ca_file)))
            with pytest.raises(smtplib.SMTPSenderRefused):
                line.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\n")

        assert sink.messages() == []


def test_the_sink_refuses_a_wrong_password() -> None:
    with smtp_sink.smtp_sink() as sink:
        places.write_private(sink.home / "password", "not-the-password")

        with pytest.raises(smtplib.SMTPAuthenticationError):
            submit(sink.settings(), b"Subject: x\r\n\r\n")


def test_a_pid_file_of_another_process_is_nobodys(tmp_path: Path) -> None:
    own = processes._start_of(os.getpid())
    assert own is not None
    file = tmp_path / "x.pid"

    for text in ("", "{}", "17", '{"pid": "x", "started": 1}', processes.Running(os.getpid(), own + 1).to_json()):
        file.write_text(text)
        assert processes.read_pid(file) is None
    file.write_text(processes.Running(os.getpid(), own).to_json())
    assert processes.read_pid(file) == processes.Running(os.getpid(), own)


def test_a_server_that_ends_at_once_is_told_with_its_name(tmp_path: Path) -> None:
    running = processes.start_named("short", tmp_path, ["/bin/true"])

    with pytest.raises(OutOfReachError, match="short ended") as caught:
        processes.wait_until(lambda: False, "short", process=running, seconds=5)

    assert caught.value.code == "server_failed"
    processes.stop_named("short", tmp_path)


def test_a_server_that_is_too_slow_is_told_with_its_name() -> None:
    with pytest.raises(VaultError, match="slow one did not answer"):
        processes.wait_until(lambda: False, "slow one", seconds=0.1)
