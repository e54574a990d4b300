"""The leaves: what the tree commits to, opaque to everybody without a key.

A look's leaf is canonical JSON (RFC 8785) of two hashes, an opaque tag, a case's reference, a time and
the use's random name; a day's leaf closes a day. Each has exactly one spelling, so that what parses
renders to the same bytes.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from vault.errors import TamperedError, UnknownFormatError

VERSION: Final = 1
TAG_BYTES: Final = 16
USE_BYTES: Final = 16
LONGEST_LEAF: Final = 512  # bytes
_SECONDS = 19  # characters of a time to the second, without its zone
_LEAF = re.compile(
    rb'\{"case":(?:null|"(?P<case>[A-Z0-9-]{1,32})"),"entry":"(?P<entry>[0-9a-f]{64})","staff":"(?P<staff>[0-9a-f]{64})",'
    rb'"tag":(?:null|"(?P<tag>[0-9a-f]{32})"),"time":"(?P<time>[0-9TZ:-]{20})","use":"(?P<use>[0-9a-f]{32})","v":1\}'
)
_DAY = re.compile(
    rb'\{"day":"(?P<day>[0-9-]{10})","map":"(?P<map>[0-9a-f]{64})","size":(?P<size>0|[1-9][0-9]{0,18}),'
    rb'"tags":(?P<tags>0|[1-9][0-9]{0,18}),"v":1\}'
)
_OTHER_VERSION = re.compile(rb'\{"(?:case|day)":.*"v":(?!1\})[0-9]+\}')


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf.

    :param time: UTC, whole seconds.
    :param case: the case's reference, where the access served one.
    :param tag: 16 bytes, the same for one subject's entries; None while no subject is known.
    :param entry: SHA-256 of the sealed entry; ``staff`` of the sealed staff part and the reader's mark behind it.
    :param use: 16 random bytes that name this use, in the key service's audit too.
    """

    time: datetime
    case: str | None
    tag: bytes | None
    entry: bytes
    staff: bytes
    use: bytes


@dataclass(frozen=True, slots=True)
class Day:
    """A leaf that closes a day: these were all looks until then.

    :param day: the local day in Helsinki that has ended.
    :param map: root over (tag, count, last leaf's hash) of every tag, in the tags' order
        (:mod:`vault.accesslog.completeness`).
    :param size: over the first so many leaves of the log; at most the day leaf's own index.
    :param tags: how many tags there are.
    """

    day: date
    map: bytes
    size: int
    tags: int


def render_day(day: Day) -> bytes:
    """Write a day's leaf; the inverse of :func:`parse_day`."""
    return (
        f'{{"day":"{day.day.isoformat()}","map":"{day.map.hex()}","size":{day.size},"tags":{day.tags},"v":{VERSION}}}'
    ).encode("ascii")


def parse_day(data: bytes) -> Day | None:
    """Read a day's leaf; None for anything else."""
    found = _DAY.fullmatch(data)
    try:
        day = date.fromisoformat(found["day"].decode("ascii")) if found else None
    except ValueError:
        return None
    if found is None or day is None:
        return None
    return Day(day, bytes.fromhex(found["map"].decode("ascii")), int(found["size"]), int(found["tags"]))


def read_leaf(data: bytes) -> Leaf | Day:
    """Read a leaf of either kind.

    :raises UnknownFormatError: of a version that this release does not know.
    :raises TamperedError: not the canonical bytes of a leaf.
    """
    return parse_day(data) or parse_leaf(data)


def render_leaf(leaf: Leaf) -> bytes:
    """Write a look's leaf; the inverse of :func:`parse_leaf`."""
    case = f'"{leaf.case}"' if leaf.case else "null"
    tag = f'"{leaf.tag.hex()}"' if leaf.tag else "null"
    return (
        f'{{"case":{case},"entry":"{leaf.entry.hex()}","staff":"{leaf.staff.hex()}",'
        f'"tag":{tag},"time":"{seconds(leaf.time)}","use":"{leaf.use.hex()}","v":{VERSION}}}'
    ).encode("ascii")


def parse_leaf(data: bytes) -> Leaf:
    """Read a look's leaf.

    :raises UnknownFormatError: of a version that this release does not know.
    :raises TamperedError: not the canonical bytes of a look's leaf.
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
        bytes.fromhex(found["use"].decode("ascii")),
    )


def seconds(time: datetime) -> str:
    """Write a time as leaves do: UTC, whole seconds, such as ``2026-11-20T08:30:00Z``."""
    return to_seconds(time.astimezone(UTC).isoformat())


def to_seconds(text: str) -> str:
    """Cut a finer UTC time, in ISO 8601, to :func:`seconds`."""
    return f"{text[:_SECONDS]}Z"


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if seconds(time) == text else None
