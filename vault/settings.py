"""Settings: typed, from one TOML file; secrets by reference to files; empty and default ones are refused.

The file's path comes from ``DSR_CONFIG`` (else ``/etc/dsr-vault/dsr.toml``). No secret stands in
it: ``*_file`` settings name files that only their reader's account may open.
"""

import os
import stat
import tomllib
import warnings
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from vault.errors import WrongUseError
from vault.settings_keys import KeySettings
from vault.settings_mailbox import MailboxSettings, all_different
from vault.settings_parts import FilePath, Part

DEFAULT_PATH = Path("/etc/dsr-vault/dsr.toml")
_KNOWN_DEFAULTS = frozenset(
    [
        "password",
        "passw0rd",
        "changeme",
        "change-me",
        "admin",
        "administrator",
        "airflow",
        "postgres",
        "secret",
        "secretsecret",
        "default",
        "example",
        "dsr-vault",
        "dsrvault",
        "test",
        "letmein",
        "12345678",
        "123456789012",
        "minioadmin",
        "root",
        "qwerty",
    ]
)
_SHORTEST_SECRET = 12  # characters


class Controller(Part):
    """The care provider in whose name letters go out; shown on every letter."""

    name: str
    address: list[str]
    email: str
    data_protection_officer: str
    log_origin: str = "dsr-vault.example/access-log"
    portal: str = Field(default="", pattern=r"^(https://\S+)?$")


def office_role(database: str, office: str) -> str:
    """Name the database role that an office logs in as."""
    return f"{database}_{office}"


class DatabaseSettings(Part):
    """PostgreSQL: a host name or a directory that holds its socket; the owner's account, and one for each office.

    ``user`` and ``password_file`` are the owner's, for ``dsr migrate`` alone.
    """

    host: str
    port: int = 5432
    name: str = "dsr_vault"
    user: str
    password_file: FilePath
    password_files: dict[str, FilePath] = Field(default={})
    ssl_mode: Literal["disable", "require", "verify-full"] = "require"

    def for_office(self, office: str) -> "DatabaseSettings":
        """Give the way in of one office: a role of its own, which owns nothing.

        :raises WrongUseError: this machine names no database password of the office.
        """
        password_file = self.password_files.get(office)
        if password_file is None:
            advice = f"name the password file of the office {office} in database.password_files"
            raise WrongUseError("no_database_password", advice)
        role = office_role(self.name, office)
        return self.model_copy(update={"user": role, "password_file": password_file, "password_files": {}})


class ObjectSettings(Part):
    """S3: one bucket for sealed objects, one with Object Lock for the log's checkpoints."""

    endpoint: str
    region: str = "eu-north-1"
    bucket: str = "dsr-vault"
    log_bucket: str = "dsr-vault-log"
    access_key_file: FilePath
    secret_key_file: FilePath


class ScanSettings(Part):
    """The folder into which the scanner drops files."""

    folder: FilePath
    settle_seconds: float = Field(default=2.0, ge=0)  # a file changed since is still being written


class SmtpSettings(Part):
    """The mail server that takes outgoing mail."""

    host: str
    port: int
    sender: str
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password_file: FilePath | None = None
    ca_file: FilePath | None = None


class ReplySettings(Part):
    """Automatic replies: whether one is encrypted when a usable key is known, and how many a sender gets in a day."""

    encrypt: bool = True
    a_day: int = Field(default=20, gt=0)


class OpenPgpSettings(Part):
    """The controller's own OpenPGP home: reads mail, signs packages."""

    home: FilePath
    fingerprint: str
    passphrase_file: FilePath


class SmimeKeySettings(Part):
    """One S/MIME key of the controller and its certificate."""

    key_file: FilePath
    certificate_file: FilePath
    passphrase_file: FilePath


class SmimeSettings(SmimeKeySettings):
    """The controller's own S/MIME key and certificate, and those from before, which open late mail."""

    older: list[SmimeKeySettings] = Field(default=[])


class DeskSettings(Part):
    """The staff's web pages, and how their users are brought from Airflow."""

    url: str
    host: str = "127.0.0.1"
    port: int = 8090
    assertion_public_key_file: FilePath
    session_secret_file: FilePath
    decision_public_key_file: FilePath
    airflow_url: str
    airflow_user: str = ""
    airflow_password_file: FilePath | None = None
    ca_file: FilePath | None = None


class WitnessSettings(Part):
    """One witness that cosigns the access log's checkpoints: where it is asked, and the file with its key."""

    url: str = Field(pattern=r"^https?://")
    vkey_file: FilePath


class LogSettings(Part):
    """The access log's public half, and who witnesses it."""

    public_key_file: FilePath
    witnesses: list[WitnessSettings] = Field(default=[])


class RegisterSettings(Part):
    """The patient register: our own encrypted one, or a FHIR R4 server's."""

    kind: Literal["own", "fhir"] = "own"
    url: str = ""
    token_url: str = ""
    client_id: str = ""
    client_secret_file: FilePath | None = None
    scope: str = "system/*.read"
    ca_file: FilePath | None = None
    timeout_seconds: float = Field(default=30.0, gt=0)
    pages: int = Field(default=500, gt=0)
    answer_bytes: int = Field(default=200_000_000, gt=0)

    @model_validator(mode="after")
    def _one_register(self) -> Self:
        remote = (self.url, self.token_url, self.client_id, self.client_secret_file)
        if self.kind == "fhir" and not all(remote):
            advice = "register.kind is fhir: set url, token_url, client_id and client_secret_file in [register]"
            raise WrongUseError("register_incomplete", advice)
        if self.kind == "own" and any(remote):
            raise WrongUseError("register_mixed", "register.kind is own: take the server out of [register]")
        if any(url and not url.startswith("https://") for url in (self.url, self.token_url)):
            raise WrongUseError("register_plain", "a FHIR server is reached by https; correct [register]")
        return self


class Limits(Part):
    """Bounds that a careful operator may tighten."""

    pages: int = Field(default=200, gt=0)
    pixels: int = Field(default=60_000_000, gt=0)
    parts: int = Field(default=200, gt=0)
    depth: int = Field(default=12, gt=0)
    message_bytes: int = Field(default=60_000_000, gt=0)
    child_seconds: int = Field(default=120, gt=0)
    child_bytes: int = Field(default=2_000_000_000, gt=0)
    code_days: int = Field(default=14, gt=0)
    retention_days: int = Field(default=1095, gt=0)
    patients_an_hour: int = Field(default=100, gt=0)  # distinct ones that a person may open (DOMAIN.md section 6)
    emergency_minutes: int = Field(default=30, gt=0, le=240)
    emergencies_a_day: int = Field(default=5, gt=0)


# pydantic warns of ABCMeta.register, which nobody calls on settings
warnings.filterwarnings("ignore", message='Field name "register" in "Settings" shadows', category=UserWarning)


class Settings(Part):
    """All of it."""

    controller: Controller
    database: DatabaseSettings
    objects: ObjectSettings
    keys: KeySettings
    mailbox: MailboxSettings
    mailboxes: list[MailboxSettings] = Field(default=[])
    scans: ScanSettings
    smtp: SmtpSettings
    openpgp: OpenPgpSettings
    smime: SmimeSettings
    desk: DeskSettings
    log: LogSettings
    replies: ReplySettings = ReplySettings()
    limits: Limits = Limits()
    register: RegisterSettings = RegisterSettings()
    register_notes: bool = True
    stand_ins: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _mailboxes_differ(self) -> Self:
        all_different(self.mailbox, self.mailboxes)
        return self


def load(path: Path | None = None) -> Settings:
    """Read the settings file.

    :param path: the file; else the one that ``DSR_CONFIG`` names, else ``/etc/dsr-vault/dsr.toml``.
    :raises WrongUseError: the file is missing or a setting is wrong; names the setting, never its value.
    """
    path = path or Path(os.environ.get("DSR_CONFIG", DEFAULT_PATH))
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"the settings file can't be read ({error.strerror}); set DSR_CONFIG to its path"
        raise WrongUseError("settings_missing", msg) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUseError("settings_malformed", f"the settings file is no TOML: {error}") from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False))
        raise WrongUseError("settings_invalid", f"correct these settings: {faults}") from None


def read_secret(path: Path) -> str:
    """Read one secret from its file, without the line end.

    :raises WrongUseError: missing, readable by others, empty, shorter than 12 characters or a known default.
    """
    try:
        mode = path.stat().st_mode
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        msg = f"the secret file {path.name} can't be read; make it with `dsr keys init` or fix its owner"
        raise WrongUseError("secret_missing", msg) from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise WrongUseError("secret_world_readable", f"others may read {path.name}; run chmod 600 on it")
    if not value:
        raise WrongUseError("secret_empty", f"{path.name} is empty; put a random secret into it")
    if value.lower() in _KNOWN_DEFAULTS or len(set(value)) == 1:
        raise WrongUseError("secret_default", f"{path.name} holds a well-known default; put a random secret into it")
    if len(value) < _SHORTEST_SECRET:
        raise WrongUseError("secret_short", f"{path.name} holds fewer than {_SHORTEST_SECRET} characters")
    return value
