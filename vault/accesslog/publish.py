"""Publishing: a checkpoint that continues every earlier one, and the tiles that let strangers check it.

Nothing is signed before :mod:`vault.accesslog.continuity` has found that the stored log continues the
published one. Every tile is put before the checkpoint that needs it, under a name that never holds other
bytes (:mod:`vault.accesslog.writeonce`); a publisher killed anywhere is finished by the next one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vault.accesslog.continuity import (
    Published,
    check_continues,
    check_last_bundle,
    check_order,
    differs,
    live_edge,
    opened,
    published_edge,
    stored_checkpoint,
)
from vault.accesslog.cosign import verify_cosignature
from vault.accesslog.merkle import RightEdge, consistency_proof, leaf_hash
from vault.accesslog.notes import Checkpoint, Note, Signature, VerifierKey, parse_note, render_checkpoint, render_note
from vault.accesslog.refill import refill
from vault.accesslog.tiles import CHECKPOINT, WIDTH, TileReader, TileWriter, history_name
from vault.accesslog.witness_client import Outcome, Witness, collect
from vault.accesslog.writeonce import WriteOnce
from vault.crypto.keyservice import KeyService
from vault.crypto.signers import held
from vault.errors import KeyMissingError, TamperedError
from vault.storage import log as table
from vault.storage.database import Connection, Database

_SIGNER = "log"


class Shelf(Protocol):
    """The log's bucket (:class:`vault.storage.objects.Objects`)."""

    def put_locked(self, key: str, data: bytes) -> None:
        """Store an object once; other bytes under the same name are refused."""
        ...

    def replace_locked(self, key: str, data: bytes) -> None:
        """Store the newest version of an object; the earlier ones stay."""
        ...

    def get_locked(self, key: str) -> bytes:
        """Give an object, or raise KeyMissingError."""
        ...

    def list_locked(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield names in order, those behind ``after`` only."""
        ...


@dataclass(frozen=True, slots=True)
class LogParts:
    """What publishing needs.

    :param service: signs as the log.
    :param older: keys that signed for the log once and are not held any more; what they signed stays good.
    :param witnesses: who is asked to cosign.
    """

    database: Database
    service: KeyService
    origin: str
    older: tuple[VerifierKey, ...] = ()
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What publishing came to: the newest checkpoint, and how the witnesses that were asked answered."""

    head: Published
    outcomes: tuple[Outcome, ...] = ()


def log_keys(service: KeyService, origin: str) -> tuple[VerifierKey, ...]:
    """Give the keys that sign the log's checkpoints now, the primary one first."""
    return tuple(VerifierKey(origin, service.public(name)) for name in held(service, _SIGNER))


def log_key(service: KeyService, origin: str) -> VerifierKey:
    """Give the primary key that the log's checkpoints are checked with."""
    return log_keys(service, origin)[0]


def sign_checkpoint(checkpoint: Checkpoint, service: KeyService) -> bytes:
    """Sign a tree head with every held key as the log of its origin.

    Whoever calls has checked that it continues every earlier one.
    """
    text = render_checkpoint(checkpoint)
    signatures = []
    for name in held(service, _SIGNER):
        key = VerifierKey(checkpoint.origin, service.public(name))
        signatures.append(Signature(key.name, key.identifier, service.sign(name, text.encode())))
    return render_note(Note(text, tuple(signatures)))


def publish(parts: LogParts, shelf: Shelf) -> Published:
    """Bring the published log up to the stored one and return its newest checkpoint.

    :raises ConflictError: another publisher is at work, or other bytes stand under a name.
    :raises TamperedError: the stored log does not continue the published one; nothing was signed.
    """
    return publish_and_ask(parts, shelf).head


def publish_and_ask(parts: LogParts, shelf: Shelf) -> Done:
    """Publish as :func:`publish` does, and tell how the witnesses answered.

    A checkpoint that a witness did not cosign is offered to it again by the next call, grown or not.
    """
    keys = _accepted(parts)
    with parts.database.connect() as connection:
        table.lock_publishing(connection)
        head = _head(shelf, keys)
        stored, live = stored_checkpoint(connection, keys), live_edge(connection)
        check_order(head, stored, live)
        reader = _reader(shelf, head)
        check_continues(connection, published_edge(head, reader), stored, live)
        check_last_bundle(connection, reader)
        run = _Run(parts, shelf, connection, head)
        if stored:
            run.deliver(stored, ask=stored.size == live.size)
        if stored is None or stored.size < live.size:
            run.deliver(_sign(parts, keys, live))
        return run.done()


class _Run:
    """One publisher's work while it holds the lock: brings the published log from one checkpoint to the next.

    :param head: what is published now.
    """

    def __init__(self, parts: LogParts, shelf: Shelf, connection: Connection, head: Published | None) -> None:
        self._parts, self._shelf, self._connection = parts, shelf, connection
        self._head = head
        self._outcomes: tuple[Outcome, ...] = ()
        self._once = WriteOnce(parts.database, shelf)
        refill(connection, parts.database, head)

    def deliver(self, target: Published, *, ask: bool = True) -> None:
        """Put what the checkpoint needs, ask the witnesses, put the checkpoint, then its copy by size."""
        if self._head is None or self._head.size < target.size:
            self._tiles(target)
            self._once.flush()
        cosigned = self._cosigned(target) if ask else target
        if self._head is None or self._head.cosigned != cosigned.cosigned:
            self._still_locked()
            self._shelf.replace_locked(CHECKPOINT, cosigned.cosigned)
        # the head before the history: a history beyond the head then always means that somebody put an older head back
        self._once.put(history_name(target.size), target.note)
        self._once.flush()
        self._head = cosigned

    def done(self) -> Done:
        """Tell what came of it."""
        if self._head is None:
            raise differs("log_edge_wrong", "the log has no checkpoint")
        return Done(self._head, self._outcomes)

    def _tiles(self, target: Published) -> None:
        size = self._head.size if self._head else 0
        before = _reader(self._shelf, self._head)
        first = [leaf for _, leaf in table.leaves(self._connection, size - size % WIDTH, size)]
        writer = TileWriter(self._once.put, self._once.put_bundle, before=before, leaves=first)
        for _, leaf in table.leaves(self._connection, size, target.size):
            writer.add(leaf, leaf_hash(leaf))
        writer.finish()

    def _cosigned(self, target: Published) -> Published:
        """Ask the witnesses that have not cosigned yet; what they answer is stored before it is put."""
        lacking = [one for one in self._parts.witnesses if not _has(target, one)]
        if not lacking:
            return target
        node = _reader(self._shelf, target).node
        known = {one.key.name: self._head.size for one in lacking if self._head and _has(self._head, one)}
        found = collect(target.cosigned, lacking, lambda old, new: consistency_proof(old, new, node), known)
        self._outcomes = found.outcomes
        if found.note == target.cosigned:
            return target
        with self._parts.database.connect() as connection:
            table.keep_cosigned(connection, target.size, found.note.decode())
        return replace(target, cosigned=found.note)

    def _still_locked(self) -> None:
        """Find out that the lock went with its connection, before an older head could be put behind a newer one."""
        self._connection.execute("select 1")


def _accepted(parts: LogParts) -> tuple[VerifierKey, ...]:
    """List the keys whose checkpoints are this log's: those held, then those of earlier."""
    return tuple(dict.fromkeys((*log_keys(parts.service, parts.origin), *parts.older)))


def _head(shelf: Shelf, keys: Sequence[VerifierKey]) -> Published | None:
    try:
        note = shelf.get_locked(CHECKPOINT)
    except KeyMissingError:
        return None
    return opened(note, keys)


def _has(checkpoint: Published, witness: Witness) -> bool:
    try:
        verify_cosignature(parse_note(checkpoint.cosigned), witness.key)
    except TamperedError:
        return False
    return True


def _sign(parts: LogParts, keys: Sequence[VerifierKey], live: RightEdge) -> Published:
    signed = opened(sign_checkpoint(Checkpoint(parts.origin, live.size, live.root()), parts.service), keys)
    # committed and durable, with every leaf under it, before a stranger sees it
    with parts.database.connect() as connection:
        table.add_checkpoint(connection, signed.size, signed.note.decode())
    return signed


def _reader(shelf: Shelf, checkpoint: Published | None) -> TileReader:
    return TileReader(lambda name, _: shelf.get_locked(name), checkpoint.size if checkpoint else 0)
