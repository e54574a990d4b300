"""``dsr doctor``: proves that each configured part can do what the promises need, and names what is unfit."""

from collections.abc import Mapping

import click

from vault.cli.output import Answer, answering
from vault.cli.probes import database, doors, keys, mailkeys, objects, secretfiles
from vault.cli.probes.finding import Finding, Probe
from vault.settings import Settings, load

PROBES: Mapping[str, Probe] = {
    "secrets": secretfiles.probe,
    "database": database.probe,
    "objects": objects.probe,
    "keys": keys.probe,
    "mailbox": doors.probe_mailbox,
    "scans": doors.probe_scans,
    "mailkeys": mailkeys.probe,
    "smtp": doors.probe_smtp,
}


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PROBES)), help="Only this part; repeat.")
@answering
def doctor(parts: tuple[str, ...]) -> Answer:
    """Try every part: what must work, and what must be refused."""
    findings = examine(load(), parts or tuple(PROBES))
    fit = all(finding.fit for finding in findings)
    data = {"ok": fit, "parts": [finding.to_json() for finding in findings]}
    return Answer(data, [*map(_line, findings), "all fit" if fit else "UNFIT: see above"], ok=fit)


def examine(settings: Settings, parts: tuple[str, ...] = tuple(PROBES)) -> list[Finding]:
    """Run the probes of these parts."""
    return [finding for part in parts for finding in PROBES[part](settings)]


def _line(finding: Finding) -> str:
    return f"{'ok   ' if finding.fit else 'UNFIT'} {finding.part:9} {finding.check}: {finding.why}"
