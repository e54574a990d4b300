"""Exceptions on the board: why a case stands still, as a code, while its clock runs on."""

from collections.abc import Callable, Collection

from vault.domain.case import Event
from vault.domain.request import ANSWERED, RequestKind
from vault.errors import ConflictError, RefusedError, VaultError
from vault.steps.parts import Parts
from vault.storage.cases import append, get_case


def raise_exception(parts: Parts, ref: str, error: VaultError) -> None:
    """Show on the board why a case stands still; the clock runs on."""
    with parts.database.connect() as connection:
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


def other_right(kinds: Collection[RequestKind]) -> str | None:
    """Return the exception of a request that asks, also or only, for what no machine answers."""
    return "other_right_asked" if set(kinds) - ANSWERED else None


def shown(parts: Parts, ref: str, step: Callable[[Parts, str], bool]) -> bool:
    """Do one case's step; what refuses it stands on the board, and the batch goes on.

    :raises OutOfReachError: a store does not answer; the whole batch is tried again.
    """
    try:
        return step(parts, ref)
    except ConflictError:  # somebody was faster; the next run sees what she made of it
        return False
    except RefusedError as error:
        raise_exception(parts, ref, error)
        return False
