"""``dsr log``: prove the access log, from outside or against the database, and tell who read about a subject."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from vault.cli.log_copy import copy
from vault.cli.log_export import export
from vault.cli.log_who import who
from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.notes import VerifierKey
    from vault.accesslog.verify import Verdict, Wanted
    from vault.settings import Settings


@click.group()
def log() -> None:
    """Prove the access log, and tell who read what of whom."""


log.add_command(copy)
log.add_command(export)
log.add_command(who)


@log.command()
@click.argument("source", required=False, metavar="[DIR_OR_URL]")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="The log's public key; repeat for older ones.")
@click.option(
    "--witness", "witnesses", multiple=True, metavar="VKEY", help="A witness that must have cosigned; repeat."
)
@click.option("--since", metavar="TIME", help="Cosigned not before this time, such as 2026-11-20T08:00Z.")
@answering
def verify(source: str | None, keys: tuple[str, ...], witnesses: tuple[str, ...], since: str | None) -> Answer:
    """Check a copy of the published log, or without an argument the database against all that was signed."""
    wanted = _wanted(witnesses, since)
    verdict = _verify_copy(source, keys, wanted) if source is not None else _verify_database(keys, wanted)
    data = verdict.to_json() | verdict.also()
    lines = [f"{verdict.size} entries, root {data['root']}"]
    lines += [f"{verdict.days} closed days recomputed, the last {verdict.complete_to}"] if verdict.days else []
    lines += [f"cosigned by {name} at {time}" for name, time in data.get("cosigned", {}).items()]
    lines += [f"{fault['code']}: {fault['at']}" for fault in data["faults"]]
    lines.append("everything agrees" if verdict.ok else "THE LOG DOES NOT AGREE with what it commits to")
    return Answer(data, lines, verdict.ok)


def _wanted(witnesses: Sequence[str], since: str | None) -> "Wanted":
    from vault.accesslog.cosign import parse_witness_vkey
    from vault.accesslog.verify import Wanted

    if since is not None and not witnesses:
        raise WrongUseError("since_unfit", "give --since together with --witness: only witnesses say when")
    return Wanted(tuple(map(parse_witness_vkey, witnesses)), _time(since) if since is not None else None)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise WrongUseError("since_unfit", "give --since a time with its zone, such as 2026-11-20T08:00Z")
    return time


def _verify_copy(source: str, keys: Sequence[str], wanted: "Wanted") -> "Verdict":
    from vault.accesslog.notes import parse_vkeys
    from vault.accesslog.sources import open_source
    from vault.accesslog.verify import verify_published

    if not keys:
        raise WrongUseError("key_missing", "give --key with the log's public key, which its controller published")
    return verify_published(open_source(source), parse_vkeys("\n".join(keys)), wanted)


def _verify_database(keys: Sequence[str], wanted: "Wanted") -> "Verdict":
    from vault.accesslog.notes import parse_vkeys
    from vault.accesslog.recount import verify_database
    from vault.settings import load
    from vault.storage.database import Database
    from vault.storage.objects import Objects

    settings = load()
    known = parse_vkeys("\n".join(keys)) if keys else _own_keys(settings)
    database = Database(settings.database.for_office("audit"))
    try:
        return verify_database(database, known, Objects(settings.objects), wanted)
    finally:
        database.close()


def _own_keys(settings: "Settings") -> "Sequence[VerifierKey]":
    from vault.accesslog.notes import parse_vkeys

    try:
        text = settings.log.public_key_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", "the file of log.public_key_file can't be read; copy it there") from None
    return parse_vkeys(text.strip())
