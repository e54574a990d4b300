"""``dsr inspect``: show what a mail or a scan holds, without a case, a database or any setting."""

from pathlib import Path

import click

from vault.cli.output import Answer, answering
from vault.settings import Limits

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_GOOD = frozenset({"opened", "plain", "read", "person"})


@click.group()
def inspect() -> None:
    """Show what a mail or a scan holds."""


@inspect.command("mail")
@click.argument("file", type=_FILE)
@click.option("--gnupg-home", type=_DIRECTORY, help="The OpenPGP home that holds our secret key.")
@click.option("--smime-key", "smime_keys", multiple=True, type=_FILE, help="An S/MIME key: PEM or PKCS#12.")
@click.option("--smime-password", "passwords", multiple=True, help="The password of an S/MIME key.")
@answering
def mail(file: Path, gnupg_home: Path | None, smime_keys: tuple[Path, ...], passwords: tuple[str, ...]) -> Answer:
    """Open one mail and say what it holds."""
    from vault.intake.apart import Apart, OwnKeys
    from vault.intake.mail import MailTools, open_mail
    from vault.intake.openpgp import OpenPgp
    from vault.intake.smime import Smime
    from vault.intake.smimekey import load_any_key

    keys = tuple(load_any_key(path.read_bytes(), passwords) for path in smime_keys)
    openpgp, home = OpenPgp(gnupg_home), str(gnupg_home.absolute()) if gnupg_home else None
    apart = Apart(OwnKeys(home, smime=keys))
    try:
        opened = open_mail(_read(file), MailTools(openpgp, Smime(keys), apart=apart))
    finally:
        apart.close()
        openpgp.close()
    data = opened.to_json()
    return Answer(data, ok=data["outcome"] in _GOOD)


@inspect.command("scan")
@click.argument("file", type=_FILE)
@answering
def scan(file: Path) -> Answer:
    """Read a scanned file and say which letters and fields it holds."""
    from vault.intake.scan import read_scan

    result = read_scan(_read(file)).to_json()
    return Answer(result, ok=result["outcome"] in _GOOD)


def _read(file: Path) -> bytes:
    """Read a file, but no further than one byte past what is taken at all."""
    with click.open_file(str(file), "rb") as source:
        return bytes(source.read(Limits().message_bytes + 1))
