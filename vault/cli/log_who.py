"""``dsr log who``: tell every look at one subject's records, with its proof; the telling is itself logged."""

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from vault.cli.output import Answer, answering

if TYPE_CHECKING:
    from vault.accesslog.entries import Access
    from vault.accesslog.log import LoggedAccess
    from vault.accesslog.proofs import Proof

_KIND = "access_log"


@click.command()
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
