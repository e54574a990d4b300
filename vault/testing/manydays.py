"""Long logs to test and measure with: leaves of looks at many subjects, and the leaves that close their days."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from random import Random

from vault.accesslog.daycheck import DayCheck
from vault.accesslog.leaves import TAG_BYTES, Day, Leaf, read_leaf, render_day, render_leaf
from vault.accesslog.merkle import leaf_hash

FIRST_DAY = date(2026, 1, 1)
_START = datetime(2026, 1, 1, 6, tzinfo=UTC)
_CASE = "DSR-2026-7K3QXM"


def looks(count: int, subjects: int, *, seed: int = 0) -> Iterator[bytes]:
    """Make leaves of looks, at one of so many subjects each, some at nobody known."""
    chance = Random(seed)  # noqa: S311 - the same log each time is wanted
    tags = [chance.randbytes(TAG_BYTES) for _ in range(subjects)]
    for number in range(count):
        tag = tags[chance.randrange(subjects)] if number % 50 else None
        entry, staff = sha256(b"entry %d %d" % (seed, number)).digest(), sha256(b"staff %d" % number).digest()
        time = _START + timedelta(seconds=number)
        yield render_leaf(Leaf(time, _CASE, tag, entry, staff, entry[:16]))


def with_days(leaves: Iterable[bytes], every: int) -> Iterator[bytes]:
    """Put a day's leaf behind each so many looks."""
    maker = _DayMaker()
    for number, leaf in enumerate(leaves, start=1):
        read = read_leaf(leaf)
        maker.look(read.tag if isinstance(read, Leaf) else None, leaf_hash(leaf))
        yield leaf
        if number % every == 0:
            yield maker.made(FIRST_DAY + timedelta(days=number // every - 1))


class _DayMaker(DayCheck):
    """Makes the leaves that it would check."""

    def made(self, day: date) -> bytes:
        size = self.seen
        self._settle(size)
        leaf = render_day(Day(day, self._root(), size, len(self._order)))
        self.look(None, leaf_hash(leaf))
        return leaf
