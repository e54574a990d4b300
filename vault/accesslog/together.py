"""Appends what several threads bring at the same time in one commit: who waits for the log's lock waits once.

One thread at a time is at the database, and takes along what the others brought meanwhile. Each gets its own
answer: where a batch as a whole is refused, each part is tried alone, so that nobody fails for another.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from vault.domain.private import Private
from vault.errors import OutOfReachError
from vault.storage.log import Appended, Claims, LeafColumns

_MOST = 1_000  # entries taken along


@dataclass(slots=True)
class _Part(Private):
    columns: LeafColumns
    claims: Claims
    answer: Appended | Exception | None = None


class Together(Private):
    """Appends parts, some at once; threads share it.

    :param append: appends one batch, all or none, and returns when it is durable.
    """

    def __init__(self, append: Callable[[LeafColumns, Claims], Appended]) -> None:
        self._append = append
        self._waiting: list[_Part] = []
        self._gate = threading.Lock()
        self._turn = threading.Lock()

    def append(self, columns: LeafColumns, claims: Claims) -> Appended:
        """Append a part, perhaps with others'; return when it is durable, or say why nothing of it was appended.

        :raises VaultError: what appending it alone raises; out of reach, all that went together raise.
        """
        mine = _Part(columns, claims)
        with self._gate:
            self._waiting.append(mine)
        with self._turn:
            while mine.answer is None:  # else the thread before us took it along
                self._go(self._take())
        if isinstance(mine.answer, Exception):
            raise mine.answer
        return mine.answer

    def _take(self) -> list[_Part]:
        """Take the first part and as many more as fit and can be judged with it."""
        with self._gate:
            parts, size = self._waiting[:1], len(self._waiting[0].columns.leaf)
            for part in self._waiting[1:]:
                size += len(part.columns.leaf)
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
        except BaseException:  # this thread is told to end; the others must not wait for it for ever
            advice = "the process was told to stop while it logged; nobody reads, try again"
            self._answer(parts, OutOfReachError("log_interrupted", advice))
            raise
        else:
            if done.why is None:
                first = done.first
                for part in parts:
                    part.answer = Appended(first)
                    first += len(part.columns.leaf)
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
