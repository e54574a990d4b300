"""``dsr log who``: tell every look at one subject's records, each proved, and up to when none is missing."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vault.cli.account import LOG, audit_looks
from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.answers import Told
    from vault.accesslog.log import LoggedAccess
    from vault.steps.parts import Parts

_GROUND = "Act 703/2023 s. 11"
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--subject", required=True, metavar="REF", help="The register's reference of the data subject.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="From this day in Helsinki on, such as 2026-11-01.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Up to and with this day.")
@click.option("--with-staff", is_flag=True, help="Name who looked, and the words of an emergency.")
@click.option("--bundle", metavar="DIR", type=click.Path(path_type=Path), help="Write proofs and entries there too.")
@answering
def who(
    subject: str, *, first: datetime | None, last: datetime | None, with_staff: bool, bundle: Path | None
) -> Answer:
    """Tell every look at one subject's records, each proved; this one is logged too."""
    from vault.accesslog.answers import tell
    from vault.office import open_office

    if first and last and last < first:
        raise WrongUseError("who_period", "the last day lies before the first; exchange --from and --to")
    with open_office("audit") as parts:
        receipt = parts.log.record(audit_looks([subject], parts.now(), _GROUND))[0]
        parts.log.spend(receipt, case=None, subject=subject, kinds=[LOG])
        told = tell(parts.log, parts.database, subject, receipt.index + 1)
        shown = [at for at, entry in enumerate(told.entries) if _within(entry, first, last)]
        if bundle is not None:
            _write(bundle, parts, told, subject, [told.entries[at].index for at in shown], staff=with_staff)
    entries = [_tell(told, at, staff=with_staff) for at in shown]
    data = {
        "subject": subject,
        "checkpoint": told.against.checkpoint,
        "complete": _completeness(told),
        "entries": entries,
    }
    lines = [_line(told.entries[at], staff=with_staff) for at in shown]
    return Answer(data, [*lines, _until(told, shown)])


def _within(entry: "LoggedAccess", first: datetime | None, last: datetime | None) -> bool:
    from vault.domain.calendar import HELSINKI

    day = entry.access.at.astimezone(HELSINKI).date()
    return (first.date() if first else date.min) <= day <= (last.date() if last else date.max)


def _write(folder: Path, parts: "Parts", told: "Told", subject: str, shown: Sequence[int], *, staff: bool) -> None:
    from vault.accesslog.bundle import Handout, write_bundle
    from vault.accesslog.notes import parse_vkeys

    settings = parts.settings
    keys = parse_vkeys(_read(settings.log.public_key_file))
    witnesses = [_read(witness.vkey_file).strip() for witness in settings.log.witnesses]
    handout = Handout(told, subject, frozenset(shown), staff, keys, witnesses)
    write_bundle(folder, handout, parts.database, cache(partial(parts.keys.data_key, "log")))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", "a file of public keys in [log] can't be read; copy it there") from None


def _tell(told: "Told", at: int, *, staff: bool) -> dict[str, Any]:
    from vault.accesslog.notes import root_text
    from vault.accesslog.tlogproof import render_proof

    entry, proof, published = told.entries[at], told.proofs[at], told.published(at)
    access = entry.access
    return {
        "index": entry.index,
        "at": access.at.isoformat(),
        **({"actor": access.actor, "actor_name": access.actor_name} if staff else {}),
        "role": access.role,
        "purpose": access.purpose.value,
        "legal_ground": access.legal_ground,
        "case": access.case,
        "kinds": list(access.kinds),
        "count": access.count,
        "outcome": access.outcome,
        "emergency": access.emergency if staff else access.emergency is not None,
        "recipient": access.recipient,
        "complete": told.complete is not None and told.complete.covers(entry.index),
        "leaf": entry.leaf.decode("ascii"),
        "proof": {
            "size": proof.size,
            "root": root_text(proof.root),
            "path": [root_text(hashed) for hashed in proof.path],
        },
        "tlog_proof": render_proof(published).decode() if published else None,
    }


def _completeness(told: "Told") -> dict[str, Any] | None:
    from vault.accesslog.answers import tlog_proof
    from vault.accesslog.tlogproof import render_map_proof, render_proof

    complete = told.complete
    proof = tlog_proof(complete.leaf, complete.proof, told.against) if complete else None
    if complete is None or proof is None:
        return None
    return {
        "until": complete.until.isoformat(),
        "count": sum(complete.covers(entry.index) for entry in told.entries),
        "day_proof": render_proof(proof).decode(),
        "map_proofs": [render_map_proof(line).decode("ascii") for line in complete.lines],
    }


def _line(entry: "LoggedAccess", *, staff: bool) -> str:
    access = entry.access
    shown: Sequence[str] = (
        f"{entry.index:>8}",
        f"{access.at:%Y-%m-%d %H:%M:%S}Z",
        access.purpose.value,
        f"{access.actor_name} ({access.actor}, {access.role})" if staff else access.role,
        ",".join(access.kinds),
        access.legal_ground,
        access.case or "no case",
        access.outcome,
        *([f"to {access.recipient}"] if access.recipient is not None else []),
    )
    return "  ".join(shown)


def _until(told: "Told", shown: Sequence[int]) -> str:
    if told.complete is None:
        return "that nothing is missing is not proved yet: no closed day stands under a checkpoint"
    complete = told.complete
    count = sum(complete.covers(entry.index) for entry in told.entries)
    here = f"{sum(complete.covers(told.entries[at].index) for at in shown)} of them are shown"
    return f"up to the end of {complete.until} nothing is missing: {count} looks, proved; {here}; later ones not yet"
