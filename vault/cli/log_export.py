"""``dsr log export``: the access log as FHIR AuditEvents, one a line, whole or not at all, itself logged."""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.auditevent import Provider
    from vault.accesslog.log import LoggedAccess
    from vault.accesslog.reading import LogReader
    from vault.settings import Settings
    from vault.steps.parts import Parts

_GROUND = "Act 703/2023 ss. 10-11"
_EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_PIECE = 500  # looks logged at a time
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--subject", metavar="REF", help="One data subject's entries, by the register's reference.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="From this day in Helsinki on, such as 2026-11-01.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Up to and with this day.")
@click.option("--with-staff", is_flag=True, help="Name who looked, and the words of an emergency.")
@click.option("--output", required=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@answering
def export(
    subject: str | None, *, first: datetime | None, last: datetime | None, with_staff: bool, output: Path
) -> Answer:
    """Write entries as FHIR R4 AuditEvents (IHE BALP) into a new file, one JSON object a line."""
    from vault.accesslog.reading import LogReader
    from vault.office import open_office

    start, end = _period(first, last)
    if subject is None and (first is None or last is None):
        raise WrongUseError("export_of_what", "give --subject REF, or --from and --to for everybody's entries")
    if output.exists():
        raise WrongUseError("export_there", "such a file is there already; give --output another name")
    with open_office("audit") as parts:
        reader = LogReader(parts.database, parts.keys, parts.service)
        entries = _entries(parts, reader, subject, start, end)
        written = _write(output, entries, _provider(parts.settings), staff=with_staff)
    data = {"entries": written, "unreadable": reader.unreadable, "file": str(output), "staff": with_staff}
    lines = [f"{written} entries written to {output}"]
    if reader.unreadable:
        lines.append(f"{reader.unreadable} entries can't be opened any more: their keys are gone")
    return Answer(data, lines)


def _period(first: datetime | None, last: datetime | None) -> tuple[datetime, datetime]:
    start, end = _EVER
    start = start if first is None else _midnight(first.date())
    end = end if last is None else _midnight(last.date() + timedelta(days=1))
    if start >= end:
        raise WrongUseError("export_period", "the last day lies before the first; exchange --from and --to")
    return start, end


def _midnight(day: date) -> datetime:
    from vault.domain.calendar import HELSINKI

    return datetime.combine(day, time(), HELSINKI)


def _entries(
    parts: "Parts", reader: "LogReader", subject: str | None, start: datetime, end: datetime
) -> "Iterator[LoggedAccess]":
    """Yield entries, each subject's after a look at her log was logged."""
    _announce(parts, [subject])
    if subject is not None:
        return reader.of_subject(subject, start, end)
    return reader.between(start, end, partial(_announce, parts))


def _announce(parts: "Parts", subjects: Iterable[str | None]) -> None:
    from vault.accesslog.reading import pieces
    from vault.cli.account import audit_looks

    for piece in pieces(subjects, _PIECE):
        parts.log.record(audit_looks(piece, parts.now(), _GROUND))


def _provider(settings: "Settings") -> "Provider":
    from vault.accesslog.auditevent import Provider
    from vault.accesslog.notes import parse_vkeys

    try:
        text = settings.log.public_key_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", "the file of log.public_key_file can't be read; copy it there") from None
    return Provider(settings.controller.name, parse_vkeys(text)[0].name)


def _write(output: Path, entries: "Iterable[LoggedAccess]", provider: "Provider", *, staff: bool) -> int:
    from vault.accesslog.auditevent import audit_event

    count = 0
    with _whole(output) as file:
        for entry in entries:
            event = audit_event(entry, provider, staff=staff)
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """Yield a file that stands under its name once it is written, synced and closed; what a kill left is removed.

    :raises WrongUseError: the folder can't be written to, or somebody was first.
    """
    from vault.crypto.durable import alone, sync_directory

    draft = path.with_name(f".{path.name}.draft-{secrets.token_hex(4)}")
    try:
        with alone(path):
            try:
                draft.touch(mode=0o600, exist_ok=False)
                with draft.open("w", encoding="utf-8") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)
            finally:
                draft.unlink(missing_ok=True)
            sync_directory(path.parent)
    except OSError:
        raise WrongUseError("export_file", "the file can't be written there; give --output another place") from None
