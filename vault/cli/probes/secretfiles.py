"""Secret files: each that lies on this machine is its reader's alone, not empty and no well-known default."""

import functools
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.settings import Settings, read_secret

_PUBLIC = ("public_key_file", "certificate_file", "ca_file", "audit_file", "ledger_file")
_SEALED = ("keys.key_file", "keys.kms.bundle_file", "keys.pkcs11.bundle_file")
_NO_TEXT = _SEALED  # looked at from outside only, as are the PEM keys of S/MIME


def probe(settings: Settings) -> Iterator[Finding]:
    """Look at every secret file that the settings name; one that is not on this machine is another's."""
    for name, file in secret_files(settings):
        yield from tried("secrets", iter([_trial(name, file)]))


def secret_files(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """List the secret files in settings with the settings' names, such as `database.password_file`."""
    for name, value in part:
        if isinstance(value, BaseModel):
            yield from secret_files(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            tables = (item for item in value if isinstance(item, BaseModel))
            for number, item in enumerate(tables):
                yield from secret_files(item, f"{prefix}{name}.{number}.")
        elif name in ("token_files", "password_files"):
            yield from ((f"{prefix}{name}.{office}", Path(file)) for office, file in value.items())
        elif name.endswith("_file") and not name.endswith(_PUBLIC) and isinstance(value, Path):
            yield f"{prefix}{name}", value


def _trial(name: str, file: Path) -> Trial:
    return f"{name} is private", functools.partial(_private, name, file)


def _private(name: str, file: Path) -> str:
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return "not on this machine"
    except OSError:
        return "not within this account's reach"
    if mode & 0o007:
        raise UnfitError("others may use it; run chmod o-rwx on it")
    if name not in _NO_TEXT and not (name.startswith("smime.") and name.endswith(".key_file")):
        read_secret(file)
    return f"mode {mode & 0o777:03o}"
