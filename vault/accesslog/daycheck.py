"""Recounts what each day's leaf promises, in one pass over the log: how often each tag stands, and how it ends.

Memory grows with the number of tags, not with that of entries. A log that closes no days, or has more
tags than there are people, is refused instead of held.
"""

from datetime import date
from hashlib import sha256

from vault.accesslog.leaves import TAG_BYTES, Day
from vault.accesslog.merkle import EMPTY_ROOT, HASH_BYTES
from vault.errors import LimitError

MOST_TAGS = 5_000_000
MOST_OPEN = 2_000_000  # entries behind the last closed day
_COUNT_BYTES = 8
_NO_TAG = bytes(1 + TAG_BYTES)
_STEP = 1 + TAG_BYTES + HASH_BYTES


class DayCheck:
    """Follows a log leaf by leaf and recomputes the map of each day that it closes.

    :ivar checked: how many days agreed; ``last`` is the newest of them.
    """

    __slots__ = ("_counts", "_day", "_lines", "_open", "_order", "_size", "checked", "last")

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._lines: dict[bytes, bytes] = {}  # a tag's line, hashed
        self._order: list[bytes] = []
        self._open = bytearray()  # tag and leaf hash of each entry from _size on
        self._size = 0
        self._day: date | None = None
        self.checked = 0
        self.last: date | None = None

    @property
    def seen(self) -> int:
        """How many leaves were taken."""
        return self._size + len(self._open) // _STEP

    def tags(self) -> list[bytes]:
        """List the tags of the last day that was taken, in order."""
        return self._order

    def lines(self) -> list[bytes]:
        """List the hashes of the tags' lines, in the tags' order: the leaves of that day's map."""
        return [self._lines[tag] for tag in self._order]

    def look(self, tag: bytes | None, hashed: bytes) -> None:
        """Take the next leaf, a look's or a day's own.

        :param tag: 16 bytes; None where the leaf has none.
        :param hashed: the leaf's hash.
        :raises LimitError: too many entries since the last closed day.
        """
        self._open += (_NO_TAG if tag is None else b"\x01" + tag) + hashed
        if len(self._open) > MOST_OPEN * _STEP:
            raise LimitError(
                "days_not_closed",
                "the log closes no days and can't be checked; it is not our log",
            )

    def close(self, day: Day, hashed: bytes) -> str | None:
        """Take a day's leaf; tell what is wrong with it, as a fault's code.

        :raises LimitError: more tags than there are people.
        """
        fault = self._fault(day)
        if fault is None:
            self.checked, self.last = self.checked + 1, day.day
        self.look(None, hashed)
        return fault

    def _fault(self, day: Day) -> str | None:
        if (self._day and day.day <= self._day) or not self._size <= day.size <= self.seen:
            return "day_out_of_order"
        self._day = day.day
        self._settle(day.size)
        return None if (day.tags, day.map) == (len(self._order), self._root()) else "day_differs"

    def _settle(self, size: int) -> None:
        """Count the entries before an index into their tags."""
        changed: dict[bytes, bytes] = {}
        end = (size - self._size) * _STEP
        for at in range(0, end, _STEP):
            if self._open[at]:
                tag = bytes(self._open[at + 1 : at + 1 + TAG_BYTES])
                changed[tag] = bytes(self._open[at + 1 + TAG_BYTES : at + _STEP])
                self._counts[tag] = self._counts.get(tag, 0) + 1
        del self._open[:end]
        self._size = size
        for tag, last in changed.items():
            if tag not in self._lines:
                self._order.append(tag)
            self._lines[tag] = line_hash(tag, self._counts[tag], last)
        self._order.sort()  # the old tags are in order already: one merge
        if len(self._order) > MOST_TAGS:
            raise LimitError("tags_too_many", "the log has more subjects than there are people; it is not our log")

    def _root(self) -> bytes:
        """Give the root over the tags' lines (RFC 6962 section 2.1), row by row: far faster than one by one."""
        row = self.lines()
        while len(row) > 1:
            odd = row[-1:] if len(row) % 2 else []
            row = [
                sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)
            ] + odd
        return row[0] if row else EMPTY_ROOT


def line_hash(tag: bytes, count: int, last: bytes) -> bytes:
    """Hash a tag's line of a day's map as a leaf of it.

    :param tag: 16 bytes.
    :param count: how many leaves carry it.
    :param last: the hash of the last of them.
    """
    return sha256(b"\x00" + tag + count.to_bytes(_COUNT_BYTES, "big") + last).digest()
