"""A record's stored form: canonical JSON that names its own version; what is not canonical is refused.

The form is described in ``docs/register.md``.
"""

import json
from datetime import UTC, datetime
from typing import Any

from vault.domain.records import Author, Record, RecordKind
from vault.errors import RefusedError, TamperedError, UnknownFormatError

_VERSION = 1
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # made once: half its cost


def render(record: Record) -> bytes:
    """Return the bytes that are sealed: kind, time, author, correction and body, without the references.

    :raises RefusedError: the time has no zone, or the body is no plain JSON.
    """
    if record.at.tzinfo is None:
        raise RefusedError("record_malformed", "a record's time needs a time zone", ref=record.ref)
    content = {
        "v": _VERSION,
        "kind": record.kind.value,
        "at": record.at.astimezone(UTC).isoformat(),
        "author": {f: getattr(record.author, f) for f in ("name", "identifier", "title")},
        "corrects": record.corrects,
        "body": dict(record.body),
    }
    try:
        return _dump(content)
    except (TypeError, ValueError, RecursionError):
        raise RefusedError("record_malformed", "a record's body must be plain JSON", ref=record.ref) from None


def parse(subject: str, ref: str, data: bytes) -> Record:
    """Return the record that was rendered, under its references.

    :raises UnknownFormatError: another version of the form.
    :raises TamperedError: the bytes are not what ``render`` makes.
    """
    try:
        content = json.loads(data)
        version = content["v"]
        record = _record(subject, ref, content) if version == _VERSION else None
        canonical = record is None or render(record) == data
    except (TypeError, ValueError, KeyError, RecursionError, RefusedError):
        raise _tampered(ref) from None
    if record is None:
        raise UnknownFormatError("record_version", "another release wrote this record; read it with that one", ref=ref)
    if not canonical:
        raise _tampered(ref)
    return record


def _record(subject: str, ref: str, content: dict[str, Any]) -> Record:
    return Record(
        ref=ref,
        subject=subject,
        kind=RecordKind(content["kind"]),
        at=datetime.fromisoformat(content["at"]),
        author=Author(**content["author"]),
        body=content["body"],
        corrects=content["corrects"],
    )


def _tampered(ref: str) -> TamperedError:
    return TamperedError("record_form", "a stored record is not what was written; compare it with a backup", ref=ref)


def _dump(content: object) -> bytes:
    return _ENCODER.encode(content).encode()
