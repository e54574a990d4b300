"""Exceptions on the board: why a case stands still, as a code, while its clock runs on."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from vault.domain.case import Event
from vault.domain.request import ANSWERED, RequestKind
from vault.errors import ConflictError, RefusedError, VaultError
from vault.steps.parts import Parts
from vault.storage.cases import append, get_case, held

PATIENCE: Final = 5.0  # seconds to wait for a case that somebody else holds
_CONFLICTS: Final = 3  # times that somebody else may be faster with a case; then the next run takes it


def raise_exception(parts: Parts, ref: str, error: VaultError) -> None:
    """Show on the board why a case stands still; the clock runs on. One that moves all the time stands not still."""
    for _ in range(_CONFLICTS):
        with suppress(ConflictError), parts.database.connect() as connection:
            case = get_case(connection, ref)
            if case.exception != error.code:
                append(
                    connection,
                    case,
                    Event.EXCEPTION_RAISED,
                    actor=parts.actor,
                    at=parts.now(),
                    detail={"exception": error.code},
                    exception=error.code,
                )
            return


def other_right(kinds: Collection[RequestKind]) -> str | None:
    """Return the exception of a request that asks, also or only, for what no machine answers."""
    return "other_right_asked" if set(kinds) - ANSWERED else None


@contextmanager
def in_hand(parts: Parts, ref: str) -> Iterator[None]:
    """Hold a case for a person, who waits a moment for whoever has it.

    :raises ConflictError: somebody keeps it (code ``case_busy``).
    """
    with held(parts.database, ref, PATIENCE) as mine:
        if not mine:
            raise ConflictError("case_busy", "another step holds this case; try again in a moment", ref=ref)
        yield


def each(parts: Parts, refs: Sequence[str], step: Callable[[Parts, str], bool]) -> list[str]:
    """Do a step with each case that nobody else holds; return those that moved.

    Whoever holds a case has it for a moment, mostly; a case that is skipped waits minutes for the next schedule.

    :raises OutOfReachError: a store does not answer; the whole batch is tried again.
    """
    moved = []
    for ref in refs:
        with held(parts.database, ref, PATIENCE) as mine:
            if mine and shown(parts, ref, step):
                moved.append(ref)
    return moved


def shown(parts: Parts, ref: str, step: Callable[[Parts, str], bool]) -> bool:
    """Do one case's step; what refuses it stands on the board, and the batch goes on.

    :param step: reads the case anew each time that it is called.
    :raises OutOfReachError: a store does not answer; the whole batch is tried again.
    """
    for _ in range(_CONFLICTS):
        try:
            return step(parts, ref)
        except ConflictError:  # somebody was faster, such as mail that arrived: look again at what the case is now
            continue
        except RefusedError as error:
            raise_exception(parts, ref, error)
            return False
    return False
