"""``dsr clock``, ``dsr hetu`` and ``dsr mrz``: the pure rules, asked from a terminal."""

import re
import sys
from datetime import date, datetime
from typing import BinaryIO

import click

from vault.cli.output import Answer, answering
from vault.domain import hetu as codes
from vault.domain import mrz as zones
from vault.domain.calendar import HELSINKI
from vault.domain.clock import ClockAnswer, Pause, compute
from vault.errors import WrongUseError

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_INPUT = 4000  # bytes; a zone has 90


@click.command()
@click.argument("rule")
@click.option("--received", required=True, help="When the request came in, with its UTC offset (ISO 8601).")
@click.option("--pause", "pauses", multiple=True, metavar="START/END", help="Days; END empty while the pause is open.")
@click.option("--today", help="The Helsinki date to look from; moves no date.")
@answering
def clock(rule: str, received: str, pauses: tuple[str, ...], today: str | None) -> Answer:
    """Compute a statutory clock and say why each date is what it is.

    RULE: art12_first_month, art12_extended, log_request or art33_72h.
    """
    answer = compute(rule, _moment(received), [_pause(pause) for pause in pauses], _today(today))
    return Answer(_clock_data(answer), _clock_lines(answer))


@click.command()
@click.argument("value")
@click.option("--today", help="The Helsinki date after which nobody is born yet.")
@answering
def hetu(value: str, today: str | None) -> Answer:
    """Check a Finnish personal identity code; "-" reads it from standard input, out of the process list."""
    if value == "-":
        value = sys.stdin.buffer.read(_LONGEST_INPUT).decode("utf-8", errors="replace")
    try:
        code = codes.parse(value, _today(today))
    except codes.HetuError as error:
        data: dict[str, object] = {"valid": False, "kind": None, "birth_date": None, "fault": error.fault}
        return Answer(data, [f"not valid ({error.fault}): {error.advice}"], ok=False)
    data = {"valid": True, "kind": code.kind, "birth_date": code.birth_date.isoformat(), "fault": None}
    return Answer(data, [f"valid, {code.kind}, born {code.birth_date}; it proves nothing about who is asking"])


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@answering
def mrz(file: BinaryIO) -> Answer:
    """Check the machine-readable zone of a travel document; keep the verdict, not the zone."""
    try:
        zone = zones.parse(file.read(_LONGEST_INPUT).decode("ascii", errors="replace"))
    except zones.MrzError as error:
        data: dict[str, object] = {"valid": False, "format": None, "fields": {}, "checks": {}}
        return Answer(data, [f"not valid: {error.advice}"], ok=False)
    fields, checks = dict(zone.fields), dict(zone.checks)
    # each field by its own name as well, as the command line contract has it
    data = {"valid": zone.valid, "format": zone.format, **fields, "fields": fields, "checks": checks}
    failed = [name for name, fits in checks.items() if not fits]
    verdict = "valid" if zone.valid else f"not valid: {', '.join(failed)}"
    return Answer(data, [f"{zone.format} {verdict}", *(f"{name}: {text}" for name, text in fields.items())], zone.valid)


def _clock_data(answer: ClockAnswer) -> dict[str, object]:
    return {
        "rule": answer.rule.value,
        "due": _iso(answer.due),
        "due_at": _iso(answer.due_at),
        "safe_due": _iso(answer.safe_due),
        "extension_notice_due": _iso(answer.extension_notice_due),
        "extension_notice_safe_due": _iso(answer.extension_notice_safe_due),
        "disputed": [code.value for code in answer.disputed],
        "why": list(answer.why),
    }


def _clock_lines(answer: ClockAnswer) -> list[str]:
    due = _iso(answer.due_at) or "none while the pause is open"
    return [f"due:  {due}", f"safe: {answer.safe_due}", *(f"  {line}" for line in answer.why)]


def _iso(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _today(text: str | None) -> date:
    return datetime.now(HELSINKI).date() if text is None else _day(text)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = "write the time of receipt like 2026-09-25T09:00:00+03:00"
        raise WrongUseError("time_malformed", msg) from None


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise WrongUseError("date_malformed", "write dates like 2026-09-25")


def _pause(text: str) -> Pause:
    start, slash, end = text.partition("/")
    if not slash:
        raise WrongUseError(
            "pause_malformed", "write a pause like 2026-09-28/2026-10-05, or 2026-09-28/ while it is open"
        )
    return Pause(_day(start), _day(end) if end else None)
