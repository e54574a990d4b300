"""An installation that is all custody: a real PostgreSQL and key daemon; mail, objects and desk are names only."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from vault.accesslog.entries import Access
from vault.cli import main
from vault.crypto.custody import Keys
from vault.crypto.keydir import KeyDirectory
from vault.crypto.roots import add_root, change_key_file, promote_root, remove_root
from vault.domain.records import Record, RecordKind
from vault.domain.roles import Purpose
from vault.register.port import Register
from vault.settings import DatabaseSettings, read_secret
from vault.steps.parts import Parts
from vault.steps.rewrap import rewrap
from vault.steps.shred import shred
from vault.storage.migrate import migrate
from vault.testing.installation import CONTROLLER, Installation, to_toml
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.places import private_directory, write_private
from vault.testing.postgres import PostgresServer, postgres
from vault.testing.processes import running_in

CASE = "DSR-2026-7K3QXM"
_PATIENCE = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class CustodyHouse:
    """A house with its two servers running.

    :param installation: its settings and offices; a child finds it by ``installation.home``.
    """

    installation: Installation
    server: PostgresServer
    keys: RunningKeyService

    def hup(self) -> None:
        """Have the key daemon open its roots anew, and wait until its audit says how that went."""
        reload(self.keys)

    def dsr(self, *words: str | Path) -> Result:
        """Run a command as an operator would."""
        return CliRunner().invoke(main, [*map(str, words)], env={"DSR_CONFIG": str(self.installation.config)})

    def audit(self, verb: str) -> list[str]:
        """Give the audit's lines about one verb."""
        return [line for line in self.keys.audit_lines() if f'"verb": "{verb}"' in line]


@contextmanager
def custody_house(keys: Path | None = None) -> Iterator[CustodyHouse]:
    """Run a house while inside; it leaves nothing behind.

    :param keys: a key directory to use; else one is made.
    """
    home = private_directory("dsr-cust-")
    try:
        with postgres() as server, start_key_service(keys or home / "keys") as running:
            database = server.create_vault("dsr_vault")
            write_private(home / "dsr.toml", to_toml(_values(home, database, running)))
            migrate(database)
            yield CustodyHouse(Installation(home), server, running)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _values(home: Path, database: DatabaseSettings, keys: RunningKeyService) -> dict[str, Any]:
    name = str(write_private(home / "unused", "no server takes this secret"))
    tokens = {office: str(path) for office, path in keys.files.token_files.items()}
    places = {name: str(getattr(keys.files, name)) for name in ("key_file", "passphrase_file", "audit_file")}
    return {
        "controller": CONTROLLER,
        "database": database.model_dump(mode="json"),
        "objects": {"endpoint": "http://127.0.0.1:9", "access_key_file": name, "secret_key_file": name},
        "keys": {"socket": str(keys.socket), **places, "token_files": tokens},
        "mailbox": {"kind": "maildir", "path": name, "address": CONTROLLER["email"]},
        "scans": {"folder": name},
        "smtp": {"host": "127.0.0.1", "port": 9, "sender": CONTROLLER["email"]},
        "openpgp": {"home": name, "fingerprint": "0", "passphrase_file": name},
        "smime": {"key_file": name, "certificate_file": name, "passphrase_file": name},
        "desk": {
            "url": "http://127.0.0.1:9",
            "assertion_public_key_file": name,
            "session_secret_file": name,
            "decision_public_key_file": name,
            "airflow_url": "http://127.0.0.1:9",
        },
        "log": {"public_key_file": str(keys.files.public("log"))},
    }


def read(parts: Parts, subject: str, kinds: Iterable[RecordKind] = tuple(RecordKind)) -> list[Record]:
    """Read a subject's records as the collector does: logged first."""
    wanted = tuple(kinds)
    look = Access(
        at=datetime.now(UTC),
        actor=parts.actor,
        actor_name=parts.actor,
        role=parts.office.value,
        purpose=Purpose.REGISTER_KEEPING,
        legal_ground="GDPR Article 15",
        case=CASE,
        subject=subject,
        kinds=tuple(kind.value for kind in wanted),
    )
    return register_of(parts).read(parts.log.record([look])[0], subject, wanted, case=CASE)


def read_in(home: Path, subject: str) -> None:
    """Read everything of a subject; a child may be killed at it."""
    with Installation(home).office("collector") as parts:
        read(parts, subject)


def shred_in(home: Path, subject: str) -> None:
    """Shred a subject; a child may be killed at it."""
    with Installation(home).office("keeper") as parts:
        shred(parts, subject)


def rewrap_in(home: Path) -> None:
    """Wrap every key anew; a child may be killed at it."""
    with Installation(home).office("keeper") as parts:
        rewrap(parts)


def add_in(directory: Path) -> None:
    """Add a root to a key file; a child may be killed at it."""
    files = KeyDirectory(directory)
    change_key_file(files.key_file, files.passphrase_file, add_root)


def promote_in(directory: Path) -> None:
    """Make the newest root of a key file primary; a child may be killed at it."""
    files = KeyDirectory(directory)
    change_key_file(files.key_file, files.passphrase_file, lambda keys: promote_root(keys, max(keys.roots)))


def remove_in(directory: Path) -> None:
    """Remove the oldest root of a key file, if it is not the only one; a child may be killed at it."""
    files = KeyDirectory(directory)
    change_key_file(files.key_file, files.passphrase_file, _without_oldest)


def _without_oldest(keys: Keys) -> Keys:
    return remove_root(keys, min(keys.roots)) if len(keys.roots) > 1 else keys


def register_of(parts: Parts) -> Register:
    """Give the register of an office that has one."""
    if parts.register is None:
        raise AssertionError("this office has no register")
    return parts.register


def dump(server: PostgresServer, database: DatabaseSettings) -> bytes:
    """Back a database up as an operator does: ``pg_dump`` in its own packed form, as the owner."""
    return _run(server, "pg_dump", database, ["--format=custom", database.name], b"")


def restore(server: PostgresServer, database: DatabaseSettings, packed: bytes) -> None:
    """Put a dump into a database, in place of all that stands there."""
    options = ["--clean", "--if-exists", "--no-owner", "--exit-on-error", f"--dbname={database.name}"]
    _run(server, "pg_restore", database, options, packed)


def _run(
    server: PostgresServer, program: str, database: DatabaseSettings, options: Sequence[str], given: bytes
) -> bytes:
    postmaster = Path(f"/proc/{running_in(server.home)[0].pid}/exe").readlink()
    place = ["-h", database.host, "-p", str(database.port), "-U", database.user]
    environment = {**os.environ, "PGPASSWORD": read_secret(database.password_file)}
    command = [str(postmaster.with_name(program)), *place, *options]
    done = subprocess.run(command, input=given, env=environment, check=False, capture_output=True)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout


def until(true: Callable[[], bool]) -> None:
    """Wait for something, up to 20 seconds.

    :raises AssertionError: it did not come.
    """
    deadline = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come in time")
        time.sleep(0.01)


def reload(keys: RunningKeyService) -> None:
    """Have a key daemon open its roots anew, and wait until its audit says how that went."""
    before = _reloads(keys)
    os.kill(keys.process.pid, signal.SIGHUP)
    until(lambda: _reloads(keys) > before)


def _reloads(keys: RunningKeyService) -> int:
    return sum('"verb": "reload"' in line for line in keys.audit_lines())
