"""What it costs to tell who read about one person, every look proved, in a log of a million entries."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from bench.house import House, Office, house
from bench.rows import Row
from vault.accesslog.answers import tell
from vault.accesslog.days import close_days
from vault.accesslog.entries import Access, SealedLook
from vault.accesslog.publish import LogParts, publish
from vault.domain.roles import OfficeName, Purpose
from vault.storage import log as table
from vault.testing.accesslog import ORIGIN, MemoryShelf

ENTRIES, SUBJECTS = 1_000_000, 33_000
LOOKS = 30  # at the one who is asked about
ASKED = 15  # times
LIMIT = 200.0  # milliseconds
_BATCH = 10_000
_SUBJECT = "P-ASKED"


def asking_rows(say: Callable[[str], None], entries: int = ENTRIES) -> Iterator[Row]:
    """Measure and yield the rows.

    :param entries: how many the log holds.
    :raises VaultError: a server is missing.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with house() as made:
        say(f"filling a log with {entries} entries of {SUBJECTS} subjects")
        _fill(made, entries, now - timedelta(days=2))
        keeper, audit = made.office(OfficeName.KEEPER), made.office(OfficeName.AUDIT)
        begun = time.perf_counter()
        close_days(keeper.database, now)
        closed = time.perf_counter() - begun
        say("publishing it")
        publish(LogParts(keeper.database, keeper.service, ORIGIN), MemoryShelf())
        say(f"asking {ASKED} times")
        taken = [_ask(audit, now) for _ in range(ASKED)]
    note = f"{LOOKS} looks among {entries}, {SUBJECTS} subjects: logged, opened, each proved, proved complete"
    worst = f"{note}; worst {max(taken):.0f}"
    yield Row("asking/who", statistics.median(taken), "ms", limit=LIMIT, at_most=True, note=worst)
    yield Row("asking/close-day", closed, "s", note=f"map over {SUBJECTS} subjects of {entries} entries, once a day")


def _ask(audit: Office, now: datetime) -> float:
    begun = time.perf_counter()
    receipt = audit.log.record([_look(now)])[0]
    told = tell(audit.log, audit.database, _SUBJECT, receipt.index + 1)
    taken = time.perf_counter() - begun
    assert len(told.entries) > LOOKS
    assert told.complete is not None
    return 1000 * taken


def _fill(made: House, entries: int, at: datetime) -> None:
    """Append looks at others that nobody could open, and now and then a whole one."""
    desk = made.office(OfficeName.DESK)
    tags = [os.urandom(16) for _ in range(SUBJECTS)]
    every = max(1, entries // LOOKS)
    for start in range(0, entries, _BATCH):
        count = min(_BATCH, entries - start)
        wanted = len(range(-start % every, count, every))
        if wanted:
            desk.log.record([_look(at)] * wanted)
        batch = [_columns(tags[(start + number) % SUBJECTS], at) for number in range(count - wanted)]
        columns = table.LeafColumns(*map(list, zip(*batch, strict=True)))
        table.append(desk.database.ask, columns, table.Claims(heard=True))


def _columns(tag: bytes, at: datetime) -> SealedLook:
    use = os.urandom(16)
    return SealedLook(use, use, use, None, tag, use, at)


def _look(at: datetime) -> Access:
    return Access(
        at=at,
        actor="account:0",
        actor_name="bench",
        role="auditor",
        purpose=Purpose.AUDIT,
        legal_ground="Act 703/2023 s. 11",
        case=None,
        subject=_SUBJECT,
        kinds=("access_log",),
    )
