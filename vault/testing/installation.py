"""A whole installation on one machine: every server, every secret, and the settings file that names them.

Tests make one in memory and leave nothing behind; the demo keeps one in a folder, stops it
and finds it again.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from vault.crypto.keydir import KeyDirectory
from vault.crypto.keydir import init as init_keys
from vault.office import open_office
from vault.settings import Settings, load
from vault.settings_mailbox import MailboxSettings
from vault.steps.parts import Parts
from vault.storage.database import Connection, Database
from vault.storage.migrate import migrate
from vault.storage.objects import Objects
from vault.testing import dovecot, keyservice, moto_server, postgres, processes, rgw, smtp_sink
from vault.testing.controller import ADDRESS, make_openpgp_home, make_smime
from vault.testing.places import guarded_house, private_directory, write_private
from vault.testing.ports import free_port

CONTROLLER = {
    "name": "Example Clinic",
    "address": ["Esimerkkikatu 1", "00100 Helsinki"],
    "email": ADDRESS,
    "data_protection_officer": "dpo@clinic.example",
    "log_origin": "clinic.example/access-log",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """Where everything of one installation lies.

    :param home: its folder; servers' data, secrets, settings.
    """

    home: Path

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.home / "dsr.toml"

    @property
    def assertion_key(self) -> Path:
        """The key with which Airflow's plugin vouches for a user."""
        return self.home / "secrets" / "assertion.pem"

    @property
    def nest(self) -> Path:
        """A folder with a short path, for sockets."""
        return Path((self.home / "nest").read_text(encoding="utf-8"))

    def settings(self) -> Settings:
        """Load the settings."""
        return load(self.config)

    @contextmanager
    def office(self, name: str) -> Iterator[Parts]:
        """Open an office of this installation."""
        with open_office(name, self.settings()) as parts:
            yield parts

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """Connect as the database's owner, whom no grant and no row security binds: to look, or to do damage."""
        database = Database(self.settings().database)
        try:
            with database.connect() as connection:
                yield connection
        finally:
            database.close()

    def environment(self) -> dict[str, str]:
        """Return the environment in which child processes find this installation."""
        return {**os.environ, "DSR_CONFIG": str(self.config)}

    def sink(self) -> smtp_sink.SmtpSink:
        """Return the outgoing mail's folder."""
        return smtp_sink.start(self.home / "smtp")


def start(home: Path, *, durable: bool = True, stand_ins: bool = True) -> Installation:
    """Start every server of an installation, making what is missing; what runs already is adopted.

    :param stand_ins: allow moto and a Maildir where Ceph and Dovecot are not installed.
    :raises WrongUseError: ``server_missing``, with the Debian package.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    installation = Installation(home)
    if not (home / "nest").is_file() or not installation.nest.is_dir():
        write_private(home / "nest", str(private_directory("dsr-", parent=Path("/tmp"))))  # noqa: S108 - mkdtemp
    used: list[str] = []
    values = {
        "controller": CONTROLLER,
        "database": _database(home, durable=durable),
        "objects": _objects(home, used, durable=durable, stand_ins=stand_ins),
        "keys": _keys(installation),
        "mailbox": _mailbox(home, used, stand_ins=stand_ins),
        "scans": {"folder": str(_folder(home / "scans")), "settle_seconds": 0.0},
        "smtp": smtp_sink.start(home / "smtp").settings(ADDRESS).model_dump(mode="json", exclude_none=True),
        "openpgp": make_openpgp_home(_gpg_home(installation)).model_dump(mode="json"),
        "smime": make_smime(home / "secrets").model_dump(mode="json"),
        "desk": _desk(home, installation),
        "log": {"public_key_file": str(KeyDirectory(home / "keys").public("log"))},
        "stand_ins": used,
    }
    write_private(installation.config, to_toml(values))
    settings = installation.settings()
    migrate(settings.database)
    Objects(settings.objects).prepare()
    return installation


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _gpg_home(installation: Installation) -> Path:
    """Keep gpg's files in the home and reach them by a short path, because its agent makes sockets there."""
    link = installation.nest / "g"
    if not link.is_symlink():
        link.symlink_to(_folder(installation.home / "openpgp"))
    return link


def _database(home: Path, *, durable: bool) -> dict[str, Any]:
    server = postgres.start(home / "postgres", durable=durable)
    return server.create_vault("dsr_vault").model_dump(mode="json")


def _objects(home: Path, used: list[str], *, durable: bool, stand_ins: bool) -> dict[str, Any]:
    if rgw.installed() or not stand_ins:
        return rgw.start(home / "objects", durable=durable).settings().model_dump(mode="json")
    used.append("object store: moto instead of Ceph's RADOS Gateway; locks can be shortened and nothing outlives it")
    return moto_server.start(home / "objects").settings().model_dump(mode="json")


def _mailbox(home: Path, used: list[str], *, stand_ins: bool) -> dict[str, Any]:
    if dovecot.installed() or not stand_ins:
        return dovecot.start(home / "mailbox").settings(ADDRESS).model_dump(mode="json", exclude_none=True)
    used.append("mailbox: a Maildir instead of Dovecot over TLS")
    maildir = _folder(home / "mailbox")
    for name in ("tmp", "new", "cur"):
        _folder(maildir / name)
    return MailboxSettings(kind="maildir", path=maildir, address=ADDRESS).model_dump(mode="json", exclude_none=True)


def _keys(installation: Installation) -> dict[str, Any]:
    folder = installation.home / "keys"
    init_keys(folder, str(CONTROLLER["log_origin"]))
    files = KeyDirectory(folder)
    socket = installation.nest / "k"
    if processes.read_pid(folder / "daemon.pid") is None:
        socket.unlink(missing_ok=True)
        running = keyservice.launch_key_service(files, socket)
        write_private(folder / "daemon.pid", running.process.to_json())
    return {"socket": str(socket), "token_files": {name: str(path) for name, path in files.token_files.items()}}


def _desk(home: Path, installation: Installation) -> dict[str, Any]:
    folder = _folder(home / "secrets")
    public = folder / "assertion.pub.pem"
    if not installation.assertion_key.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        write_private(installation.assertion_key, pem)
        write_private(folder / "session", secrets.token_urlsafe(32))
        write_private(folder / "ports", json.dumps({"desk": free_port(), "airflow": free_port()}))
    ports = json.loads((folder / "ports").read_text(encoding="utf-8"))
    return {
        "url": f"http://127.0.0.1:{ports['desk']}",
        "port": ports["desk"],
        "assertion_public_key_file": str(public),
        "session_secret_file": str(folder / "session"),
        "decision_public_key_file": str(KeyDirectory(home / "keys").public("desk")),
        "airflow_url": f"http://127.0.0.1:{ports['airflow']}",
        "airflow_user": "desk",
        "airflow_password_file": str(home / "airflow" / "passwords" / "desk"),
    }


def stop(home: Path) -> None:
    """Stop every server; data and secrets stay."""
    processes.stop_named("desk", home)
    processes.stop_named("daemon", home / "keys")
    smtp_sink.stop(home / "smtp")
    for module in (dovecot, rgw, moto_server, postgres):
        module.stop(home / {dovecot: "mailbox", postgres: "postgres"}.get(module, "objects"))
    note = home / "nest"
    if note.is_file():
        shutil.rmtree(Path(note.read_text(encoding="utf-8")), ignore_errors=True)
        note.unlink()


def destroy(home: Path) -> None:
    """Stop every server and remove all that it kept."""
    stop(home)
    postgres.destroy(home / "postgres")
    rgw.destroy(home / "objects")
    dovecot.destroy(home / "mailbox")
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def installed() -> Iterator[Installation]:
    """Run a whole installation, with real servers only, while inside; it leaves nothing behind."""
    home = private_directory("dsr-inst-")
    try:
        made = start(home, durable=False, stand_ins=False)
        with guarded_house(home):
            yield made
    finally:
        destroy(home)


def to_toml(values: dict[str, Any]) -> str:
    """Write settings as TOML; JSON's strings, numbers, booleans and lists are TOML's."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if value is not None]
    for name, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *_table(name, table)]
    return "\n".join(lines) + "\n"


def _table(name: str, table: dict[str, Any]) -> list[str]:
    plain = [f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None and not isinstance(v, dict)]
    for key, inner in table.items():
        if isinstance(inner, dict):
            plain += ["", f"[{name}.{key}]", *(f"{k} = {json.dumps(v)}" for k, v in inner.items())]
    return plain
