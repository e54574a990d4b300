"""``dsr keys signer``: exchange the log's signing key in two steps while it goes on signing."""

from pathlib import Path

import click

from vault.cli.keys_places import FILE, settings_for
from vault.cli.keys_roots import HUP, change, places, status_of
from vault.cli.output import Answer, answering
from vault.crypto.custody import Custody, Keys
from vault.crypto.holder import Holder, Versions
from vault.crypto.holder_signers import add_held_signer, promote_held_signer, retire_held_signer
from vault.crypto.holders import open_holder
from vault.crypto.keydir import KeyDirectory
from vault.crypto.signerfile import add_signer, list_vkey, next_number, promote_signer, retire_signer, vkey_of
from vault.crypto.signers import ROTATING
from vault.errors import RefusedError, WrongUseError
from vault.settings import load
from vault.settings_keys import KeySettings

_NAME = click.argument("name", type=click.Choice(ROTATING))
_NUMBER = click.argument("number", type=click.IntRange(min=1))
_LISTED = click.option("--vkey-file", type=FILE, help="The log's verifier keys, to be added to; else the directory's.")


@click.group()
def signer() -> None:
    """Exchange the log's signing key: add a version, let it sign, retire the old one."""


@signer.command("add")
@_NAME
@_LISTED
@places
@answering
def add(name: str, vkey_file: Path | None, directory: Path | None, **given: Path | None) -> Answer:
    """Add a version of NAME; it signs nothing yet. Give its public half to everybody who checks the log."""
    settings = settings_for(directory, given, {})
    listed = _listed(name, vkey_file, directory)
    origin = _origin(listed)
    if settings.custody == "local":
        holder: Holder = Custody(change(settings, lambda keys: add_signer(keys, name)))
        number = next_number(holder.signers(name))
    else:
        number = add_held_signer(settings, name)
        holder = open_holder(settings)
    vkey = vkey_of(holder, name, number, origin)
    if listed is not None:
        _list(listed, vkey)
    lines = [
        vkey,
        f"version {number} is held and signs nothing yet; put the line above in front of those in every {name}.vkey,",
        f"{HUP}, then `dsr keys signer promote {name} {number}`",
    ]
    return _told(holder.signers(name), lines, vkey=vkey)


@signer.command("promote")
@_NAME
@_NUMBER
@_LISTED
@places
@answering
def promote(name: str, number: int, vkey_file: Path | None, directory: Path | None, **given: Path | None) -> Answer:
    """Let version NUMBER of NAME sign first, once the running key service holds it; older ones sign beside it."""
    settings = settings_for(directory, given, {})
    running = _running(settings, name)
    if running is not None and number not in running.held:
        raise RefusedError("signer_not_loaded", f"the key service does not hold version {number} yet; {HUP} first")
    unseen = "" if running else "the key service was not reached: make sure that each one holds this version; "
    listed = _listed(name, vkey_file, directory)
    if settings.custody != "local":
        line = promote_held_signer(settings, name, number)
        holder = open_holder(settings)
        _check_listed(listed, holder, name, number)
        return _told(holder.signers(name), [unseen + line])

    def promoted(keys: Keys) -> Keys:
        after = promote_signer(keys, name, number)
        _check_listed(listed, Custody(after), name, number)
        return after

    keys = change(settings, promoted)
    line = f"{unseen}version {number} is primary in the key file; {HUP}. Older versions sign beside it until retired"
    return _told(Custody(keys).signers(name), [line])


@signer.command("retire")
@_NAME
@_NUMBER
@places
@answering
def retire(name: str, number: int, directory: Path | None, **given: Path | None) -> Answer:
    """Destroy the private half of version NUMBER of NAME; what it signed stays good."""
    settings = settings_for(directory, given, {})
    running = _running(settings, name)
    if running is not None and running.primary == number:
        raise RefusedError("signer_is_primary", f"the key service still signs with version {number}; {HUP} first")
    if settings.custody == "local":
        versions = Custody(change(settings, lambda keys: retire_signer(keys, name, number))).signers(name)
    else:
        retire_held_signer(settings, name, number)
        versions = open_holder(settings).signers(name)
    line = f"version {number} signs no more; {HUP}. Leave its line in every {name}.vkey: old checkpoints need it"
    return _told(versions, [line])


def _listed(name: str, vkey_file: Path | None, directory: Path | None) -> Path | None:
    return vkey_file or (KeyDirectory(directory).public(name) if directory else None)


def _check_listed(listed: Path | None, holder: Holder, name: str, number: int) -> None:
    """Let pass a version whose verifier key stands in the file, where one is known.

    :raises RefusedError: it does not: what it signed would be a stranger's.
    """
    if listed is not None and vkey_of(holder, name, number, _origin(listed)) not in listed.read_text().splitlines():
        raise RefusedError("signer_unlisted", f"{listed.name} lacks version {number}; run `dsr keys signer add` again")


def _running(settings: KeySettings, name: str) -> Versions | None:
    """Ask the running key service which versions it holds; None where none answers."""
    return status_of(settings, lambda service: service.signers(name))


def _origin(listed: Path | None) -> str:
    """Read the log's name from its verifier keys, else from the settings.

    :raises WrongUseError: the file holds no verifier keys, or can't be read.
    """
    if listed is None:
        return load().controller.log_origin
    from vault.accesslog.notes import parse_vkeys

    try:
        return parse_vkeys(listed.read_text(encoding="utf-8"))[0].name
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", f"{listed.name} can't be read; give --vkey-file") from None


def _list(listed: Path, vkey: str) -> None:
    try:
        list_vkey(listed, vkey)
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("key_directory", f"{listed.name} can't be written; fix its owner, add again") from None


def _told(versions: Versions, lines: list[str], **more: str) -> Answer:
    return Answer({"ok": True, "primary": versions.primary, "held": list(versions.held), **more}, lines)
