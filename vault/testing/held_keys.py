"""A key daemon over each kind of holder, started from a settings file as in production."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.crypto.keydir import KeyDirectory, ledger_beside
from vault.crypto.local import LocalKeyService
from vault.settings import load, read_secret
from vault.settings_keys import KeySettings
from vault.testing.places import guarded, private_directory, write_private
from vault.testing.processes import Running, launch, stop, wait_until

# what `vault.settings.Settings` demands besides the keys; a key service looks at none of it
_OTHERS: Mapping[str, Mapping[str, Any]] = {
    "controller": {"name": "c", "address": [], "email": "e", "data_protection_officer": "d"},
    "database": {"host": "h", "user": "u", "password_file": "p"},
    "objects": {"endpoint": "e", "access_key_file": "a", "secret_key_file": "s"},
    "mailbox": {"kind": "maildir", "address": "a"},
    "scans": {"folder": "f"},
    "smtp": {"host": "h", "port": 25, "sender": "s"},
    "openpgp": {"home": "h", "fingerprint": "f", "passphrase_file": "p"},
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


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """A place for a key daemon: its settings file, tokens, audit and ledger.

    :param home: a private directory with a short path.
    """

    home: Path

    @property
    def files(self) -> KeyDirectory:
        """Tokens, public halves, audit."""
        return KeyDirectory(self.home / "k")

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.home / "dsr.toml"

    @property
    def settings(self) -> KeySettings:
        """The settings as they stand in the file."""
        return load(self.config).keys

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a child finds the settings, and the token if there is one."""
        return {**os.environ, "DSR_CONFIG": str(self.config)}

    def write(self, holder: Mapping[str, Any], **others: Mapping[str, Any]) -> None:
        """Write the settings file.

        :param holder: what holds the root keys, as under ``[keys]``; ``custody`` and its table.
        :param others: other tables that matter; each is names only where it is not given.
        """
        keys = {
            "socket": str(self.home / "s"),
            "audit_file": str(self.files.audit_file),
            "token_files": {name: str(path) for name, path in self.files.token_files.items()},
            **holder,
        }
        write_private(self.config, render_toml({**_OTHERS, **others, "keys": keys}))

    def client(self, office: str) -> LocalKeyService:
        """Connect as an office."""
        return LocalKeyService(self.home / "s", read_secret(self.files.token_files[office]), patience=0)

    def audit(self) -> list[dict[str, str]]:
        """Give the daemon's audit without its times."""
        lines = map(json.loads, self.files.audit_file.read_text(encoding="ascii").splitlines())
        return [{name: value for name, value in line.items() if name != "at"} for line in lines]

    def ledger(self) -> list[dict[str, str]]:
        """Give the ledger of destroyed keys without its times."""
        lines = ledger_beside(self.files.audit_file).read_text(encoding="ascii").splitlines()
        return [{name: value for name, value in json.loads(line).items() if name != "at"} for line in lines]

    @contextlib.contextmanager
    def serving(self) -> Iterator[Running]:
        """Run ``dsr keys serve`` from the settings file while inside."""
        program = [sys.executable, "-c", "from vault.cli import main; main()", "keys", "serve"]
        process = launch(program, log=self.home / "log", env=self.env, cwd=Path.cwd())
        try:
            wait_until((self.home / "s").is_socket, "the key service", process=process)
            with guarded([process]):
                yield process
        finally:
            stop(process)


@contextlib.contextmanager
def held_keys() -> Iterator[HeldKeys]:
    """Lend a place for a key daemon; it is gone afterwards."""
    home = private_directory("dsrh-")
    try:
        yield HeldKeys(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def render_toml(table: Mapping[Any, Any], name: str = "") -> str:
    """Write nested tables as TOML; JSON's strings, numbers, booleans and lists are TOML's."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping | None)]
    inner = [(f"{name}.{key}" if name else str(key), value) for key, value in table.items()]
    parts = [render_toml(value, path) for path, value in inner if isinstance(value, Mapping)]
    head = [f"[{name}]"] if name else []
    return "\n".join([*head, *plain, *parts]) + "\n"
