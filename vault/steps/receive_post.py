"""Receive post: every sheet in the scan folder becomes letters, every letter a case or a visible exception."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vault.domain.case import Channel
from vault.domain.request import AnswerBy, Request
from vault.intake.formrequest import request_of, town_of
from vault.intake.scan import READ, Letter, ScanResult, read_scan
from vault.steps.acknowledging import acknowledge
from vault.steps.doors import is_sheet, sheets
from vault.steps.exceptions import other_right
from vault.steps.parts import Parts
from vault.steps.receive import Incoming, Taken, already_taken, plausible, take

_ENOUGH = 50  # files a run
_TOO_LARGE = "scan_too_large"


def receive_post(parts: Parts, limit: int = _ENOUGH) -> list[str]:
    """Take in what lies in the scan folder; return the references of new cases.

    A file is unlinked once every letter in it is durable; what the folder holds besides
    files (links, pipes) becomes an exception and goes too. One beyond the size limit becomes an
    exception and stays, because nothing of it is stored.
    """
    refs: list[str] = []
    for path in _settled(parts, limit):
        with suppress(FileNotFoundError):  # somebody took it away
            taken = _take_file(parts, path)
            refs += [item.case.ref for item in taken if item.fresh]
            if all(item.case.exception != _TOO_LARGE for item in taken):
                path.unlink()
    return refs


def _settled(parts: Parts, limit: int) -> list[Path]:
    """List files that nobody has written to for a while: a scanner may still be at work on the others."""
    now = time.time()
    before = now - parts.settings.scans.settle_seconds
    found = []
    for path in sheets(parts.settings.scans.folder):
        with suppress(FileNotFoundError):
            written = path.lstat().st_mtime
            if written <= before or written > now:  # a clock that runs ahead must not hide a letter
                found.append(path)
    return found[:limit]


def _take_file(parts: Parts, path: Path) -> list[Taken]:
    status = path.lstat()
    stamp = f"scan|{path.name}|{status.st_ino}|{status.st_mtime_ns}"
    received_at = _arrived(status.st_mtime, parts.now())
    if not is_sheet(path):
        return [take(parts, _strange(stamp, received_at, b"", "scan_not_a_file"))]
    data = _read(path, parts.settings.limits.message_bytes)
    if data is None:
        known = already_taken(parts, stamp)
        return [known or take(parts, _strange(stamp, received_at, b"", _TOO_LARGE))]
    result = read_scan(data, parts.settings.limits)
    if not result.letters:
        return [take(parts, _strange(stamp, received_at, data, f"scan_{result.reason or 'unreadable'}"))]
    return _take_letters(parts, result, data, stamp, received_at)


def _arrived(seconds: float, now: datetime) -> datetime:
    try:
        return plausible(datetime.fromtimestamp(seconds, UTC), now)
    except (ValueError, OverflowError):  # a year that no calendar has
        return now


def _read(path: Path, most: int) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(most + 1)
    return data if len(data) <= most else None


def _strange(stamp: str, received_at: datetime, data: bytes, why: str) -> Incoming:
    """Make an exception of what no machine can read; the original waits sealed for a person."""
    request = request_of({}, "fi")
    return Incoming(
        channel=Channel.POST,
        source=stamp,
        same=data or stamp.encode(),
        original=data,
        received_at=received_at,
        language="fi",
        particulars={"request": request.to_json(), "pages": []},
        exception=why,
    )


def _take_letters(parts: Parts, result: ScanResult, data: bytes, stamp: str, received_at: datetime) -> list[Taken]:
    """Take each letter of a file; the first keeps the original, the others point at it."""
    taken: list[Taken] = []
    holder: str | None = None
    for number, letter in enumerate(result.letters):
        source = f"{stamp}|{number}"
        known = already_taken(parts, source)
        if known is None:
            known = take(parts, _incoming(letter, source, data, received_at, holder))
        holder = holder or known.arrival_ref
        acknowledge(parts, [(known, letter_particulars(letter))])
        taken.append(known)
    return taken


def _incoming(letter: Letter, source: str, data: bytes, received_at: datetime, holder: str | None) -> Incoming:
    particulars = letter_particulars(letter)
    request = Request.from_json(particulars["request"])
    pages = ",".join(map(str, letter.pages)).encode()
    return Incoming(
        channel=Channel.POST,
        source=source,
        same=data + b"\0" + pages,
        original=None if holder else data,
        received_at=received_at,
        language=request.language,
        particulars={**particulars, **({"holder": holder} if holder else {})},
        exception=_exception(letter, request),
        notice="acknowledgement" if letter.outcome == READ else None,
    )


def _exception(letter: Letter, request: Request) -> str | None:
    if letter.outcome != READ:
        return f"scan_{letter.reason or 'person'}"
    return other_right(request.kinds)


def letter_particulars(letter: Letter) -> dict[str, Any]:
    """Gather what a letter says, for sealing."""
    values = {name: reading.value for name, reading in letter.fields.items()}
    language = values.get("language") or (letter.form or "::fi").split(":")[2]
    request = request_of(values, str(language))
    address = [str(values.get("name") or ""), str(values.get("street") or ""), town_of(values)]
    by_mail = request.answer_by is not AnswerBy.PAPER and request.email
    return {
        "request": request.to_json(),
        "reply_to": request.email if by_mail else None,
        "address": address if all(address) else None,
        "form": letter.form,
        "pages": list(letter.pages),
        "text": letter.text,
    }
