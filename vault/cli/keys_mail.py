"""``dsr keys mail``: make the mailbox's OpenPGP and S/MIME keys, give out their public halves, rotate them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vault.cli.keys_places import FILE
from vault.cli.output import Answer, answering
from vault.settings import load

if TYPE_CHECKING:
    from vault.intake.mailkeystore import MailKeys
    from vault.intake.ownkeys import OwnKey

_DIRECTORY = click.option("--directory", type=FILE, help="One from `dsr keys mail init`; else the settings say where.")
_PASSPHRASE = click.option("--passphrase-file", type=FILE, help="Their passphrase; else `passphrase` in the directory.")
_ADDRESS = click.option("--address", help="The mailbox's address; else the settings'.")
_NAME = click.option("--name", help="The controller's name in the keys; else the settings'.")
_SELF_SIGNED = click.option(
    "--self-signed", is_flag=True, help="Sign the S/MIME certificate ourselves: for trials; mail programs will warn."
)


@click.group()
def mail() -> None:
    """Make, export and rotate the keys that mail to us is encrypted to."""


@mail.command()
@click.argument("directory", type=FILE)
@_PASSPHRASE
@_NAME
@_ADDRESS
@_SELF_SIGNED
@answering
def init(
    *, directory: Path, passphrase_file: Path | None, name: str | None, address: str | None, self_signed: bool
) -> Answer:
    """Make OpenPGP key, S/MIME key and certificate request in DIRECTORY; what stands there stays."""
    from vault.intake.mailkeystore import make_mail_keys

    now = datetime.now(UTC)
    holder, mailbox = _who(name, address)
    keys, made = make_mail_keys(directory, passphrase_file, holder, mailbox, now, self_signed=self_signed)
    lines = [f"made {item}" for item in made] or ["everything stands already; nothing was changed"]
    told = ["", "in the settings:", *keys.settings_lines(now)]
    return Answer({"ok": True, "fingerprint": keys.fingerprint, "made": made}, [*lines, *told])


@mail.command()
@click.argument("folder", type=FILE)
@_DIRECTORY
@_PASSPHRASE
@_ADDRESS
@answering
def export(folder: Path, directory: Path | None, passphrase_file: Path | None, address: str | None) -> Answer:
    """Write public key, certificate and a Web Key Directory into FOLDER, for mail and for the web server."""
    from vault.intake.wkd import wkd_urls

    _, mailbox = _who("-", address)
    keys = _keys(directory, passphrase_file, mailbox)
    written = keys.export(folder, mailbox, datetime.now(UTC))
    urls = wkd_urls(mailbox)
    lines = [f"wrote {name}" for name in written] + [f"mail programs will ask {url}" for url in urls]
    return Answer({"ok": True, "fingerprint": keys.fingerprint, "files": written, "urls": list(urls)}, lines)


@mail.command()
@_DIRECTORY
@_PASSPHRASE
@_NAME
@_ADDRESS
@_SELF_SIGNED
@click.option(
    "--after",
    "days",
    default=30,
    show_default=True,
    type=click.IntRange(min=0, max=700),
    help="Keep keys that are younger than so many days: again is harmless.",
)
@answering
def rotate(
    *,
    directory: Path | None,
    passphrase_file: Path | None,
    name: str | None,
    address: str | None,
    self_signed: bool,
    days: int,
) -> Answer:
    """Make new keys to encrypt to beside the old ones, which go on opening mail."""
    now = datetime.now(UTC)
    holder, mailbox = _who(name, address)
    keys = _keys(directory, passphrase_file, mailbox)
    made = keys.rotate(holder, mailbox, now, timedelta(days=days), self_signed=self_signed)
    lines = [f"made {item}" for item in made] or [f"the keys are younger than {days} days; nothing was changed"]
    told = ["", "in the settings:", *keys.settings_lines(now), "", "then export, and publish what was exported"]
    return Answer({"ok": True, "fingerprint": keys.fingerprint, "made": made}, [*lines, *told] if made else lines)


@mail.command()
@_DIRECTORY
@_PASSPHRASE
@_ADDRESS
@answering
def status(directory: Path | None, passphrase_file: Path | None, address: str | None) -> Answer:
    """Show which key opens what until when; exit 1 when one expires within 60 days or something is missing."""
    from vault.intake.ownkeys import complaints

    now = datetime.now(UTC)
    keys = _keys(directory, passphrase_file, _who("-", address)[1]).keys(now)
    said = complaints(keys, now)
    rows = [_row(key) for key in keys]
    data = {"ok": not said, "keys": [key.to_json() for key in keys], "to_do": said}
    return Answer(data, [*rows, *said] or ["no keys"], ok=not said)


def _row(key: "OwnKey") -> str:
    until = f"until {key.expires.date().isoformat()}" if key.expires else ""
    opens = "opens" if key.opens else ""
    return f"{key.kind:7} {key.state.value:8} {opens:5} {until:16} {key.name} ({', '.join(sorted(key.uses))})"


def _who(name: str | None, address: str | None) -> tuple[str, str]:
    """Join what was given with the settings where something is missing."""
    if name and address:
        return name, address
    settings = load()
    return name or settings.controller.name, address or settings.mailbox.address


def _keys(directory: Path | None, passphrase_file: Path | None, address: str) -> "MailKeys":
    from vault.intake.mailkeystore import in_directory, in_settings

    return in_directory(directory, passphrase_file, address) if directory else in_settings(load())
