"""The log extract: when a person's data was used and given out, in what role and for what purpose.

Dates and purposes of consultations are the requester's own data (GDPR 15; CJEU C-579/21); who the
reader was is told only on a log request, and not for log data more than two years old (Act 703/2023 s. 11).
It says up to which day it is proved that no use is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import cast

from vault.accesslog.entries import GRANTED, Access
from vault.accesslog.log import LoggedAccess
from vault.domain.private import Private
from vault.domain.records import Json, RecordKind
from vault.package.blocks import Block, build
from vault.package.canonical import settled
from vault.package.documents import Document
from vault.package.heading import Heading
from vault.package.language import day, fill, moment, part
from vault.package.sheet import common_values, set_letter

FORMAT = "dsr-log-extract/2"
LOG_ID = "log"
_EVERYTHING = frozenset(kind.value for kind in RecordKind)


@dataclass(frozen=True, slots=True)
class LogUses(Private):
    """What the log says about one subject, and what proves it.

    :param entries: the subject's, as :meth:`vault.accesslog.log.AccessLog.entries` opens them.
    :param until: up to when the log was read.
    :param proofs: by an entry's index the name of the file that proves it (:mod:`vault.package.logproofs`).
    :param complete: the last day up to whose end no entry is left out; ``proof`` names the files that prove it.
    :param names_since: readers are named from this moment on; None, and nobody is.
    """

    entries: Sequence[LoggedAccess]
    until: datetime
    proofs: Mapping[int, str] = field(default_factory=dict)
    complete: date | None = None
    proof: Mapping[str, Json] | None = None
    names_since: datetime | None = None

    def name(self, access: Access) -> str | None:
        """Give the reader's name, where it may be told."""
        return access.actor_name if self.names_since is not None and access.at >= self.names_since else None


def render_log_extract(heading: Heading, uses: LogUses) -> Document:
    """Render the uses of one subject's data, and to whom it was given.

    :raises RefusedError: typesetting failed.
    """
    ordered = sorted(uses.entries, key=lambda entry: (entry.access.at, entry.index))
    read = [entry for entry in ordered if entry.access.recipient is None]
    given = [entry for entry in ordered if entry.access.recipient is not None]
    text = part("letters", heading.language, "log")
    complete = "" if uses.complete is None else day(uses.complete, heading.language)
    values = common_values(heading) | {"until": moment(uses.until, heading.language), "complete": complete}
    slots = {"lines": _table(heading, uses, read), "given": _given(heading, given)}
    blocks = build(text["blocks"], values, slots, _conditions(uses, read, given))
    pdf = set_letter(heading, text["kind"], text["title"], None, blocks)
    return Document(LOG_ID, text["kind"], (), pdf, settled(_data(heading, uses, read, given)))


def _conditions(uses: LogUses, read: Sequence[LoggedAccess], given: Sequence[LoggedAccess]) -> list[str]:
    shown = [
        ("lines", bool(read)),
        ("none", not read),
        ("unnamed", bool(read) and uses.names_since is None),
        ("named", bool(read) and uses.names_since is not None),
        ("proved", uses.complete is not None),
        ("unproved", uses.complete is None),
        ("proofs", bool(uses.proofs)),
        ("given", bool(given)),
    ]
    return [name for name, holds in shown if holds]


def _table(heading: Heading, uses: LogUses, entries: Sequence[LoggedAccess]) -> list[Block]:
    if not entries:
        return []
    words = part("letters", heading.language, "log_words")
    who, width = ("role", 2) if uses.names_since is None else ("user", 3)
    head = [words[name] for name in ("at", who, "purpose", "kinds")]
    rows = [_row(entry.access, uses.name(entry.access), heading.language) for entry in entries]
    return [{"t": "table", "head": head, "columns": [0, width, 3, 3], "v": rows}]


def _given(heading: Heading, entries: Sequence[LoggedAccess]) -> list[Block]:
    if not entries:
        return []
    language = heading.language
    words, names = part("letters", language, "log_words"), part("letters", language, "log_recipients")
    rows = [
        [
            moment(entry.access.at, language),
            str(names.get(entry.access.recipient, entry.access.recipient)),
            _kinds(entry.access, language),
            entry.access.legal_ground,
        ]
        for entry in entries
    ]
    head = [words[name] for name in ("at", "recipient", "kinds", "ground")]
    return [{"t": "table", "head": head, "columns": [0, 2, 3, 2], "v": rows}]


def _row(access: Access, name: str | None, language: str) -> list[str]:
    words = part("letters", language, "log_words")
    purpose = part("letters", language, "purposes").get(access.purpose.value, access.purpose.value)
    if access.emergency is not None:
        purpose = f"{purpose} ({words['emergency']})"
    kinds = _kinds(access, language)
    if access.count > 1:
        kinds = f"{kinds}, {fill(words['times'], {'count': access.count})}"
    if access.outcome != GRANTED:
        kinds = f"{kinds} ({words['denied']})"
    roles = _roles(access.role, language)
    return [moment(access.at, language), roles if name is None else f"{name}, {roles}", purpose, kinds]


def _roles(role: str, language: str) -> str:
    names = part("letters", language, "roles")
    return ", ".join(str(names.get(name, name)) for name in role.split(","))


def _kinds(access: Access, language: str) -> str:
    if set(access.kinds) >= _EVERYTHING:
        return cast("str", part("letters", language, "log_words")["everything"])
    names = {**part("labels", language, "kinds"), **part("letters", language, "kinds")}
    return ", ".join(str(names.get(kind, kind)) for kind in access.kinds)


def _data(
    heading: Heading, uses: LogUses, read: Sequence[LoggedAccess], given: Sequence[LoggedAccess]
) -> dict[str, Json]:
    disclosures: list[Json] = [{**_plain(entry, uses), "recipient": entry.access.recipient} for entry in given]
    return {
        "format": FORMAT,
        "case": heading.case_ref,
        "until": _utc(uses.until),
        "complete_until": None if uses.complete is None else uses.complete.isoformat(),
        "completeness": None if uses.proof is None else dict(uses.proof),
        "uses": [_plain(entry, uses) for entry in read],
        "disclosures": disclosures,
    }


def _plain(entry: LoggedAccess, uses: LogUses) -> dict[str, Json]:
    access = entry.access
    return {
        "at": _utc(access.at),
        "role": access.role,
        "name": uses.name(access),
        "purpose": access.purpose.value,
        "legal_ground": access.legal_ground,
        "kinds": [*access.kinds],
        "count": access.count,
        "outcome": access.outcome,
        "emergency": access.emergency is not None,
        "index": entry.index,
        "leaf": entry.leaf.decode("ascii"),
        "proof": uses.proofs.get(entry.index),
    }


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
