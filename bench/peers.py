"""Peers: the bare tools over the very same bytes, in the same run, so that our share of the time can be seen."""

import email
import email.policy
import pkgutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from unittest import mock

import typst

from bench.meter import Cost, Meter
from vault.settings import OpenPgpSettings


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """One overheard call."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]


@contextmanager
def overheard(function: str) -> Iterator[list[Call]]:
    """Note what a function is called with while inside; it does its work as ever.

    :param function: its dotted name, such as ``typst.compile``.
    """
    calls: list[Call] = []
    original: Callable[..., Any] = pkgutil.resolve_name(function)

    def listening(*arguments: Any, **options: Any) -> Any:
        calls.append(Call(arguments, options))
        return original(*arguments, **options)

    with mock.patch(function, new=listening):
        yield calls


def gpg_decrypt(mails: Sequence[bytes], settings: OpenPgpSettings) -> Cost:
    """Decrypt the mails' OpenPGP parts by the stock gpg with the controller's key."""
    parts = [_encrypted_part(raw) for raw in mails]
    command = [*_gpg(settings.home), "--pinentry-mode", "loopback", "--passphrase-file", str(settings.passphrase_file)]
    costs: list[Cost] = []
    with Meter().lap(costs):
        for part in parts:
            _run([*command, "--skip-verify", "--decrypt"], part)
    _run(["gpgconf", "--homedir", str(settings.home), "--kill", "gpg-agent"], b"")
    return costs[0]


def _encrypted_part(raw: bytes) -> bytes:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    if not isinstance(message, EmailMessage):
        return b""
    payload = list(message.iter_parts())[1].get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def typst_compile(calls: Sequence[Call]) -> Cost:
    """Compile the same documents again by the bare library."""
    costs: list[Cost] = []
    with Meter().lap(costs):
        for call in calls:
            typst.compile(*call.arguments, **call.options)
    return costs[0]


def gpg_encrypt(archives: Sequence[bytes], public_key: str) -> Cost:
    """Encrypt the same bytes by the stock gpg without compressing or signing."""
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="dsr-bench-") as folder:
        home, key = Path(folder, "home"), Path(folder, "key.asc")
        home.mkdir(mode=0o700)
        key.write_text(public_key, encoding="ascii")
        command = [*_gpg(home), "--no-autostart", "-z0", "--recipient-file", str(key), "--encrypt"]
        with Meter().lap(costs):
            for archive in archives:
                _run(command, archive)
    return costs[0]


def _gpg(home: Path) -> list[str]:
    return ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--trust-model", "always"]


def _run(command: Sequence[str], data: bytes) -> None:
    subprocess.run(command, input=data, capture_output=True, check=True)
