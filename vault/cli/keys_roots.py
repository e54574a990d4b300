"""``dsr keys root``, ``rewrap``, ``list``, ``shred``: rotate roots while everybody works, destroy a key."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from vault.cli import keys_held
from vault.cli.keys_places import DIRECTORY, FILE, present, settings_for
from vault.cli.output import Answer, answering
from vault.crypto.custody import Keys
from vault.crypto.local import KeyServiceStatus, LocalKeyService
from vault.crypto.roots import add_root, change_key_file, promote_root, remove_root, roots_of
from vault.domain.roles import OfficeName
from vault.errors import OutOfReachError, RefusedError
from vault.office import open_office
from vault.settings import read_secret
from vault.settings_keys import KeySettings
from vault.steps.rewrap import rewrap as rewrap_keys
from vault.steps.shred import shred as shred_subject
from vault.storage.custody import RootCount, counts

_HOLDERS = {1: "local", 2: "aws-kms", 3: "pkcs11"}  # by the format byte of the keys that they wrap
_Value = TypeVar("_Value")
HUP = "send SIGHUP to every key service that has this key file"


@click.group()
def root() -> None:
    """Root keys: add, make primary, remove; `dsr keys rewrap` stands between the last two."""


def places(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the keys lie and who serves them."""
    for option in (
        DIRECTORY,
        click.option("--key-file", type=FILE, help="The sealed keys."),
        click.option("--passphrase-file", type=FILE, help="Their passphrase."),
        click.option("--socket", type=FILE, help="The running key service's socket."),
    ):
        command = option(command)
    return command


@root.command()
@places
@answering
def add(directory: Path | None, **given: Path | None) -> Answer:
    """Add a root to the key file or token, or prove KMS's; it wraps nothing yet. Then SIGHUP to every key service."""
    settings = settings_for(directory, given, {})
    if settings.custody != "local":
        return keys_held.add(settings)
    keys = change(settings, add_root)
    return _told(keys, f"root {max(keys.roots)} stands in the key file; {HUP}, then `dsr keys root promote`")


@root.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@places
@answering
def promote(number: int | None, directory: Path | None, **given: Path | None) -> Answer:
    """Make root NUMBER (the newest, if none is given) primary, once the running key service holds it."""
    settings = settings_for(directory, given, {})
    status = _status(settings)
    if settings.custody != "local":
        return keys_held.promote(settings, number, status)

    def chosen_one(keys: Keys) -> Keys:
        chosen = number or max(keys.roots)
        if status is not None and status.custody == "local" and chosen not in status.roots.held:
            raise RefusedError("root_not_loaded", f"the key service does not hold root {chosen} yet; {HUP} first")
        return promote_root(keys, chosen)

    keys = change(settings, chosen_one)
    unseen = "" if status else "the key service was not reached: make sure that each one holds this root; "
    return _told(keys, f"{unseen}root {keys.primary} is primary in the key file; {HUP}, then `dsr keys rewrap`")


@root.command()
@click.argument("number", type=click.IntRange(min=1))
@places
@answering
def remove(number: int, directory: Path | None, **given: Path | None) -> Answer:
    """Destroy root NUMBER; refused while a wrapped key stands under it."""
    settings = settings_for(directory, given, {})
    status = _status(settings)
    if settings.custody != "local":
        return keys_held.remove(settings, number, status, _left(settings.custody, number))
    if status is not None and status.custody == "local" and status.roots.primary == number:
        raise RefusedError("root_is_primary", f"the key service still wraps under root {number}; {HUP} first")
    if left := _left("local", number):
        raise RefusedError("root_in_use", f"{left} wrapped keys stand under root {number}; run `dsr keys rewrap` first")
    keys = change(settings, lambda keys: remove_root(keys, number))
    return _told(keys, f"root {number} is not in the key file; {HUP}. Backups of before need a key file of before")


@click.command()
@click.option("--limit", type=click.IntRange(min=1), help="At most so many keys now.")
@answering
def rewrap(limit: int | None) -> Answer:
    """Wrap every wrapped key anew under the primary root; stop and start again as you like."""
    with open_office(OfficeName.KEEPER) as parts:
        done = rewrap_keys(parts, limit, lambda line: click.echo(line, err=True))
    lines = [f"{done['rewrapped']} keys wrapped anew, {done['destroyed']} destroyed ones removed"]
    if done["faulty"]:
        lines.append(f"{done['faulty']} keys do not open: restore them from a backup")
    return Answer({"ok": not done["faulty"], **done}, lines, ok=not done["faulty"])


@click.command("list")
@answering
def list_keys() -> Answer:
    """Count the wrapped keys by kind and root; no key is shown."""
    found = [
        {"kind": count.kind, "custody": _HOLDERS.get(count.holder, "?"), "root": count.root, "keys": count.keys}
        for count in _counts()
    ]
    lines = [f"{one['kind']:8}  {one['custody']:8}  root {one['root']:<4}  {one['keys']:>10}" for one in found]
    return Answer({"keys": found}, lines or ["no wrapped keys"])


@click.command()
@click.argument("subject")
@answering
def shred(subject: str) -> Answer:
    """Destroy SUBJECT's record key, and so her care records, for good; identity and log stay."""
    with open_office(OfficeName.KEEPER) as parts:
        done = shred_subject(parts, subject)
    line = f"the record key is destroyed: {done['keys']} wrapped keys and {done['records']} records removed"
    return Answer({"ok": True, **done}, [line])


def _left(custody: str, number: int) -> int:
    """Count the wrapped keys that still stand under a root."""
    return sum(count.keys for count in _counts() if (_HOLDERS.get(count.holder), count.root) == (custody, number))


def _counts() -> list[RootCount]:
    with open_office(OfficeName.KEEPER) as parts, parts.database.connect() as connection:
        return counts(connection)


def change(settings: KeySettings, act: Callable[[Keys], Keys]) -> Keys:
    """Change the key file that the settings name.

    :raises WrongUseError: they name none, or it can't be opened or written.
    """
    key_file = present(settings.key_file, "key-file")
    return change_key_file(key_file, present(settings.passphrase_file, "passphrase-file"), act)


def status_of(settings: KeySettings, ask: Callable[[LocalKeyService], _Value]) -> _Value | None:
    """Ask the running key service something; None where none answers."""
    token_file = settings.token_files.get(OfficeName.OPERATOR.value)
    if token_file is None:
        return None
    service = LocalKeyService(settings.socket, read_secret(token_file))
    with contextlib.suppress(OutOfReachError), contextlib.closing(service):
        return ask(service)
    return None


def _status(settings: KeySettings) -> KeyServiceStatus | None:
    return status_of(settings, LocalKeyService.status)


def _told(keys: Keys, line: str) -> Answer:
    roots = roots_of(keys)
    return Answer({"ok": True, "primary": roots.primary, "held": list(roots.held)}, [line])
