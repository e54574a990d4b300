"""Receive: what came through the door becomes a case, a reply or a visible exception, exactly once.

The order is the promise. The original is sealed and stored; then one transaction records
the arrival, its case and its sealed particulars; only then may the door be emptied. A kill
before the transaction leaves ciphertext that nothing opens; a kill after it leaves a message
at the door that the next run recognises by its source and removes.
"""

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg

from vault.crypto.boxes import seal_key
from vault.crypto.envelope import new_key, seal
from vault.domain.calendar import HELSINKI
from vault.domain.case import REFERENCE_SPACE, Case, Channel, Event, Stage, reference
from vault.domain.private import Private
from vault.domain.request import RequestKind
from vault.errors import RefusedError
from vault.steps.casefile import arrival_owner, case_owner, object_context, original_key, seal_item
from vault.steps.parts import Parts
from vault.storage import outgoing
from vault.storage.arrivals import Arrival, add_arrival, by_digest, by_source
from vault.storage.cases import append, get_case, open_case
from vault.storage.database import Connection
from vault.storage.keys import add_sealed_key
from vault.storage.outgoing import Outgoing

PARTICULARS = "particulars"
REPLY = "reply"
ANSWERED = frozenset({RequestKind.INSPECTION, RequestKind.LOG})  # other rights are a person's work
_OLDEST = timedelta(days=366)  # a door's clock that says more than this is wrong, not late


@dataclass(frozen=True, slots=True)
class Incoming(Private, shows=("channel",)):
    """One message or letter as the readers understood it.

    :param source: where it lay, such as ``imap|INBOX|7|12``; recognises it after a kill.
    :param same: what two copies of one message share, for finding duplicates.
    :param original: the bytes as they came; None when an earlier letter of the same sheets keeps them.
    :param particulars: what was read from it, as JSON; sealed, never plain.
    :param case_ref: the case that the message says it answers.
    :param exception: code of what a person must look at.
    :param notice: template of the reply that its arrival deserves, or None.
    """

    channel: Channel
    source: str
    same: bytes
    original: bytes | None
    received_at: datetime
    language: str
    particulars: dict[str, Any] = field(default_factory=dict)
    case_ref: str | None = None
    exception: str | None = None
    notice: str | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What an incoming message became; ``fresh`` is False when an earlier run took it."""

    case: Case
    arrival_ref: str
    role: str
    fresh: bool
    notice_ref: str | None = None


def source_mac(parts: Parts, source: str) -> bytes:
    """Recognise a place at the door without storing its name; a file's name may be no UTF-8."""
    return parts.service.mac("arrival", b"source\0" + sha256(source.encode(errors="surrogateescape")).digest())


def plausible(moment: datetime, now: datetime) -> datetime:
    """Return when something arrived: what the door's clock says, unless that lies ahead or longer than a year back.

    A broken clock must neither give a case days that the law does not, nor a date that no calendar holds.
    """
    return moment if now - _OLDEST <= moment <= now else now


def already_taken(parts: Parts, source: str) -> Taken | None:
    """Return what an earlier run made of this source, or None."""
    mac = source_mac(parts, source)
    with parts.database.connect() as connection:
        arrival = by_source(connection, mac)
        if arrival is None:
            return None
        return Taken(get_case(connection, arrival.case_ref), arrival.ref, arrival.role, fresh=False)


def take(parts: Parts, incoming: Incoming) -> Taken:
    """Make a case, a reply or a duplicate of ``incoming``, once.

    :raises OutOfReachError: a store does not answer; nothing is lost, the message stays at the door.
    """
    incoming = replace(incoming, received_at=plausible(incoming.received_at, parts.now()))
    arrival_ref = secrets.token_hex(8)
    keys: dict[str, bytes] = {}
    if incoming.original is not None:
        owner = arrival_owner(arrival_ref)
        keys[owner] = new_key()
        name = original_key(arrival_ref)
        parts.objects.put(name, seal(keys[owner], object_context(name, owner), incoming.original))
    source = source_mac(parts, incoming.source)
    digest = parts.service.mac("arrival", b"same\0" + sha256(incoming.same).digest())
    try:
        with parts.database.connect() as connection:
            return _commit(
                parts,
                connection,
                incoming,
                Arrival(arrival_ref, incoming.channel, source, digest, incoming.received_at, "", ""),
                keys,
            )
    except psycopg.errors.UniqueViolation:
        found = already_taken(parts, incoming.source)
        if found is None:
            raise
        return found


def _commit(
    parts: Parts, connection: Connection, incoming: Incoming, arrival: Arrival, keys: dict[str, bytes]
) -> Taken:
    known = _case_answered(connection, incoming)
    twin = by_digest(connection, arrival.digest)
    if incoming.automatic and known is not None:
        case, role = _note_automatic(parts, connection, known), "notice"
    elif known is not None and twin is None:
        case, role = (
            append(
                connection,
                known,
                Event.REPLY_ARRIVED,
                actor=parts.actor,
                at=parts.now(),
                detail={"arrival": arrival.ref},
            ),
            REPLY,
        )
        keys.setdefault(arrival_owner(arrival.ref), new_key())
    else:
        case, role = _new_case(parts, connection, incoming, twin, keys)
    add_arrival(connection, replace(arrival, case_ref=case.ref, role=role))
    public = parts.service.public("case")
    for owner, key in keys.items():
        add_sealed_key(connection, owner, "case", seal_key(public, owner, key))
    if role == REPLY:
        owner = arrival_owner(arrival.ref)
        seal_item(connection, keys[owner], owner, REPLY, incoming.particulars)
    elif case_owner(case.ref) in keys:
        owner = case_owner(case.ref)
        kept = {**incoming.particulars, "arrival": arrival.ref}
        seal_item(connection, keys[owner], owner, PARTICULARS, kept)
    notice_ref = _intend_notice(parts, connection, incoming, case) if role == "request" else None
    return Taken(case, arrival.ref, role, fresh=True, notice_ref=notice_ref)


def _case_answered(connection: Connection, incoming: Incoming) -> Case | None:
    if incoming.case_ref is None:
        return None
    try:
        case = get_case(connection, incoming.case_ref)
    except RefusedError:
        return None
    return case if case.open else None


def _note_automatic(parts: Parts, connection: Connection, case: Case) -> Case:
    return append(
        connection,
        case,
        Event.EXCEPTION_RAISED,
        actor=parts.actor,
        at=parts.now(),
        detail={"exception": "mail_bounced"},
        exception="mail_bounced",
    )


def _new_case(
    parts: Parts, connection: Connection, incoming: Incoming, twin: Arrival | None, keys: dict[str, bytes]
) -> tuple[Case, str]:
    year = incoming.received_at.astimezone(HELSINKI).year
    exception = "automatic_message" if incoming.automatic else incoming.exception
    case = Case(
        ref=reference(year, secrets.randbelow(REFERENCE_SPACE)),
        channel=incoming.channel,
        received_at=incoming.received_at,
        stage=Stage.RECEIVED,
        version=1,
        language=incoming.language,
        exception=None if twin else exception,
    )
    open_case(connection, case, actor=parts.actor, at=parts.now())
    keys[case_owner(case.ref)] = new_key()
    if twin is None:
        return case, "request"
    merged = append(
        connection,
        case,
        Event.FOUND_DUPLICATE,
        actor=parts.actor,
        at=parts.now(),
        detail={"into": twin.case_ref},
        merged_into=twin.case_ref,
    )
    return merged, "duplicate"


def notice_ref(case_ref: str, kind: str, mark: str = "") -> str:
    """Name an outgoing item for good; its Message-ID is made from it."""
    return "-".join(part for part in (case_ref, kind.replace("_", "-"), mark) if part)


def _intend_notice(parts: Parts, connection: Connection, incoming: Incoming, case: Case) -> str | None:
    if incoming.notice is None:
        return None
    road = "mail" if incoming.particulars.get("reply_to") else "post"
    item = Outgoing(
        notice_ref(case.ref, incoming.notice), case.ref, incoming.notice, road, outgoing.INTENDED, parts.now()
    )
    if road == "post" and not incoming.particulars.get("address"):
        return None
    outgoing.intend(connection, item)
    return item.ref
