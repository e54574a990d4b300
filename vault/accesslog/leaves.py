"""The leaf: what the tree commits to, opaque to everybody without a key.

Canonical JSON (RFC 8785) of two hashes, an opaque tag, a case's reference and a time; exactly one
spelling, so that what parses renders to the same bytes.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from vault.errors import TamperedError, UnknownFormatError

VERSION: Final = 1
TAG_BYTES: Final = 16
LONGEST_LEAF: Final = 512  # bytes
_LEAF = re.compile(
    rb'\{"case":(?:null|"(?P<case>[A-Z0-9-]{1,32})"),"entry":"(?P<entry>[0-9a-f]{64})","staff":"(?P<staff>[0-9a-f]{64})",'
    rb'"tag":(?:null|"(?P<tag>[0-9a-f]{32})"),"time":"(?P<time>[0-9TZ:-]{20})","v":1\}'
)
_OTHER_VERSION = re.compile(rb'\{"case":.*"v":(?!1\})[0-9]+\}')


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf.

    :param time: UTC, whole seconds.
    :param case: the case's reference, where the access served one.
    :param tag: 16 bytes, the same for one subject's entries; None while no subject is known.
    :param entry: SHA-256 of the sealed entry; ``staff`` of the sealed staff part.
    """

    time: datetime
    case: str | None
    tag: bytes | None
    entry: bytes
    staff: bytes


def render_leaf(leaf: Leaf) -> bytes:
    """Write a leaf; the inverse of :func:`parse_leaf`."""
    case = f'"{leaf.case}"' if leaf.case else "null"
    tag = f'"{leaf.tag.hex()}"' if leaf.tag else "null"
    return (
        f'{{"case":{case},"entry":"{leaf.entry.hex()}","staff":"{leaf.staff.hex()}",'
        f'"tag":{tag},"time":"{seconds(leaf.time)}","v":{VERSION}}}'
    ).encode("ascii")


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf.

    :raises UnknownFormatError: of a version that this release does not know.
    :raises TamperedError: not the canonical bytes of a leaf.
    """
    found = _LEAF.fullmatch(data)
    time = _time(found["time"].decode("ascii")) if found else None
    if found is None or time is None:
        if _OTHER_VERSION.fullmatch(data):
            raise UnknownFormatError("leaf_version", "this release doesn't know the leaf's version; use a newer one")
        raise TamperedError("leaf_malformed", "this is no leaf of an access log; run dsr log verify")
    case, tag = found["case"], found["tag"]
    return Leaf(
        time,
        case.decode("ascii") if case else None,
        bytes.fromhex(tag.decode("ascii")) if tag else None,
        bytes.fromhex(found["entry"].decode("ascii")),
        bytes.fromhex(found["staff"].decode("ascii")),
    )


def seconds(time: datetime) -> str:
    """Write a time as leaves do: UTC, whole seconds, such as ``2026-11-20T08:30:00Z``."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if seconds(time) == text else None
