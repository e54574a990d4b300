"""Receive: what came through the door becomes a case, a reply or a visible exception, exactly once.

The order is the promise. The original is sealed and stored; then one transaction records
the arrival, its case and its sealed particulars; only then may the door be emptied. A kill
before the transaction leaves ciphertext that nothing opens; a kill after it leaves a message
at the door that the next run recognises by its source, or by its bytes where its mailbox has
numbered its messages anew, and removes.
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
from vault.errors import RefusedError
from vault.intake.opened import Attachment
from vault.intake.reports import Report
from vault.steps.attachments import store_attachments
from vault.steps.casefile import arrival_owner, case_owner, object_context, original_key, seal_item
from vault.steps.mail_identity import Lying, identities, source_bytes
from vault.steps.parts import Parts
from vault.steps.replying import intend_answer
from vault.steps.returned import note_on_closed, note_report
from vault.storage import mailroom
from vault.storage.arrivals import Arrival, add_arrival, by_digest, by_ref, by_source
from vault.storage.cases import append, get_case, open_case
from vault.storage.database import Connection
from vault.storage.keys import add_sealed_key
from vault.storage.mailroom import MailIdentity

PARTICULARS = "particulars"
REPLY = "reply"
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
    :param report: what a machine says about our mail, where a machine wrote it.
    :param attachments: its files, each sealed in a place of its own; ``particulars`` describes them in this order.
    :param lying: how a mail lies at the door; None for a letter.
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
    report: Report | None = None
    attachments: tuple[Attachment, ...] = ()
    lying: Lying | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What an incoming message became; ``fresh`` is False when an earlier run took it."""

    case: Case
    arrival_ref: str
    role: str
    fresh: bool
    notice_ref: str | None = None


@dataclass(frozen=True, slots=True)
class _Landing(Private):
    """What is written about one arrival.

    :param keys: owner to new key, to be sealed in the transaction.
    """

    arrival: Arrival
    identity: MailIdentity | None
    keys: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Stored(Private):
    """An arrival whose original lies sealed in the object store, and which no case knows yet."""

    incoming: Incoming
    landing: _Landing


def source_mac(parts: Parts, source: str) -> bytes:
    """Recognise a place at the door without storing its name."""
    return parts.service.mac("arrival", source_bytes(source))


def plausible(moment: datetime, now: datetime) -> datetime:
    """Return when something arrived: what the door's clock says, unless that lies ahead or longer than a year back.

    A broken clock must neither give a case days that the law does not, nor a date that no calendar holds.
    """
    return moment if now - _OLDEST <= moment <= now else now


def already_taken(parts: Parts, source: str) -> Taken | None:
    """Return what an earlier run made of this source, or None."""
    mac = source_mac(parts, source)
    with parts.database.connect() as connection:
        return _was(connection, by_source(connection, mac))


def _was(connection: Connection, arrival: Arrival | None) -> Taken | None:
    if arrival is None:
        return None
    return Taken(get_case(connection, arrival.case_ref), arrival.ref, arrival.role, fresh=False)


def take(parts: Parts, incoming: Incoming) -> Taken:
    """Make a case, a reply or a duplicate of ``incoming``, once.

    :raises OutOfReachError: a store does not answer; nothing is lost, the message stays at the door.
    """
    return commit(parts, store(parts, incoming))


def store(parts: Parts, incoming: Incoming) -> Stored:
    """Seal and store what arrived, under keys that nobody else has before :func:`commit`.

    :raises OutOfReachError: the object store or the key service does not answer.
    """
    incoming = replace(incoming, received_at=plausible(incoming.received_at, parts.now()))
    arrival_ref = secrets.token_hex(8)
    keys: dict[str, bytes] = {}
    if incoming.original is not None:
        owner = arrival_owner(arrival_ref)
        keys[owner] = new_key()
        name = original_key(arrival_ref)
        parts.objects.put(name, seal(keys[owner], object_context(name, owner), incoming.original))
    if incoming.attachments:
        stored = store_attachments(parts, arrival_ref, incoming.attachments, incoming.particulars, keys)
        incoming = replace(incoming, particulars=stored)
    source, digest = parts.service.many(
        "mac", "arrival", [("", source_bytes(incoming.source)), ("", b"same\0" + sha256(incoming.same).digest())]
    )
    arrival = Arrival(arrival_ref, incoming.channel, source, digest, incoming.received_at, "", "")
    identity = identities(parts, [incoming.lying])[0] if incoming.lying else None
    return Stored(incoming, _Landing(arrival, identity, keys))


def commit(parts: Parts, stored: Stored) -> Taken:
    """Record, in one transaction, what was stored; again after a conflict it is the same.

    :raises OutOfReachError: the database does not answer.
    :raises ConflictError: somebody changed the case that this answers.
    """
    incoming, landing = stored.incoming, replace(stored.landing, keys=dict(stored.landing.keys))
    try:
        with parts.database.connect() as connection:
            return _known(connection, landing) or _commit(parts, connection, incoming, landing)
    except psycopg.errors.UniqueViolation:
        found = already_taken(parts, incoming.source)
        if found is None:
            raise
        return found


def _known(connection: Connection, landing: _Landing) -> Taken | None:
    """Let nobody else decide about this content meanwhile; return what was made of the very same message."""
    arrival, identity = landing.arrival, landing.identity
    mailroom.serialise(connection, [arrival.digest, *([identity.content] if identity else [])])
    earlier = mailroom.renumbered(connection, identity) if identity else None
    return _was(connection, by_ref(connection, earlier) if earlier else by_source(connection, arrival.source))


def _commit(parts: Parts, connection: Connection, incoming: Incoming, landing: _Landing) -> Taken:
    arrival, keys = landing.arrival, landing.keys
    case, role = _case_of(parts, connection, incoming, landing)
    add_arrival(connection, replace(arrival, case_ref=case.ref, role=role))
    if landing.identity is not None:
        mailroom.add_identity(connection, arrival.ref, landing.identity, parts.now())
        mailroom.forget(connection, [arrival.source])
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
    wanted = incoming.notice if role == "request" else None
    notice_ref = intend_answer(parts, connection, case, wanted, incoming.particulars) if wanted else None
    return Taken(case, arrival.ref, role, fresh=True, notice_ref=notice_ref)


def _case_of(parts: Parts, connection: Connection, incoming: Incoming, landing: _Landing) -> tuple[Case, str]:
    """Find or open the case that an arrival belongs to, and say what it is there."""
    arrival, keys = landing.arrival, landing.keys
    known = _case_answered(connection, incoming)
    twin = by_digest(connection, arrival.digest)
    if incoming.report is not None and known is not None:
        return note_report(parts, connection, known, incoming.report, arrival.ref), "notice"
    if known is None or twin is not None:
        case, role = _new_case(parts, connection, incoming, twin, keys)
        if incoming.report is not None and twin is None:
            case = note_on_closed(parts, connection, case, incoming.report)
        return case, role
    detail = {"arrival": arrival.ref}
    case = append(connection, known, Event.REPLY_ARRIVED, actor=parts.actor, at=parts.now(), detail=detail)
    keys.setdefault(arrival_owner(arrival.ref), new_key())
    return case, REPLY


def _case_answered(connection: Connection, incoming: Incoming) -> Case | None:
    if incoming.case_ref is None:
        return None
    try:
        case = get_case(connection, incoming.case_ref)
    except RefusedError:
        return None
    return case if case.open else None


def _new_case(
    parts: Parts, connection: Connection, incoming: Incoming, twin: Arrival | None, keys: dict[str, bytes]
) -> tuple[Case, str]:
    year = incoming.received_at.astimezone(HELSINKI).year
    exception = "automatic_message" if incoming.report else incoming.exception
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
