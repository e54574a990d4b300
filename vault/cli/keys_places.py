"""Where the key commands find their files: an option, else a key directory, else the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vault.crypto.keydir import KeyDirectory
from vault.errors import WrongUseError
from vault.settings import load
from vault.settings_keys import KeySettings

FILE = click.Path(path_type=Path)
DIRECTORY = click.option(
    "--directory", type=FILE, help="A directory from `dsr keys init`; else the settings say where."
)


def settings_for(directory: Path | None, given: Mapping[str, Path | None], tokens: Mapping[str, Path]) -> KeySettings:
    """Join what was given with a key directory, else with the settings file where something is missing.

    :param given: settings of the key service by name; None where the option was not used.
    :param tokens: token files by office.
    """
    told: dict[str, Any] = {name: path for name, path in given.items() if path}
    told |= {"token_files": dict(tokens)} if tokens else {}
    if directory:
        return KeySettings.model_validate(_layout(KeyDirectory(directory)) | told)
    if tokens and all(given.values()):
        return KeySettings.model_validate(told)
    return load().keys.model_copy(update=told)


def _layout(files: KeyDirectory) -> dict[str, Any]:
    names = ("socket", "token_files", "key_file", "passphrase_file", "audit_file")
    return {name: getattr(files, name) for name in names}


def present(path: Path | None, option: str) -> Path:
    """Let pass a file that a command can't do without.

    :raises WrongUseError: neither an option nor the settings name it.
    """
    if path is None:
        raise WrongUseError("key_setting_missing", f"give --{option}, or set it under [keys] in the settings")
    return path


def pair(text: str) -> tuple[str, Path]:
    """Read ``OFFICE=FILE``.

    :raises WrongUseError: anything else.
    """
    office, _, file = text.partition("=")
    if not office or not file:
        raise WrongUseError("token_malformed", "write a token file as OFFICE=FILE")
    return office, Path(file)
