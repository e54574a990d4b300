"""What a machine says about our own mail: it came back, it waits, it arrived, or nobody is there to read it now.

A report is recognised by its form (RFC 3464, RFC 8098) or its sender, and belongs to one of our mails by
the Message-ID that it quotes: in its own headers, or in the part of our mail that it returns. Nothing
in it is believed beyond that: a reference that nobody but the recipient knows stands in that Message-ID.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vault.domain.case import REFERENCE
from vault.domain.private import Private
from vault.intake.mime import Part

_LOOKED_AT = 100_000  # bytes of one part
_ITEM = re.compile(rb"<(" + REFERENCE.pattern.encode() + rb"(?:-[A-Za-z0-9-]{1,80})?)@[A-Za-z0-9.-]{1,253}>")
_BARE = re.compile(REFERENCE.pattern.encode())
_ACTION = re.compile(rb"^Action:[ \t]*([A-Za-z]{1,20})", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"^Status:[ \t]*([245]\.[0-9]{1,3}\.[0-9]{1,3})", re.IGNORECASE | re.MULTILINE)
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED_TYPES = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
_POSTMEN = frozenset({"mailer-daemon", "postmaster"})
_MOST_ITEMS = 8


class ReportKind(StrEnum):
    """What became of our mail."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTOMATIC = "automatic"  # an answer that a machine wrote, such as a vacation notice or a read receipt


@dataclass(frozen=True, slots=True)
class Report(Private, shows=("kind", "status")):
    """One report of a machine.

    :param status: such as ``5.1.1`` (RFC 3463); empty when it says none.
    :param items: references of our outgoing items, or of cases, that it names; the surest first.
    """

    kind: ReportKind
    status: str = ""
    items: tuple[str, ...] = ()

    @property
    def case_ref(self) -> str | None:
        """The case that the report is about."""
        found = REFERENCE.match(self.items[0]) if self.items else None
        return found[0] if found else None


def read_report(root: Part, sender: str | None) -> Report:
    """Read what a machine's mail says about ours.

    :param root: a mail that :func:`vault.intake.mailheaders.read_headers` took for a machine's.
    :param sender: its one From address, or None.
    """
    parts = root.leaves()
    told = b"\n".join(part.content[:_LOOKED_AT] for part in parts if part.type in _STATUS_TYPES)
    status = _worst(_STATUS.findall(told))
    return Report(_kind(root, sender, told, status), status, tuple(dict.fromkeys(_items(root, parts)))[:_MOST_ITEMS])


def item_named(ids: tuple[str, ...]) -> str | None:
    """Return the outgoing item that one of these Message-IDs names, the last first; None when none is ours."""
    for name in reversed(ids):
        found = _ITEM.fullmatch(name.encode("ascii", "replace"))
        if found:
            return found[1].decode()
    return None


def _kind(root: Part, sender: str | None, told: bytes, status: str) -> ReportKind:
    actions = {action.decode().lower() for action in _ACTION.findall(told)}
    if "failed" in actions or (told and not actions and not status.startswith(("2", "4"))):
        return ReportKind.FAILED
    if "delayed" in actions or (not actions and status.startswith("4")):
        return ReportKind.DELAYED
    if told:
        return ReportKind.DELIVERED
    name = (sender or "").partition("@")[0].lower()
    postman = name in _POSTMEN or root.header("x-failed-recipients") is not None
    answered = (root.header("auto-submitted") or "").strip().lower().startswith("auto-replied")
    return ReportKind.FAILED if postman and not answered else ReportKind.AUTOMATIC


def _worst(found: list[bytes]) -> str:
    return max((status.decode() for status in found), default="")  # 5 before 4 before 2


def _items(root: Part, parts: list[Part]) -> Iterator[str]:
    # our own Message-ID: a mail of ours that somebody's rule sent round
    answered = " ".join(root.header(name) or "" for name in ("in-reply-to", "references", "message-id"))
    yield from _names(_ITEM, answered.encode("latin-1", "replace")[:_LOOKED_AT])
    returned = [part for part in parts if part.type in _RETURNED_TYPES]
    for part in [*returned, *(part for part in parts if part.type.startswith("text/"))]:
        yield from _names(_ITEM, part.content[:_LOOKED_AT])
    for part in returned:
        yield from _names(_BARE, part.content[:_LOOKED_AT])


def _names(pattern: re.Pattern[bytes], data: bytes) -> Iterator[str]:
    for found in pattern.finditer(data):
        yield found[found.re.groups and 1].decode()
