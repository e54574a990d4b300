"""A mail server that sends nothing: it demands TLS and a password, and files every message into a folder.

Runs in its own process: ``python -m vault.testing.smtp_sink HOME PORT``.
"""

import asyncio
import contextlib
import hmac
import importlib.util
import itertools
import json
import os
import secrets
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import WrongUseError
from vault.settings import SmtpSettings
from vault.testing import places, processes
from vault.testing.certificates import make_certificates
from vault.testing.ports import answers, free_port

USER = "dsr-vault"
_LARGEST = 100_000_000  # bytes a message


@dataclass(frozen=True, slots=True)
class SmtpSink:
    """A running sink.

    :param home: its directory: the folder `mail`, password, certificate, pid file.
    """

    port: int
    home: Path

    @property
    def folder(self) -> Path:
        """A Maildir: whole messages appear under `new`."""
        return self.home / "mail"

    def settings(self, sender: str = "requests@clinic.example") -> SmtpSettings:
        """Give the settings with which mail goes out through it."""
        return SmtpSettings(
            host="127.0.0.1",
            port=self.port,
            sender=sender,
            security="starttls",
            user=USER,
            password_file=self.home / "password",
            ca_file=self.home / "ca.pem",
        )

    def messages(self) -> list[bytes]:
        """Give the messages taken so far, oldest first, each under its `Return-Path` and `Delivered-To` lines."""
        return [path.read_bytes() for path in sorted((self.folder / "new").iterdir())]


class Folder:
    """aiosmtpd's handler: writes each message whole, or answers that it could not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one message with its envelope."""
        name = f"{time.time_ns():020d}.{next(self._numbers):06d}"
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in lines).encode()
        try:
            (self._folder / "tmp" / name).write_bytes(head + envelope.original_content)
            (self._folder / "tmp" / name).rename(self._folder / "new" / name)
        except OSError:
            return "452 4.3.1 The folder is full"
        return "250 2.0.0 Kept"


@contextlib.contextmanager
def smtp_sink(directory: Path | None = None) -> Iterator[SmtpSink]:
    """Run a sink while inside; without `directory` it lives in memory and leaves nothing behind.

    :raises WrongUseError: `server_missing`: the extra `demo` is not installed.
    :raises OutOfReachError: the server does not start.
    """
    with places.lent(start, stop, directory, "dsr-smtp-") as server:
        yield server


def start(directory: Path) -> SmtpSink:
    """Start a sink that outlives us, or adopt the one that runs there.

    :raises WrongUseError: `server_missing`: the extra `demo` is not installed.
    :raises OutOfReachError: the server does not start.
    """
    if importlib.util.find_spec("aiosmtpd") is None:
        raise WrongUseError("server_missing", "aiosmtpd is not installed; install dsr-vault[demo]")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = directory / "server.json"
    sink = SmtpSink(json.loads(note.read_text(encoding="utf-8"))["port"] if note.exists() else free_port(), directory)
    if processes.running_in(directory):
        return sink
    make_certificates(directory)
    if not (directory / "password").exists():
        places.write_private(directory / "password", secrets.token_urlsafe(24))
    command = [sys.executable, "-m", "vault.testing.smtp_sink", str(directory), str(sink.port)]
    running = processes.start_named("smtp", directory, command, cwd=_source())
    processes.wait_until(lambda: answers(sink.port), "the mail sink", process=running)
    places.write_private(note, json.dumps({"port": sink.port}))
    return sink


def stop(directory: Path) -> None:
    """Stop the sink that runs there, if one does; its messages stay."""
    processes.stop_named("smtp", directory)


def destroy(directory: Path) -> None:
    """Stop the sink and remove its messages, password and log."""
    stop(directory)
    places.discard(directory)


def _source() -> Path:
    """Where `python -m vault...` finds us, installed or not."""
    return Path(__file__).parents[2]


async def serve(home: Path, port: int) -> None:
    """Serve until SIGTERM."""
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword  # noqa: PLC0415 - the extra `demo` brings it

    password = (home / "password").read_bytes().strip()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(home / "server.pem", home / "server.key")

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> Any:
        fits = isinstance(given, LoginPassword) and given.login == USER.encode()
        return AuthResult(success=fits and hmac.compare_digest(given.password, password), handled=False)

    def protocol() -> asyncio.Protocol:
        return SMTP(
            folder,
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            authenticator=check,
            auth_required=True,
            data_size_limit=_LARGEST,
        )

    folder, loop = Folder(home / "mail"), asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", port)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with server:
        await ended.wait()


def main() -> None:
    """Serve HOME on PORT."""
    os.umask(0o077)
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
