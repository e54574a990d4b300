"""What mail was taken in and whether its message still lies at the door; what was begun and never ended.

Every mark is a MAC under a key that stays in the key service, as in :mod:`vault.storage.arrivals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vault.storage.arrivals import Arrival, by_refs, by_source
from vault.storage.database import Connection, columns

SAME_BYTES: Final = (
    "select content, mailbox, numbering, arrival_ref from mail_identities where content = any(%s)"
    " and (removed_at is null or removed_at >= %s) order by recorded_at desc"
)


@dataclass(frozen=True, slots=True)
class MailIdentity:
    """What names one message for good.

    :param mailbox: mark of the mailbox it lay in.
    :param numbering: mark of the mailbox's own numbering, such as IMAP's UIDVALIDITY (RFC 3501 section 2.3.1.1).
    :param message_id: mark of its Message-ID (RFC 5322 section 3.6.4), where it has one.
    :param content: mark of its exact bytes.
    :param kept: nothing of it is stored, so it is never removed.
    """

    mailbox: bytes
    numbering: bytes
    message_id: bytes | None
    content: bytes
    kept: bool = False


def serialise(connection: Connection, marks: Sequence[bytes]) -> None:
    """Let one transaction at a time decide about messages that share a mark; until this one ends."""
    numbers = sorted({int.from_bytes(mark[:8], "big", signed=True) for mark in marks})  # the same order for everybody
    connection.execute("select pg_advisory_xact_lock(number) from unnest(%s::bigint[]) as number", (numbers,))


def add_identities(connection: Connection, identities: Mapping[str, MailIdentity], at: datetime) -> None:
    """Record messages' identities in the transaction that records their arrivals.

    :param identities: by the reference of the arrival.
    """
    rows = [(ref, one.mailbox, one.numbering, one.message_id, one.content, one.kept) for ref, one in identities.items()]
    connection.execute(
        "insert into mail_identities (arrival_ref, mailbox, numbering, message_id, content, kept, recorded_at)"
        " select given.*, %s from unnest(%s::text[], %b::bytea[], %b::bytea[], %s::bytea[], %b::bytea[], %s::bool[])"
        " as given",
        (at, *columns(rows, 6)),
    )


def taken_before(
    connection: Connection, places: Mapping[bytes, MailIdentity | None], since: datetime
) -> dict[bytes, Arrival]:
    """Return what was made of these very messages before, by the mark of the place where each lies now.

    A message is known by its place, else by its bytes under another numbering. One whose removal was recorded
    before was another one: this copy came later.

    :param places: the mark of each place, with the identity of a mail.
    :param since: when the messages were looked for at their door.
    """
    found = by_source(connection, list(places))
    named = {source: one for source, one in places.items() if one is not None and source not in found}
    moved = _renumbered(connection, list(named.values()), since) if named else {}
    arrivals = by_refs(connection, list(moved.values())) if moved else {}
    return found | {source: arrivals[moved[one]] for source, one in named.items() if one in moved}


def _renumbered(connection: Connection, identities: Sequence[MailIdentity], since: datetime) -> dict[MailIdentity, str]:
    rows = connection.execute(SAME_BYTES, ([one.content for one in identities], since)).fetchall()
    found = [(bytes(content), bytes(mailbox), bytes(numbering), str(ref)) for content, mailbox, numbering, ref in rows]
    return {
        one: ref
        for content, mailbox, numbering, ref in found  # the first that was recorded comes last, and stays
        for one in identities
        if (one.content, one.mailbox) == (content, mailbox) and one.numbering != numbering
    }


def removed(connection: Connection, arrival_refs: Sequence[str], at: datetime) -> None:
    """Record that messages no longer lie at the door."""
    connection.execute(
        "update mail_identities set removed_at = %s where arrival_ref = any(%s) and removed_at is null",
        (at, list(arrival_refs)),
    )


def unsettled(connection: Connection, mailboxes: Sequence[bytes], before: datetime, seen: Sequence[str]) -> list[str]:
    """Return arrivals whose messages should still lie at the door, but for those that were seen there.

    :param before: what was recorded later is left out.
    """
    rows = connection.execute(
        "select arrival_ref from mail_identities"
        " where mailbox = any(%s) and recorded_at < %s and removed_at is null and not arrival_ref = any(%s)",
        (list(mailboxes), before, list(seen)),
    ).fetchall()
    return [str(row[0]) for row in rows]


def tried(connection: Connection, sources: Sequence[bytes]) -> set[bytes]:
    """Return the messages that were begun before."""
    rows = connection.execute("select source from mail_tries where source = any(%s)", (list(sources),)).fetchall()
    return {bytes(row[0]) for row in rows}


def begin(connection: Connection, sources: Sequence[bytes], at: datetime) -> dict[bytes, int]:
    """Count one more try of each message; return how often each was begun, this time included."""
    rows = connection.execute(
        "insert into mail_tries as known (source, tries, last_at) select unnest(%s::bytea[]), 1, %s"
        " on conflict (source) do update set tries = known.tries + 1, last_at = excluded.last_at"
        " returning source, tries",
        (sorted(sources), at),
    ).fetchall()
    return {bytes(source): int(tries) for source, tries in rows}


def forget(connection: Connection, sources: Sequence[bytes]) -> None:
    """Drop the count of messages that were taken, or that failed for a reason that is not theirs."""
    connection.execute("delete from mail_tries where source = any(%s)", (list(sources),))


def forget_before(connection: Connection, before: datetime) -> None:
    """Drop the counts of messages that nobody has tried since."""
    connection.execute("delete from mail_tries where last_at < %s", (before,))
