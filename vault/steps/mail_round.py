"""One round through a mailbox: what is known is only cleared away, what is new is opened ahead and taken in order.

The order of each message's way is the promise: counted as begun, opened, taken (objects, then one
transaction), removed, acknowledged while the next are taken, its removal recorded. After a kill between
any two the next round goes on.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from vault.delivery.smtp import Courier
from vault.domain.private import Private
from vault.errors import ConflictError, OutOfReachError, RefusedError, VaultError, WrongUseError
from vault.intake.mail import MailTools
from vault.intake.message import RENUMBERED, Mailbox, Message
from vault.steps.mail_identity import Lying, identities, mailbox_mark, source_marks
from vault.steps.parts import Parts
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming, Stored, Taken, commit, store
from vault.steps.receive_post import acknowledge
from vault.steps.unopened import too_large, unread
from vault.storage import mailroom
from vault.storage.arrivals import by_source
from vault.storage.database import Connection

READERS: Final = 3  # threads; each waits for gpg or openssl most of the time
_CHUNK = 16  # messages that are opened at the same time, while as many are committed
_CHUNK_BYTES = 8_000_000  # of them; a larger message goes alone
_LOOKED_AT = 100_000  # messages of a mailbox; those that stay must not hide those behind them
_TRIES = 3  # readings begun and never ended, after which a message is taken unopened
_CONFLICTS = 3  # times that somebody else may be faster with a case
_STALE = timedelta(days=1)  # nothing is tried for so long: the message went another way
_SETTLED = timedelta(hours=1)  # far longer than two machines' clocks differ


@dataclass(frozen=True, slots=True)
class _Reading(Private):
    """One new message on its way."""

    message: Message
    lying: Lying
    mark: bytes
    stored: Future[Stored | OutOfReachError]


@dataclass(slots=True)
class MailRound(Private):
    """A round through one mailbox.

    :param pool: where messages are opened.
    :param courier: the line over which acknowledgements go; None for one each.
    :param refs: the cases made or changed so far.
    :param faults: why messages stay at the door, in order.
    """

    parts: Parts
    mailbox: Mailbox
    tools: MailTools
    pool: Executor
    courier: Courier | None = None
    refs: list[str] = field(default_factory=list)
    faults: list[VaultError] = field(default_factory=list)
    _seen: list[str] = field(default_factory=list)
    _gone: list[str] = field(default_factory=list)
    _innocent: list[bytes] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _begun: set[bytes] = field(default_factory=set)
    _sender: Executor = field(init=False)
    _sent: Future[None] | None = None
    _away: bool = False

    def run(self, limit: int) -> None:
        """Take in up to ``limit`` messages.

        :raises OutOfReachError: a store does not answer, or the mailbox; what was opened is taken first.
        """
        begun, room = self.parts.now(), limit
        pending: deque[_Reading] = deque()
        chunks = _chunks(self.mailbox)
        with ThreadPoolExecutor(1, thread_name_prefix="send") as self._sender, self._blameless():
            try:
                while room > 0 and (chunk := next(chunks, None)):
                    ahead = self._begin(chunk[:room], pending)
                    room -= len(ahead)
                    self._finish(pending)
                    pending = ahead
            finally:
                self._finish(pending)
                chunks.close()
                self.mailbox.close()
        if room > 0:
            self._settle(begun)

    @contextmanager
    def _blameless(self) -> Iterator[None]:
        """Hold no try against a message when what ends the round is a store that is away, or a setting of ours."""
        try:
            yield
        except (OutOfReachError, WrongUseError):
            self._innocent += self._begun
            with suppress(OutOfReachError, WrongUseError):
                self._record()
            raise

    def _begin(self, chunk: list[Message], pending: "deque[_Reading]") -> "deque[_Reading]":
        """Clear away what is known, count what is new as begun, and start opening it."""
        marks = source_marks(self.parts, chunk)
        lying = [Lying.of(message) for message in chunk]
        named = identities(self.parts, lying)
        with self.parts.database.connect() as connection:
            known = [_arrival_of(connection, *pair) for pair in zip(marks, named, strict=True)]
            new = [mark for mark, ref in zip(marks, known, strict=True) if ref is None]
            before = mailroom.tried(connection, new)
            mailroom.begin(connection, [mark for mark in new if mark not in before], self.parts.now())
        self._begun.update(new)
        ahead: deque[_Reading] = deque()
        for message, one, mark, ref in zip(chunk, lying, marks, known, strict=True):
            self._names.add(message.mailbox)
            if ref is not None:
                self._innocent.append(mark)
                self._clear(message, ref, kept=one.kept)
            elif mark in before:
                self._alone(message, one, mark, ahead, pending)
            else:
                ahead.append(self._submit(message, one, mark))
        return ahead

    def _submit(self, message: Message, lying: Lying, mark: bytes) -> _Reading:
        return _Reading(message, lying, mark, self.pool.submit(self._store, message, lying))

    def _store(self, message: Message, lying: Lying) -> Stored | OutOfReachError:
        """Open a message and store its original; a store that is away is given back, for it ends the round."""
        incoming = (too_large if message.too_large else read_message)(message, self.tools)
        return self._stored(incoming, lying)

    def _stored(self, incoming: Incoming, lying: Lying) -> Stored | OutOfReachError:
        lying = replace(lying, message_id=incoming.particulars.get("message_id") or None)
        try:
            return store(self.parts, replace(incoming, lying=lying))
        except OutOfReachError as error:
            return error

    def _alone(
        self, message: Message, lying: Lying, mark: bytes, ahead: "deque[_Reading]", pending: "deque[_Reading]"
    ) -> None:
        """Try a message again that was begun before, with nothing beside it that it could take down."""
        self._finish(pending)
        self._finish(ahead)
        with self.parts.database.connect() as connection:
            tries = mailroom.begin(connection, [mark], self.parts.now())[mark]
        if tries > _TRIES:
            self._take(_Reading(message, lying, mark, _done(self._stored(unread(message), lying))))
        else:
            self._take(self._submit(message, lying, mark))

    def _finish(self, readings: "deque[_Reading]") -> None:
        """Take in order what was opened.

        :raises OutOfReachError: a store does not answer.
        """
        if self._sent is not None:
            self._sent.result()  # the last of the chunk before: no two chunks' words wait for the mail server
        while readings:
            self._take(readings.popleft())
        self._record()

    def _take(self, reading: _Reading) -> None:
        stored = self._opened(reading)
        taken = self._taken(reading, stored) if stored else None
        self._begun.discard(reading.mark)
        if stored is None or taken is None:
            return
        self._clear(reading.message, taken.arrival_ref, kept=reading.lying.kept)
        if taken.fresh:
            self.refs.append(taken.case.ref)
        else:
            self._innocent.append(reading.mark)
        self._sent = self._sender.submit(self._acknowledge, taken, stored.incoming.particulars)

    def _acknowledge(self, taken: Taken, particulars: dict[str, Any]) -> None:
        try:
            acknowledge(self.parts, taken, particulars, self.courier)
        except Exception as error:  # noqa: BLE001 - the case stands and its notice is intended: others must not wait
            self.faults.append(_fault(error))

    def _opened(self, reading: _Reading) -> Stored | None:
        """Return what was read and stored; None when the message stays.

        :raises OutOfReachError: a store does not answer: no other message would fare better.
        """
        try:
            stored = reading.stored.result()
        except (WrongUseError, OutOfReachError) as error:  # our keys, our agent: not the message's fault
            self._innocent.append(reading.mark)
            self.faults.append(error)
            return None
        except Exception as error:  # noqa: BLE001 - a fault of ours in one message must not stop those behind it
            self.faults.append(_fault(error))
            return None
        if isinstance(stored, OutOfReachError):
            raise stored
        return stored

    def _taken(self, reading: _Reading, stored: Stored) -> Taken | None:
        """Commit one message; None when it stays.

        :raises OutOfReachError: a store does not answer: no other message would fare better.
        """
        for _ in range(_CONFLICTS):
            try:
                return commit(self.parts, stored)
            except ConflictError:  # somebody changed the case that it answers
                continue
            except (OutOfReachError, WrongUseError):
                raise
            except Exception as error:  # noqa: BLE001 - see _opened
                self.faults.append(_fault(error))
                return None
        self._innocent.append(reading.mark)
        return None

    def _clear(self, message: Message, arrival_ref: str, *, kept: bool) -> None:
        """Take a message away from the door, or aside where nothing of it is stored."""
        self._seen.append(arrival_ref)
        if self._away:
            return
        try:
            (self.mailbox.set_aside if kept else self.mailbox.remove)(message.source)
        except OutOfReachError as error:
            self._away = True
            self.faults.append(error)
        except RefusedError as error:  # numbered anew meanwhile: the next round knows it by its bytes
            if error.code != RENUMBERED:
                self.faults.append(error)
        else:
            self._gone.append(arrival_ref)

    def _record(self) -> None:
        """Write down what was removed, and that messages which failed by our fault are not to blame."""
        if self._gone or self._innocent:
            with self.parts.database.connect() as connection:
                mailroom.removed(connection, self._gone, self.parts.now())
                mailroom.forget(connection, self._innocent)
            self._gone, self._innocent = [], []

    def _settle(self, begun: datetime) -> None:
        """Record what a killed round removed without saying so, when all of the mailbox was seen."""
        marks = [mailbox_mark(self.parts, name) for name in sorted(self._names or {""})]
        with self.parts.database.connect() as connection:
            mailroom.forget_before(connection, begun - _STALE)
            missing = mailroom.unsettled(connection, marks, begun - _SETTLED, self._seen)
            if missing and not self.faults and self.mailbox.count() == 0:
                mailroom.removed(connection, missing, self.parts.now())


def _arrival_of(connection: Connection, mark: bytes, identity: mailroom.MailIdentity) -> str | None:
    """Return the arrival that a message was recorded as, by its place or by its bytes."""
    arrival = by_source(connection, mark)
    return arrival.ref if arrival else mailroom.renumbered(connection, identity)


def _chunks(mailbox: Mailbox) -> Generator[list[Message], None, None]:
    """Give messages in handfuls, bounded in number and bytes."""
    chunk: list[Message] = []
    size = 0
    away: OutOfReachError | None = None
    try:
        for message in mailbox.messages(_LOOKED_AT):
            if chunk and (len(chunk) == _CHUNK or size + len(message.data) > _CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(message)
            size += len(message.data)
    except OutOfReachError as error:  # what came before is taken first
        away = error
    if chunk:
        yield chunk
    if away is not None:
        raise away


def _done(stored: Stored | OutOfReachError) -> "Future[Stored | OutOfReachError]":
    future: Future[Stored | OutOfReachError] = Future()
    future.set_result(stored)
    return future


def _fault(error: Exception) -> VaultError:
    """Keep a code of ours; another error's words may be personal."""
    if isinstance(error, VaultError):
        return error
    return RefusedError("mail_reading_failed", "a message failed by our own fault and stays; report the fault")
