"""``dsr log``: prove the access log, from outside or against the database, and tell who read about a subject."""

from typing import TYPE_CHECKING

import click

from vault.cli.log_copy import copy
from vault.cli.log_export import export
from vault.cli.log_who import who
from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.notes import VerifierKey
    from vault.accesslog.verify import Verdict
    from vault.settings import Settings


@click.group()
def log() -> None:
    """Prove the access log, and tell who read what of whom."""


log.add_command(copy)


log.add_command(export)


log.add_command(who)


@log.command()
@click.argument("source", required=False, metavar="[DIR_OR_URL]")
@click.option("--key", "vkey", metavar="VKEY", help="The log's public key; needed with DIR_OR_URL.")
@answering
def verify(source: str | None, vkey: str | None) -> Answer:
    """Check a copy of the published log, or without an argument the database against all that was signed."""
    verdict = _verify_copy(source, vkey) if source is not None else _verify_database(vkey)
    data = verdict.to_json()
    lines = [f"{verdict.size} entries, root {data['root']}"]
    lines += [f"{fault['code']}: {fault['at']}" for fault in data["faults"]]
    lines.append("everything agrees" if verdict.ok else "THE LOG DOES NOT AGREE with what it commits to")
    return Answer(data, lines, verdict.ok)


def _verify_copy(source: str, vkey: str | None) -> "Verdict":
    from vault.accesslog.notes import parse_vkey
    from vault.accesslog.sources import open_source
    from vault.accesslog.verify import verify_published

    if vkey is None:
        raise WrongUseError("key_missing", "give --key with the log's public key, which its controller published")
    return verify_published(open_source(source), parse_vkey(vkey))


def _verify_database(vkey: str | None) -> "Verdict":
    from vault.accesslog.notes import parse_vkey
    from vault.accesslog.recount import verify_database
    from vault.settings import load
    from vault.storage.database import Database
    from vault.storage.objects import Objects

    settings = load()
    key = parse_vkey(vkey) if vkey is not None else _own_key(settings)
    database = Database(settings.database.for_office("audit"))
    try:
        return verify_database(database, key, Objects(settings.objects))
    finally:
        database.close()


def _own_key(settings: "Settings") -> "VerifierKey":
    from vault.accesslog.notes import parse_vkey

    try:
        text = settings.log.public_key_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", "the file of log.public_key_file can't be read; copy it there") from None
    return parse_vkey(text.strip())
