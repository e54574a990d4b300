"""Closed days of the log and what their map is made of, blind: bytes in, bytes out."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString

from vault.storage.database import Connection

_CLOSING_LOCK = 7044
_PIECE = 500  # rows fetched at a time
_DAY: LiteralString = "select d.day, d.idx, d.size, l.leaf from log_days d join log_leaves l using (idx)"
_COUNTS: Final = (
    "select g.tag, g.count, l.leaf from (select tag, count(*) as count, max(idx) as idx from log_leaves"
    " where tag is not null and idx < %s group by tag) g join log_leaves l using (idx) order by g.tag"
)
# a look's leaf holds the tag at one place from its end (vault.accesslog.leaves.render_leaf); searching is far slower
_SOUND: Final = """
select count(*), min(idx) filter (where coalesce(encode(tag, 'hex'), '') is distinct from
    case when substr(leaf, octet_length(leaf) - 117, 7) = '"tag":"'::bytea
        then encode(substr(leaf, octet_length(leaf) - 110, 32), 'escape') else '' end)
from log_leaves where idx < %s
"""
# one step of the index a tag, however many leaves a tag has
_TAGS: Final = """
with recursive there as (
    (select tag, idx from log_leaves where tag >= %s order by tag, idx limit 1)
    union all
    select following.tag, following.idx from there, lateral (
        select tag, idx from log_leaves where tag > there.tag order by tag, idx limit 1
    ) following
)
select tag from there where idx < %s limit %s
"""


@dataclass(frozen=True, slots=True)
class DayRow:
    """A closed day: where its leaf stands, how many leaves it covers, and its leaf's bytes."""

    day: date
    index: int
    size: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag among the first leaves: how many carry it, and the bytes of the last that does."""

    tag: bytes
    count: int
    leaf: bytes


def lock_closing(connection: Connection) -> None:
    """Wait until nobody else closes days; held until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_CLOSING_LOCK,))


def last_day(connection: Connection) -> DayRow | None:
    """Return the newest closed day."""
    found = connection.execute(f"{_DAY} order by d.day desc limit 1").fetchone()
    return DayRow(found[0], int(found[1]), int(found[2]), bytes(found[3])) if found else None


def first_look(connection: Connection) -> datetime | None:
    """Return the time of the log's first look."""
    found = connection.execute("select at from log_leaves where at is not null order by idx limit 1").fetchone()
    return found[0] if found else None


def add_day(connection: Connection, day: date, index: int, size: int) -> None:
    """Store a closed day."""
    connection.execute("insert into log_days (day, idx, size) values (%s, %s, %s)", (day, index, size))


def counts(connection: Connection, size: int) -> Iterator[TagCount]:
    """Yield every tag among the first leaves, in the tags' order, a few hundred at a time.

    :param size: how many leaves.
    """
    with closing(connection.cursor("log_tag_counts")) as cursor:
        cursor.itersize = _PIECE
        for tag, count, leaf in cursor.execute(_COUNTS, (size,)):
            yield TagCount(bytes(tag), int(count), bytes(leaf))


def unsound(connection: Connection, size: int) -> bool:
    """Tell whether one of the first leaves is gone, or carries another tag than its row.

    :param size: how many leaves.
    """
    return connection.execute(_SOUND, (size,)).fetchone() != (size, None)


def count_of(connection: Connection, tag: bytes, size: int) -> TagCount | None:
    """Return one tag among the first leaves; None where none carries it."""
    found = connection.execute(
        "select count(*) over (), leaf from log_leaves where tag = %s and idx < %s order by idx desc limit 1",
        (tag, size),
    ).fetchone()
    return TagCount(tag, int(found[0]), bytes(found[1])) if found else None


def tile_before(connection: Connection, tag: bytes) -> tuple[int, bytes] | None:
    """Return index and first tag of the map's tile in whose range a tag falls; None before the first tile."""
    found = connection.execute(
        "select idx, first from log_tiles where tree = 'map' and level = 0 and first <= %s order by first desc limit 1",
        (tag,),
    ).fetchone()
    return (int(found[0]), bytes(found[1])) if found else None


def tags_from(connection: Connection, tag: bytes, size: int, most: int) -> list[bytes]:
    """Return the tags from this one on, in order, that the first leaves hold.

    :param size: how many leaves.
    :param most: how many tags at most.
    """
    return [bytes(found) for (found,) in connection.execute(_TAGS, (tag, size, most))]
