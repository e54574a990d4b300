"""Copies of identity documents: once identity is decided, either way, nothing opens them any more.

What intake flagged lies under ``identity/`` (:mod:`vault.steps.attachments`). Keys go first, in one transaction, then
the mail's sealed original, which holds the picture too, and the copy itself last: killed anywhere, the next run finds
it and goes on (EDPB Guidelines 01/2022, para 79).
"""

from collections.abc import Sequence
from itertools import groupby

from vault.domain.case import BEFORE_IDENTITY
from vault.steps.attachments import IDENTITY, attachment_owner
from vault.steps.casefile import arrival_owner, original_key
from vault.steps.parts import Parts
from vault.storage.arrivals import Arrival, by_ref
from vault.storage.cases import get_case
from vault.storage.database import Connection
from vault.storage.keys import destroy_owner

_REPLY = "reply"


def destroy_identity_copies(parts: Parts) -> int:
    """Destroy the flagged copies of every case whose identity is decided; return how many.

    :raises OutOfReachError: a store does not answer; the next run goes on.
    """
    done = 0
    names = parts.objects.list(f"{IDENTITY}/")
    for arrival_ref, copies in groupby(names, key=lambda name: name.split("/")[1]):
        done += _destroy(parts, arrival_ref, list(copies))
    return done


def _destroy(parts: Parts, arrival_ref: str, copies: Sequence[str]) -> int:
    with parts.database.connect() as connection:
        arrival = by_ref(connection, arrival_ref)
        if arrival is None or not _decided(connection, arrival):
            return 0  # or a kill before the arrival's transaction: ciphertext whose key was never kept
        owners = [attachment_owner(arrival_ref, name.rsplit("/", 1)[1]) for name in copies]
        if arrival.role != _REPLY:  # a reply's own words stand under the same key as its original
            owners.append(arrival_owner(arrival_ref))
        for owner in owners:
            destroy_owner(connection, owner)
    parts.objects.delete(original_key(arrival_ref))
    for name in copies:
        parts.objects.delete(name)
    return len(copies)


def _decided(connection: Connection, arrival: Arrival) -> bool:
    return get_case(connection, arrival.case_ref).stage not in BEFORE_IDENTITY
