"""A directory of the controller's mail keys for tests: what stock gpg and openssl make of them, and sudden death."""

import os
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vault.domain.private import Private
from vault.intake.mailkeystore import MailKeys, in_directory, make_mail_keys
from vault.intake.ownpgp import write_passphrase
from vault.intake.ownsmime import OwnSmime
from vault.settings import Settings

NAME, ADDRESS = "Example Clinic", "requests@clinic.example"
_OTHERS: Mapping[str, Mapping[str, Any]] = {
    "controller": {"name": NAME, "address": [], "email": ADDRESS, "data_protection_officer": "d"},
    "database": {"host": "h", "user": "u", "password_file": "p"},
    "objects": {"endpoint": "e", "access_key_file": "a", "secret_key_file": "s"},
    "keys": {"socket": "s", "token_files": {}},
    "mailbox": {"kind": "maildir", "path": "m", "address": ADDRESS},
    "scans": {"folder": "f"},
    "smtp": {"host": "h", "port": 25, "sender": "s"},
    "smime": {"key_file": "k", "certificate_file": "c", "passphrase_file": "p"},
    "desk": {
        "url": "u",
        "assertion_public_key_file": "a",
        "session_secret_file": "s",
        "decision_public_key_file": "d",
        "airflow_url": "u",
    },
    "log": {"public_key_file": "l"},
}
_PLACES: tuple[tuple[Any, str], ...] = ((subprocess, "run"), (os, "link"), (os, "rename"), (os, "fsync"))


@dataclass(frozen=True, slots=True)
class MailKeyHouse(Private):
    """Keys of one directory, used with nothing of ours.

    :param folder: short, because gpg's agents make sockets in it.
    """

    folder: Path

    @property
    def directory(self) -> Path:
        """Where the keys stand."""
        return self.folder / "k"

    @property
    def keys(self) -> MailKeys:
        """Find them as they are now."""
        return in_directory(self.directory, None, ADDRESS)

    def settings(self, **changes: Mapping[str, Any]) -> Settings:
        """Give settings with the tables that the keys ask for; the rest of them names nothing that exists.

        :param changes: by table.
        """
        told = tomllib.loads("\n".join(self.keys.settings_lines(datetime.now(UTC))))
        tables = {**_OTHERS, **told}
        return Settings.model_validate({name: {**table, **changes.get(name, {})} for name, table in tables.items()})

    @property
    def smime(self) -> OwnSmime:
        """Find the S/MIME key whose certificate is given out."""
        current = self.keys.current_smime(datetime.now(UTC))
        if current is None:
            raise AssertionError("no S/MIME key is current")
        return current

    def encrypt(self, key: bytes, text: bytes) -> bytes:
        """Encrypt as a requester does who has this public key, with a home of her own."""
        home = self.folder / "q"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        (self.folder / "key").write_bytes(key)
        return _gpg(
            home, "--trust-model", "always", "--recipient-file", str(self.folder / "key"), "--encrypt", data=text
        )

    def decrypt(self, message: bytes) -> bytes:
        """Decrypt with stock gpg in our home.

        :raises subprocess.CalledProcessError: no key of ours opens it.
        """
        secret = ["--pinentry-mode", "loopback", "--passphrase-file", str(self.directory / "passphrase")]
        home = self.directory / "gnupg"
        try:
            return _gpg(home, *secret, "--decrypt", data=message)
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False, capture_output=True)


def seal_smime(pair: OwnSmime, text: bytes) -> bytes:
    """Encrypt to a certificate with stock openssl; DER."""
    command = ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", str(pair.certificate_file)]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout


def open_smime(pair: OwnSmime, message: bytes) -> bytes:
    """Decrypt with stock openssl and a key of ours.

    :raises subprocess.CalledProcessError: the key does not open it.
    """
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", str(pair.key_file)]
    command += ["-passin", f"file:{pair.passphrase_file}"]
    return subprocess.run(command, input=message, capture_output=True, check=True).stdout


def make(directory: Path) -> list[str]:
    """Make what is missing of the keys, with a certificate for trials; return what was made."""
    return make_mail_keys(directory, None, NAME, ADDRESS, datetime.now(UTC), self_signed=True)[1]


def make_aged(directory: Path, days: int) -> None:
    """Make keys as they would have been made ``days`` ago; theirs is a life of two years."""
    then = datetime.now(UTC) - timedelta(days=days)
    home = directory / "gnupg"
    home.mkdir(mode=0o700, parents=True)
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n", encoding="ascii")
    secret = write_passphrase(directory / "passphrase")
    past = ["--faked-system-time", str(int(then.timestamp())), "--pinentry-mode", "loopback"]
    past += ["--passphrase-file", str(secret)]
    _gpg(home, *past, "--quick-generate-key", f"{NAME} <{ADDRESS}>", "ed25519", "cert,sign", "2y")
    _gpg(
        home,
        *past,
        "--quick-add-key",
        in_directory(directory, None, ADDRESS).fingerprint or "",
        "cv25519",
        "encr",
        "2y",
    )
    in_directory(directory, None, ADDRESS).make_smime(NAME, ADDRESS, then, timedelta.max, self_signed=True)


def rotate(directory: Path) -> list[str]:
    """Rotate what is older than 30 days; return what was made."""
    keys = in_directory(directory, None, ADDRESS)
    return keys.rotate(NAME, ADDRESS, datetime.now(UTC), timedelta(days=30), self_signed=True)


def dying(at: int, act: Callable[[Path], object], directory: Path) -> None:
    """Do it, and die with SIGKILL at the ``at``-th call to the outside; to be called in a process of its own."""
    with _dying(at):
        act(directory)


@contextmanager
def _dying(at: int) -> Iterator[None]:
    calls = 0

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*args, **kwargs)

        return counted

    originals = [(owner, name, getattr(owner, name)) for owner, name in _PLACES]
    for owner, name, original in originals:
        setattr(owner, name, around(original))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout
