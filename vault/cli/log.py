"""``dsr log``: prove the access log, from outside or against the database, and tell who read about a subject."""

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.entries import Access
    from vault.accesslog.log import LoggedAccess
    from vault.accesslog.notes import VerifierKey
    from vault.accesslog.proofs import Proof
    from vault.accesslog.verify import Verdict
    from vault.settings import Settings

_KIND = "access_log"


@click.group()
def log() -> None:
    """Prove the access log, and tell who read what of whom."""


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


@log.command()
@click.option("--subject", required=True, metavar="REF", help="The register's reference of the data subject.")
@answering
def who(subject: str) -> Answer:
    """Tell every access to one subject's records, each with its proof; this look is logged too."""
    from vault.accesslog.proofs import heads, prove
    from vault.office import open_office

    with open_office("audit") as parts:
        look = _look(subject, parts.now())
        receipt = parts.log.record([look])[0]
        parts.log.spend(receipt, case=None, subject=subject, kinds=look.kinds)
        entries = list(parts.log.entries(subject))
        with parts.database.connect() as connection:
            head = heads(connection)
            proofs = prove(connection, [entry.index for entry in entries], head)
    told = [_tell(entry, proof) for entry, proof in zip(entries, proofs, strict=True)]
    return Answer({"subject": subject, "checkpoint": head.checkpoint, "entries": told}, [*map(_line, entries)])


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


def _look(subject: str, now: datetime) -> "Access":
    from vault.accesslog.entries import Access
    from vault.domain.roles import Purpose

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Access(
        at=now,
        actor=f"account:{os.getuid()}",
        actor_name=name,
        role="auditor",
        purpose=Purpose.AUDIT,
        legal_ground="Act 703/2023 s. 11",
        case=None,
        subject=subject,
        kinds=(_KIND,),
    )


def _tell(entry: "LoggedAccess", proof: "Proof") -> dict[str, Any]:
    from vault.accesslog.merkle import leaf_hash, verify_inclusion
    from vault.accesslog.notes import root_text

    verify_inclusion(leaf_hash(entry.leaf), entry.index, proof.size, proof.path, proof.root)
    access = entry.access
    return {
        "index": entry.index,
        "at": access.at.isoformat(),
        "actor": access.actor,
        "actor_name": access.actor_name,
        "role": access.role,
        "purpose": access.purpose.value,
        "legal_ground": access.legal_ground,
        "case": access.case,
        "kinds": list(access.kinds),
        "count": access.count,
        "outcome": access.outcome,
        "emergency": access.emergency,
        "leaf": entry.leaf.decode("ascii"),
        "proof": {
            "size": proof.size,
            "root": root_text(proof.root),
            "path": [root_text(hashed) for hashed in proof.path],
        },
    }


def _line(entry: "LoggedAccess") -> str:
    access = entry.access
    shown: Sequence[str] = (
        f"{entry.index:>8}",
        f"{access.at:%Y-%m-%d %H:%M:%S}Z",
        access.purpose.value,
        f"{access.actor_name} ({access.actor}, {access.role})",
        ",".join(access.kinds),
        access.legal_ground,
        access.case or "no case",
        access.outcome,
    )
    return "  ".join(shown)
