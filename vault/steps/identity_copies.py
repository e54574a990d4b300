"""Copies of identity documents: once identity is decided, either way, nothing opens them any more.

What intake flagged lies under ``identity/`` (:mod:`vault.steps.attachments`). Keys go first, in one transaction, then
the mail's sealed original, which holds the picture too, and the copy itself last: killed anywhere, the next run finds
it and goes on (EDPB Guidelines 01/2022, para 79). An event on the case says when, and how many.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from vault.domain.case import BEFORE_IDENTITY, Case, Event
from vault.errors import ConflictError
from vault.steps.attachments import IDENTITY, SIGNED, attachment_owner
from vault.steps.case_of import REPLY
from vault.steps.casefile import arrival_owner, original_key
from vault.steps.parts import Parts
from vault.storage.arrivals import Arrival, by_ref
from vault.storage.cases import append, get_case, held, step_done
from vault.storage.database import Connection
from vault.storage.keys import destroy_owner


def destroy_identity_copies(parts: Parts) -> int:
    """Destroy the flagged copies of every case whose identity is decided; return how many.

    :raises OutOfReachError: a store does not answer; the next run goes on.
    """
    done = 0
    names = parts.objects.list(f"{IDENTITY}/")
    for arrival_ref, copies in groupby(names, key=lambda name: name.split("/")[1]):
        with suppress(ConflictError):  # a person was faster with the case: the next run goes on
            done += _destroy(parts, arrival_ref, list(copies))
    return done


def _destroy(parts: Parts, arrival_ref: str, copies: Sequence[str]) -> int:
    with parts.database.connect() as connection:
        arrival = by_ref(connection, arrival_ref)
    if arrival is None:
        return 0  # a kill before the arrival's transaction: ciphertext whose key was never kept
    with held(parts.database, arrival.case_ref) as mine:
        if not mine or not _shut(parts, arrival, copies):
            return 0
    parts.objects.delete(original_key(arrival_ref))
    for name in copies:
        parts.objects.delete(name)
    return len(copies)


def _shut(parts: Parts, arrival: Arrival, copies: Sequence[str]) -> bool:
    """Destroy the keys and say so on the case, in one transaction; False while identity is open."""
    with parts.database.connect() as connection:
        case = get_case(connection, arrival.case_ref)
        if case.stage in BEFORE_IDENTITY:
            return False
        owners = [attachment_owner(arrival.ref, name.rsplit("/", 1)[1]) for name in copies]
        if arrival.role != REPLY:  # a reply's own words stand under the same key as its original
            owners.append(arrival_owner(arrival.ref))
        for owner in owners:
            destroy_owner(connection, owner)
        _tell(parts, connection, case, arrival.ref, copies)
    return True


def _tell(parts: Parts, connection: Connection, case: Case, arrival_ref: str, copies: Sequence[str]) -> None:
    """Append the event, once for each message, also when a kill left its objects behind."""
    step = f"copies:{arrival_ref}"
    if not step_done(connection, case.ref, step):
        number = sum(not name.endswith(f"/{SIGNED}") for name in copies)
        detail = {"arrival": arrival_ref, "copies": str(number)}
        append(connection, case, Event.COPIES_DESTROYED, actor=parts.actor, at=parts.now(), step=step, detail=detail)
