"""One round through a mailbox: what is known is only cleared away, what is new is opened ahead and taken in order.

The order of each message's way is the promise: counted as begun, opened, taken (objects, then one
transaction), removed, acknowledged while the next are taken, its removal recorded. After a kill between
any two the next round goes on.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vault.delivery.smtp import Courier
from vault.domain.private import Private
from vault.errors import ConflictError, OutOfReachError, RefusedError, VaultError, WrongUseError
from vault.intake.held import one_at_a_time, size_of
from vault.intake.mail import MailTools
from vault.intake.message import Mailbox, Message
from vault.steps.acknowledging import acknowledge
from vault.steps.clearing import Clearing, Lain
from vault.steps.mail_identity import DoorMarks, Lying, place_marks
from vault.steps.parts import Parts
from vault.steps.reading_mail import read_message
from vault.steps.receive import Incoming, Stored, Taken, commit, commit_all, store
from vault.steps.unopened import too_large, unread
from vault.storage import mailroom

READERS: Final = 3  # threads; each waits for gpg or openssl most of the time
_CHUNK = 16  # messages that are opened at the same time, while as many are committed
_CHUNK_BYTES = 8_000_000  # of them; a larger message goes alone
_LOOKED_AT = 100_000  # messages of a mailbox; those that stay must not hide those behind them
_AHEAD = 2  # handfuls that are opened while one is committed
_UNSENT = 2  # handfuls whose acknowledgements may wait for the mail server: so many are committed, and no third
_TRIES = 3  # readings begun and never ended, after which a message is taken unopened
_CONFLICTS = 3  # times that somebody else may be faster with a case


@dataclass(frozen=True, slots=True)
class _Reading(Private):
    """One new message on its way."""

    message: Message
    lying: Lying
    marks: DoorMarks
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
    clearing: Clearing = field(init=False)
    _innocent: list[bytes] = field(default_factory=list)
    _begun: set[bytes] = field(default_factory=set)
    _sender: Executor = field(init=False)
    _ahead: deque[list[_Reading]] = field(default_factory=deque)  # handfuls that are being opened, oldest first
    _sent: deque[Future[None]] = field(default_factory=deque)  # the acknowledgements of each handful

    def __post_init__(self) -> None:
        """Look at the clock: what is removed from now on was lying there."""
        self.clearing = Clearing(self.parts, self.mailbox, self.faults, self.parts.now())

    def run(self, limit: int) -> None:
        """Take in up to ``limit`` messages.

        :raises OutOfReachError: a store does not answer, or the mailbox; what was opened is taken first.
        """
        room = limit
        chunks = _chunks(self.mailbox)
        with ThreadPoolExecutor(1, thread_name_prefix="send") as self._sender, self._blameless():
            try:
                while room > 0 and (chunk := next(chunks, None)):
                    room -= self._begin(chunk[:room])
                    self._finish(_AHEAD)
            finally:
                self._finish(0)
                chunks.close()
                self.mailbox.close()
        if room > 0:
            self.clearing.settle()

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

    def _begin(self, chunk: list[Message]) -> int:
        """Clear away what is known, count what is new as begun, and start opening it; return how many are opened."""
        lying = [Lying.of(message) for message in chunk]
        places = [(message.source, one) for message, one in zip(chunk, lying, strict=True)]
        marks = place_marks(self.parts, places, self.clearing.since)
        with self.parts.database.connect() as connection:
            known = mailroom.taken_before(connection, {one.source: one.identity for one in marks}, self.clearing.since)
            new = [one.source for one in marks if one.source not in known]
            before = mailroom.tried(connection, new)
            mailroom.begin(connection, [mark for mark in new if mark not in before], self.parts.now())
        self._begun.update(new)
        self._ahead.append([])
        found: list[Lain] = []
        for message, one, named in zip(chunk, lying, marks, strict=True):
            self.clearing.names.add(message.mailbox)
            if named.source in known:
                self._innocent.append(named.source)
                found.append(Lain(message.mailbox, message.source, known[named.source].ref, one.kept))
            elif named.source in before:
                self._alone(message, one, named)
            else:
                self._ahead[-1].append(self._submit(message, one, named))
        self.clearing.clear(found)
        return len([mark for mark in new if mark not in before])

    def _submit(self, message: Message, lying: Lying, marks: DoorMarks) -> _Reading:
        return _Reading(message, lying, marks, self.pool.submit(self._store, message, lying, marks))

    def _store(self, message: Message, lying: Lying, marks: DoorMarks) -> Stored | OutOfReachError:
        """Open a message and store its original; a store that is away is given back, for it ends the round."""
        with one_at_a_time(message.raw):
            incoming = (too_large if message.too_large else read_message)(message, self.tools)
            return self._stored(incoming, lying, marks)

    def _stored(self, incoming: Incoming, lying: Lying, marks: DoorMarks) -> Stored | OutOfReachError:
        lying = replace(lying, message_id=incoming.particulars.get("message_id") or None)
        try:
            return store(self.parts, replace(incoming, lying=lying), marks)
        except OutOfReachError as error:
            return error

    def _alone(self, message: Message, lying: Lying, marks: DoorMarks) -> None:
        """Try a message again that was begun before, with nothing beside it that it could take down."""
        self._finish(0)
        self._ahead.append([])  # for those behind it
        with self.parts.database.connect() as connection:
            tries = mailroom.begin(connection, [marks.source], self.parts.now())[marks.source]
        if tries > _TRIES:
            unopened = self.pool.submit(lambda: self._stored(unread(message), lying, marks))
            self._take([_Reading(message, lying, marks, unopened)])
        else:
            self._take([self._submit(message, lying, marks)])

    def _finish(self, ahead: int) -> None:
        """Take in order what was opened, but for so many handfuls.

        :raises OutOfReachError: a store does not answer.
        """
        while len(self._ahead) > ahead:
            while len(self._sent) >= _UNSENT:
                self._sent.popleft().result()
            self._take(self._ahead.popleft())
            self._record()

    def _take(self, readings: list[_Reading]) -> None:
        """Commit what was opened, in order, clear it away from the door, and acknowledge it.

        :raises OutOfReachError: a store does not answer; what stands before the one that met it is taken first.
        """
        opened: list[tuple[_Reading, Stored]] = []
        away: OutOfReachError | None = None
        for reading in readings:
            stored = self._opened(reading)
            if isinstance(stored, OutOfReachError):
                away = stored
                break
            if stored is None:
                self._begun.discard(reading.marks.source)
            else:
                opened.append((reading, stored))
        taken = [(*pair, taken) for pair, taken in zip(opened, self._committed(opened), strict=True) if taken]
        self.clearing.clear(
            [Lain(one.message.mailbox, one.message.source, was.arrival_ref, one.lying.kept) for one, _, was in taken]
        )
        for reading, _, was in taken:
            if was.fresh:
                self.refs.append(was.case.ref)
            else:
                self._innocent.append(reading.marks.source)
        answers = [(was, stored.incoming.particulars) for _, stored, was in taken]
        self._sent.append(self._sender.submit(self._acknowledge, answers))
        if away is not None:
            raise away

    def _acknowledge(self, answers: Sequence[tuple[Taken, dict[str, Any]]]) -> None:
        def fault(error: Exception) -> None:
            self.faults.append(_fault(error))

        try:
            acknowledge(self.parts, answers, self.courier, fault)
        except Exception as error:  # noqa: BLE001 - the cases stand and their notices are intended: others must not wait
            fault(error)

    def _opened(self, reading: _Reading) -> Stored | OutOfReachError | None:
        """Return what was read and stored; None when the message stays; the store's fault when that is away."""
        try:
            return reading.stored.result()
        except (WrongUseError, OutOfReachError) as error:  # our keys, our agent: not the message's fault
            self._innocent.append(reading.marks.source)
            self.faults.append(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one message must not stop those behind it
            self.faults.append(_fault(error))
        return None

    def _committed(self, opened: Sequence[tuple[_Reading, Stored]]) -> list[Taken | None]:
        """Commit messages in one transaction; where one of them can't be, each in one of its own. None: it stays.

        :raises OutOfReachError: a store does not answer: no other message would fare better.
        """
        taken: list[Taken | None] | None = None
        if len(opened) > 1:
            try:
                taken = list(commit_all(self.parts, [stored for _, stored in opened]))
            except (OutOfReachError, WrongUseError):
                raise
            except Exception:  # noqa: BLE001 - nothing was recorded: who is to blame shows when each goes alone
                taken = None
        if taken is None:
            taken = [self._taken(reading, stored) for reading, stored in opened]
        self._begun.difference_update(reading.marks.source for reading, _ in opened)
        return taken

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
        self._innocent.append(reading.marks.source)
        return None

    def _record(self) -> None:
        self.clearing.record(self._innocent)
        self._innocent = []


def _chunks(mailbox: Mailbox) -> Generator[list[Message], None, None]:
    """Give messages in handfuls, bounded in number and bytes."""
    chunk: list[Message] = []
    size = 0
    away: OutOfReachError | None = None
    try:
        for message in mailbox.messages(_LOOKED_AT):
            if chunk and (len(chunk) == _CHUNK or size + size_of(message.raw) > _CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(message)
            size += size_of(message.raw)
    except OutOfReachError as error:  # what came before is taken first
        away = error
    if chunk:
        yield chunk
    if away is not None:
        raise away


def _fault(error: Exception) -> VaultError:
    """Keep a code of ours; another error's words may be personal."""
    if isinstance(error, VaultError):
        return error
    return RefusedError("mail_reading_failed", "a message failed by our own fault and stays; report the fault")
