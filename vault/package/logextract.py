"""The log extract: when a person's data was used, in what role and for what purpose; names of staff stay out.

Dates and purposes of consultations are the requester's own data (GDPR 15; CJEU C-579/21); who the
reader was is told only on a log request (Act 703/2023 s. 11).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from vault.accesslog.entries import GRANTED, Access
from vault.domain.records import Json, RecordKind
from vault.package.blocks import Block, build
from vault.package.canonical import settled
from vault.package.documents import Document
from vault.package.heading import Heading
from vault.package.language import fill, moment, part
from vault.package.sheet import common_values, set_letter

FORMAT = "dsr-log-extract/1"
LOG_ID = "log"
_EVERYTHING = frozenset(kind.value for kind in RecordKind)


def render_log_extract(heading: Heading, accesses: Sequence[Access], until: datetime) -> Document:
    """Render the uses of one subject's data.

    :param accesses: the subject's entries, as :meth:`vault.accesslog.log.AccessLog.who` opens them.
    :param until: up to when the log was read.
    :raises RefusedError: typesetting failed.
    """
    ordered = sorted(accesses, key=lambda access: (access.at, access.purpose.value, access.role, access.kinds))
    text = part("letters", heading.language, "log")
    values = common_values(heading) | {"until": moment(until, heading.language)}
    blocks = build(text["blocks"], values, {"lines": _table(heading, ordered)}, ["lines" if ordered else "none"])
    pdf = set_letter(heading, text["kind"], text["title"], None, blocks)
    uses: list[Json] = [_plain(access) for access in ordered]
    data: dict[str, Json] = {"format": FORMAT, "case": heading.case_ref, "until": _utc(until), "uses": uses}
    return Document(LOG_ID, text["kind"], (), pdf, settled(data))


def _table(heading: Heading, accesses: Sequence[Access]) -> list[Block]:
    if not accesses:
        return []
    words = part("letters", heading.language, "log_words")
    head = [words[name] for name in ("at", "role", "purpose", "kinds")]
    rows = [_row(access, heading.language) for access in accesses]
    return [{"t": "table", "head": head, "columns": [0, 2, 3, 3], "v": rows}]


def _row(access: Access, language: str) -> list[str]:
    words = part("letters", language, "log_words")
    purpose = part("letters", language, "purposes").get(access.purpose.value, access.purpose.value)
    if access.emergency is not None:
        purpose = f"{purpose} ({words['emergency']})"
    kinds = _kinds(access.kinds, language)
    if access.count > 1:
        kinds = f"{kinds}, {fill(words['times'], {'count': access.count})}"
    if access.outcome != GRANTED:
        kinds = f"{kinds} ({words['denied']})"
    return [moment(access.at, language), _roles(access.role, language), purpose, kinds]


def _roles(role: str, language: str) -> str:
    names = part("letters", language, "roles")
    return ", ".join(str(names.get(name, name)) for name in role.split(","))


def _kinds(kinds: Sequence[str], language: str) -> str:
    if set(kinds) >= _EVERYTHING:
        return cast("str", part("letters", language, "log_words")["everything"])
    names = {**part("labels", language, "kinds"), **part("letters", language, "kinds")}
    return ", ".join(str(names.get(kind, kind)) for kind in kinds)


def _plain(access: Access) -> Json:
    return {
        "at": _utc(access.at),
        "role": access.role,
        "purpose": access.purpose.value,
        "legal_ground": access.legal_ground,
        "kinds": [*access.kinds],
        "count": access.count,
        "outcome": access.outcome,
        "emergency": access.emergency is not None,
    }


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
