"""Receive: what came through the door becomes a case, a reply or a visible exception, exactly once.

The order is the promise. What is large of the original is sealed and stored; then one transaction
records the arrival, its case, its sealed particulars and a small original with its files; only then may the door be
emptied. A kill before the transaction leaves ciphertext that nothing opens; a kill after it leaves a message
at the door that the next run recognises by its source, or by its bytes where its mailbox has
numbered its messages anew, and removes.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

import psycopg

from vault.crypto.envelope import new_key
from vault.domain.case import Case, Channel
from vault.domain.private import Private
from vault.intake.held import Raw
from vault.intake.opened import Attachment, SignedContent
from vault.intake.reports import Report
from vault.steps.attachments import attachment_item, shows_identity, store_attachments, store_signature, with_places
from vault.steps.case_of import REPLY, case_of
from vault.steps.casefile import ORIGINAL, arrival_owner, case_owner, original_key
from vault.steps.handful import Handful, Landing
from vault.steps.mail_identity import DoorMarks, Lying, message_id_bytes, place_marks, source_bytes
from vault.steps.parts import Parts
from vault.steps.replying import answer_to, sender_bytes
from vault.steps.sealed_object import BESIDE, put_sealed, seal_beside
from vault.storage.arrivals import Arrival, by_source
from vault.storage.cases import get_case
from vault.storage.database import Connection
from vault.storage.outgoing import Outgoing

PARTICULARS = "particulars"
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
    :param signed: its signature with what that covers, to be checked again with keys that the register knows.
    :param lying: how a mail lies at the door; None for a letter.
    """

    channel: Channel
    source: str
    same: bytes
    original: Raw | None
    received_at: datetime
    language: str
    particulars: dict[str, Any] = field(default_factory=dict)
    case_ref: str | None = None
    exception: str | None = None
    notice: str | None = None
    report: Report | None = None
    attachments: tuple[Attachment, ...] = ()
    signed: SignedContent | None = None
    lying: Lying | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What an incoming message became; ``fresh`` is False when an earlier run took it.

    :param answer: whose intent stands with it and that is to be sent now.
    """

    case: Case
    arrival_ref: str
    role: str
    fresh: bool
    answer: Outgoing | None = None


@dataclass(frozen=True, slots=True)
class Stored(Private):
    """An arrival that no case knows yet; its original is sealed, and what is large lies in the object store.

    :param keys: owner to new key, of what was sealed so far.
    :param beside: what rests as a row beside its case.
    """

    incoming: Incoming
    arrival_ref: str
    marks: DoorMarks
    keys: dict[str, bytes]
    beside: tuple[tuple[str, str, int, bytes], ...]


def plausible(moment: datetime, now: datetime) -> datetime:
    """Return when something arrived: what the door's clock says, unless that lies ahead or longer than a year back.

    A broken clock must neither give a case days that the law does not, nor a date that no calendar holds.
    """
    return moment if now - _OLDEST <= moment <= now else now


def already_taken(parts: Parts, source: str) -> Taken | None:
    """Return what an earlier run made of this source, or None; its name is stored nowhere."""
    return _taken(parts, parts.service.mac("arrival", source_bytes(source)))


def _taken(parts: Parts, mark: bytes) -> Taken | None:
    with parts.database.connect() as connection:
        return _was(connection, by_source(connection, [mark]).get(mark))


def _was(connection: Connection, arrival: Arrival | None) -> Taken | None:
    if arrival is None:
        return None
    return Taken(get_case(connection, arrival.case_ref), arrival.ref, arrival.role, fresh=False)


def take(parts: Parts, incoming: Incoming) -> Taken:
    """Make a case, a reply or a duplicate of ``incoming``, once.

    :raises OutOfReachError: a store does not answer; nothing is lost, the message stays at the door.
    """
    return commit(parts, store(parts, incoming))


def store(parts: Parts, incoming: Incoming, marks: DoorMarks | None = None) -> Stored:
    """Seal and store what arrived, under keys that nobody else has before :func:`commit`.

    :param marks: the marks of its place, where the caller has them.
    :raises OutOfReachError: the object store or the key service does not answer.
    """
    incoming = replace(incoming, received_at=plausible(incoming.received_at, parts.now()))
    arrival_ref = secrets.token_hex(8)
    keys: dict[str, bytes] = {}
    said = with_places(incoming.particulars) if incoming.attachments else incoming.particulars
    beside = _rows(arrival_ref, incoming, keys)
    if not beside:
        if incoming.original is not None:
            owner = arrival_owner(arrival_ref)
            keys[owner] = put_sealed(parts, owner, original_key(arrival_ref), incoming.original)
        if incoming.attachments:  # of one too large to fetch they are described and not there
            store_attachments(parts, arrival_ref, incoming.attachments, said, keys)
    said = store_signature(parts, arrival_ref, incoming.signed, said, keys)
    incoming = replace(incoming, particulars=said, original=None, attachments=(), signed=None)
    marks = marks or place_marks(parts, [(incoming.source, incoming.lying)], parts.now())[0]
    return Stored(incoming, arrival_ref, marks, keys, beside)


def _rows(arrival_ref: str, incoming: Incoming, keys: dict[str, bytes]) -> tuple[tuple[str, str, int, bytes], ...]:
    """Seal a small mail and its files as rows beside its case; return none where it belongs into the store.

    There lies one that shows an identity document, however small: the keeper, who reads no row of a case,
    destroys it (:mod:`vault.steps.identity_copies`).

    :param keys: its key is added.
    """
    original, files = incoming.original, [file.data for file in incoming.attachments]
    if incoming.channel is not Channel.MAIL or not isinstance(original, bytes):
        return ()
    if max(len(original), sum(map(len, files))) > BESIDE or shows_identity(incoming.particulars):
        return ()
    owner = arrival_owner(arrival_ref)
    key = keys[owner] = new_key()
    named = [(attachment_item(str(number)), file) for number, file in enumerate(files, start=1)]
    return tuple(seal_beside(key, owner, name, content) for name, content in [(ORIGINAL, original), *named])


def _marked(parts: Parts, several: Sequence[Stored]) -> list[Landing]:
    """Mark what was read of several arrivals, with one call of the key service."""
    asked = [_to_mark(one.incoming) for one in several]
    marks = iter(parts.service.many("mac", "arrival", [("", one) for of_one in asked for one in of_one]))
    landings = []
    for stored, of_one in zip(several, asked, strict=True):
        digest, sender, *rest = islice(marks, len(of_one))
        incoming, door = stored.incoming, stored.marks
        arrival = Arrival(stored.arrival_ref, incoming.channel, door.source, digest, incoming.received_at, "", "")
        identity = replace(door.identity, message_id=next(iter(rest), None)) if door.identity else None
        landings.append(Landing(arrival, identity, sender, dict(stored.keys), door.since, stored.beside))
    return landings


def _to_mark(incoming: Incoming) -> list[bytes]:
    """Spell what is marked of an arrival: what copies share, who would be answered, and a mail's Message-ID."""
    named = incoming.lying.message_id if incoming.lying else None
    known = [message_id_bytes(named)] if named else []
    return [b"same\0" + sha256(incoming.same).digest(), sender_bytes(incoming.particulars), *known]


def commit(parts: Parts, stored: Stored) -> Taken:
    """Record, in one transaction, what was stored; again after a conflict it is the same.

    :raises OutOfReachError: the database does not answer.
    :raises ConflictError: somebody changed the case that this answers.
    """
    try:
        return commit_all(parts, [stored])[0]
    except psycopg.errors.UniqueViolation:
        found = _taken(parts, stored.marks.source)
        return found or commit_all(parts, [stored])[0]  # two cases drew one reference: draw again


def commit_all(parts: Parts, several: Sequence[Stored]) -> list[Taken]:
    """Record several arrivals in one transaction, in their order: all of them, or none.

    :raises OutOfReachError: the database does not answer.
    :raises ConflictError: somebody changed a case that one of them answers.
    :raises psycopg.Error: one of them can't be recorded; each alone still may.
    """
    public = parts.service.public("case")
    landings = _marked(parts, several)
    with parts.database.connect() as connection:
        handful = Handful.open(connection, landings)
        pairs = zip(several, landings, strict=True)
        taken = [_recorded(parts, connection, handful, one.incoming, landing) for one, landing in pairs]
        sent = handful.write(connection, parts, public)
    return [one if one.answer is None or one.answer.ref in sent else replace(one, answer=None) for one in taken]


def _recorded(parts: Parts, connection: Connection, handful: Handful, incoming: Incoming, landing: Landing) -> Taken:
    known = _was(connection, handful.known.get(landing.arrival.source))
    if known is not None:
        return known
    case, role = case_of(parts, connection, handful, incoming, landing)
    arrival = replace(landing.arrival, case_ref=case.ref, role=role)
    wanted = incoming.notice if role == "request" else None
    answer = answer_to(parts, case, wanted, incoming.particulars) if wanted else None
    handful.enter(arrival, landing, _items(case, arrival, landing, incoming), answer)
    return Taken(case, arrival.ref, role, fresh=True, answer=answer)


def _items(
    case: Case, arrival: Arrival, landing: Landing, incoming: Incoming
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Say what of an arrival is sealed under which owner's key."""
    if arrival.role == REPLY:
        yield arrival_owner(arrival.ref), REPLY, incoming.particulars
    elif case_owner(case.ref) in landing.keys:
        yield case_owner(case.ref), PARTICULARS, {**incoming.particulars, "arrival": arrival.ref}
