"""Appends what several threads bring at the same time in one commit: who waits for the log's lock waits once.

One thread at a time is at the database, and takes along what the others brought meanwhile; then the next one goes at
once, while those that have their answer go their way. Each gets its own answer: where a batch as a whole is refused,
each part is tried alone, so that nobody fails for another.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from vault.domain.private import Private
from vault.errors import OutOfReachError
from vault.storage.log import Appended, Claims, LeafColumns

_MOST = 1_000  # entries taken along


@dataclass(slots=True, eq=False)
class _Part(Private):
    columns: LeafColumns
    claims: Claims
    bell: threading.Lock  # taken at first; given back when there is an answer, or this part's thread is to lead
    answer: Appended | Exception | None = None


class Together(Private):
    """Appends parts, some at once; threads share it.

    :param append: appends one batch, all or none, and returns when it is durable.
    """

    def __init__(self, append: Callable[[LeafColumns, Claims], Appended]) -> None:
        self._append = append
        self._waiting: list[_Part] = []
        self._gate = threading.Lock()
        self._leader: _Part | None = None  # whose thread is at the database, or about to go

    def append(self, columns: LeafColumns, claims: Claims) -> Appended:
        """Append a part, perhaps with others'; return when it is durable, or say why nothing of it was appended.

        :raises VaultError: what appending it alone raises; out of reach, all that went together raise.
        """
        mine = _Part(columns, claims, threading.Lock())
        mine.bell.acquire()
        try:
            with self._gate:
                self._waiting.append(mine)
                if self._leader is None:
                    self._leader = mine
                    mine.bell.release()
            mine.bell.acquire()
            if mine.answer is None:  # nobody took it along: this thread leads, and its part is the first
                self._lead(self._take())
        finally:
            self._leave(mine)
        if isinstance(mine.answer, Appended):
            return mine.answer
        raise mine.answer or _interrupted()

    def _lead(self, parts: Sequence[_Part]) -> None:
        try:
            self._go(parts)
        finally:  # where this thread is told to end, the others must not wait for it for ever
            self._answer([part for part in parts if part.answer is None], _interrupted())

    def _leave(self, mine: _Part) -> None:
        """Let the next thread lead, where this one did; whoever was told to stop while waiting takes the part back."""
        with self._gate:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if self._leader is mine:
                self._leader = self._waiting[0] if self._waiting else None
                if self._leader is not None:
                    self._leader.bell.release()

    def _take(self) -> list[_Part]:
        """Take the first part and as many more as fit and can be judged with it."""
        with self._gate:
            parts, size = self._waiting[:1], len(self._waiting[0].columns.use)
            for part in self._waiting[1:]:
                size += len(part.columns.use)
                if size > _MOST or (part.claims.marks is None) is not (parts[0].claims.marks is None):
                    break
                parts.append(part)
            del self._waiting[: len(parts)]
        return parts

    def _go(self, parts: Sequence[_Part]) -> None:
        try:
            done = self._append(_columns(parts), _claims(parts))
        except OutOfReachError as error:  # perhaps done: not to be tried again
            self._answer(parts, error)
        except Exception as error:  # noqa: BLE001 - each thread must get its answer, whatever it is
            self._alone(parts, error)
        else:
            if done.why is None:
                first = done.first
                for part in parts:
                    self._answer([part], Appended(first))
                    first += len(part.columns.use)
            else:
                self._alone(parts, done)

    def _alone(self, parts: Sequence[_Part], answer: Appended | Exception) -> None:
        if len(parts) == 1:
            self._answer(parts, answer)
        else:
            for part in parts:
                self._go([part])

    @staticmethod
    def _answer(parts: Sequence[_Part], answer: Appended | Exception) -> None:
        for part in parts:
            part.answer = answer
            part.bell.release()


def _columns(parts: Sequence[_Part]) -> LeafColumns:
    if len(parts) == 1:
        return parts[0].columns
    joined = {
        column.name: [value for part in parts for value in getattr(part.columns, column.name)]
        for column in fields(LeafColumns)
    }
    return LeafColumns(**joined)


def _claims(parts: Sequence[_Part]) -> Claims:
    if len(parts) == 1:
        return parts[0].claims
    marks = [part.claims.marks for part in parts if part.claims.marks is not None]
    return Claims(
        {pair for part in parts for pair in part.claims.proved},
        [mark for some in marks for mark in some] if marks else None,
    )


def _interrupted() -> OutOfReachError:
    advice = "the process was told to stop while it logged; nobody reads, try again"
    return OutOfReachError("log_interrupted", advice)
