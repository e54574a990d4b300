"""Keep: publish the log, wrap keys anew, purge what retention lets go, destroy what has served, mend after kills."""

from datetime import datetime, timedelta
from itertools import islice

from vault.accesslog.days import close_days
from vault.domain.case import TERMINAL, Case, Event
from vault.steps.attachments import owners_at
from vault.steps.caps import forget
from vault.steps.casefile import arrival_owner, case_owner, original_key
from vault.steps.identity_copies import destroy_identity_copies
from vault.steps.outbox import drop_letter
from vault.steps.parts import Parts
from vault.steps.publishing import publish_log, ringing
from vault.steps.rewrap import rewrap
from vault.storage import outgoing
from vault.storage.arrivals import of_case
from vault.storage.cases import all_cases, append, events_of, held
from vault.storage.keys import destroy_owner

_ENOUGH = 500  # cases a run
_KEYS_ENOUGH = 50_000  # keys a run: some minutes; `dsr keys rewrap` does all at once


def publish(parts: Parts) -> dict[str, int]:
    """Close the day that has ended, publish a checkpoint and tiles of the access log; nothing new publishes nothing."""
    with ringing(parts):
        close_days(parts.database, parts.now())
        return publish_log(parts)


def keep(parts: Parts) -> dict[str, int]:
    """Tidy the print outbox, destroy copies that have served, purge what retention lets go, wrap keys anew.

    One that fails stops none behind it: a bucket that is away delays no erasure of keys.

    :raises Exception: the first fault, when everything else is done; the next run goes on.
    """
    done: dict[str, int] = {}
    faults: list[Exception] = []
    for act in (_forgotten, _tidied, _copies_destroyed, _purged, _rewrapped):
        try:
            done |= act(parts)
        except Exception as error:  # noqa: BLE001 - raised again below, when the others had their turn
            faults.append(error)
    if faults:
        raise faults[0]
    return done


def _forgotten(parts: Parts) -> dict[str, int]:
    forget(parts)
    return {}


def _tidied(parts: Parts) -> dict[str, int]:
    return {"letters": _tidy_outbox(parts)}


def _copies_destroyed(parts: Parts) -> dict[str, int]:
    return {"identity_copies": destroy_identity_copies(parts)}


def _purged(parts: Parts) -> dict[str, int]:
    return {"cases": _purge(parts)}


def _rewrapped(parts: Parts) -> dict[str, int]:
    return rewrap(parts, _KEYS_ENOUGH)


def _tidy_outbox(parts: Parts) -> int:
    """Delete letters' bytes that a kill left behind after posting."""
    with parts.database.connect() as connection:
        posted = {item.ref for item in outgoing.in_state(connection, outgoing.POSTED, "post", 100_000)}
    left = {name.split("/")[1] for name in parts.objects.list("print/")} & posted
    for ref in left:
        drop_letter(parts, ref)
    return len(left)


def _purge(parts: Parts) -> int:
    """Destroy keys, then bytes, of cases closed longer than retention keeps them (correspondence: 3 years)."""
    before = parts.now() - timedelta(days=parts.settings.limits.retention_days)
    with parts.database.connect() as connection:
        closed = [case for case in all_cases(connection) if case.stage in TERMINAL and case.received_at < before]
    due = [case for case in closed if _ended(parts, case, before)]
    for case in islice(due, _ENOUGH):
        with held(parts.database, case.ref) as mine:
            if mine:
                purge_case(parts, case)
    return min(len(due), _ENOUGH)


def _ended(parts: Parts, case: Case, before: datetime) -> bool:
    with parts.database.connect() as connection:
        events = events_of(connection, [case.ref])[case.ref]
    closed_at = max(event.at for event in events if event.event is not Event.COPIES_DESTROYED)
    return closed_at < before and all(event.event is not Event.PURGED for event in events)


def purge_case(parts: Parts, case: Case) -> None:
    """Destroy a closed case's keys and sealed items in one transaction, then its objects."""
    with parts.database.connect() as connection:
        arrivals = of_case(connection, case.ref)
        files = {name: owner for arrival in arrivals for name, owner in owners_at(parts, arrival.ref).items()}
        for owner in (case_owner(case.ref), *(arrival_owner(arrival.ref) for arrival in arrivals), *files.values()):
            destroy_owner(connection, owner)
        append(connection, case, Event.PURGED, actor=parts.actor, at=parts.now(), step="purge")
    for name in list(parts.objects.list(f"case/{case.ref}/")):
        parts.objects.delete(name)
    for name in (*files, *(original_key(arrival.ref) for arrival in arrivals)):
        parts.objects.delete(name)
