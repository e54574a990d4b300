"""What logging a look costs: patients opened a second, in batches and one by one, with and without the log."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from bench.house import House, Office, case_of, house, people, prove
from bench.rows import Row
from vault.accesslog.entries import Access
from vault.accesslog.log import AccessLog
from vault.accesslog.receipts import LogReceipt
from vault.domain.records import RecordKind
from vault.domain.roles import OfficeName, Purpose
from vault.register.own import OwnRegister
from vault.register.port import Look

PATIENTS, ENTRIES = 2_000, 15
BATCH, SINGLES = 500, 300
_ROUNDS = 6
_KINDS = (RecordKind.SESSION_ENTRY,)
_UNIT = "patients/s"


class _AnyReceipt:
    """Takes any receipt, so that reading without the log can be measured."""

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        """Spend nothing."""


def reading_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises VaultError: a server is missing.
    """
    with house() as made:
        say(f"filling a register with {PATIENTS} patients")
        subjects = _fill(made)
        prove(made, subjects)
        office = made.office(OfficeName.COLLECTOR)
        bare = OwnRegister(office.database, office.keys, office.service, _AnyReceipt())
        say("reading them in batches, one by one, and without the log")
        logged: list[float] = []
        unlogged: list[float] = []
        singly = []
        receipts = office.log.record([_look(subject) for subject in subjects])  # makes this year's log keys
        for turn in range(_ROUNDS):
            for number, some in enumerate(_slices(subjects, BATCH)):
                acts = [partial(_logged, office, some, BATCH), partial(_read, bare, receipts[: len(some)], some)]
                turned = 1 if (turn + number) % 2 else -1  # whoever goes first finds the machine otherwise
                rates = [_rate(len(some), act) for act in acts[::turned]][::turned]
                logged.append(rates[0])
                unlogged.append(rates[1])
            few = subjects[turn * SINGLES :][:SINGLES]
            singly.append(_rate(len(few), partial(_logged, office, few, 1)))
    note = f"{ENTRIES} entries each, key unwrapped, receipt spent, decrypted"
    yield Row("logged-reads/batches", statistics.median(logged), _UNIT, limit=1_000, note=f"batches of {BATCH}; {note}")
    yield Row("logged-reads/single", statistics.median(singly), _UNIT, limit=200, note=f"a durable commit each; {note}")
    more = statistics.median(free / full - 1 for full, free in zip(logged, unlogged, strict=True))
    told = f"more time than unlogged, which reads {statistics.median(unlogged):.0f} {_UNIT}"
    yield Row("logged-reads/cost", max(0.0, more), "1", limit=0.3, at_most=True, note=told)


def _fill(made: House) -> list[str]:
    registry = made.office(OfficeName.REGISTRY).register
    subjects = []
    for code, identity, contacts, care in people(PATIENTS, ENTRIES):
        subjects.append(registry.add_subject(code, identity, contacts))
        registry.write(care)
    return subjects


def _logged(office: Office, subjects: Sequence[str], size: int) -> None:
    """Log and read in batches of a size, as a process that has just started."""
    log = AccessLog(office.database, office.keys, office.service)
    register = OwnRegister(office.database, office.keys, office.service, log)
    for some in _slices(subjects, size):
        _read(register, log.record([_look(subject) for subject in some]), some)


def _slices(subjects: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (subjects[start : start + size] for start in range(0, len(subjects), size))


def _read(register: OwnRegister, receipts: Sequence[LogReceipt], subjects: Sequence[str]) -> None:
    looks = [Look(receipt, subject, receipt.case) for receipt, subject in zip(receipts, subjects, strict=True)]
    found = register.read_many(looks, _KINDS)
    assert all(len(records) == ENTRIES for records in found)


def _look(subject: str) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:collector",
        actor_name="collector",
        role="office",
        purpose=Purpose.COLLECT,
        legal_ground="GDPR Article 15",
        case=case_of(int(subject.removeprefix("P-"))),
        subject=subject,
        kinds=tuple(kind.value for kind in _KINDS),
    )


def _rate(count: int, act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return count / (time.perf_counter() - begun)
