"""Acknowledging: the notice that an arrival deserves goes out while its message is still in hand, once."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from vault.delivery.smtp import Courier
from vault.errors import OutOfReachError, RefusedError
from vault.steps.exceptions import PATIENCE, raise_exception
from vault.steps.notices import send_with
from vault.steps.parts import Parts
from vault.steps.receive import Taken
from vault.storage.cases import held_together
from vault.storage.outgoing import Outgoing

_TURN: Final = 2.0  # seconds for which the cases of several answers are held together
_Due: TypeAlias = tuple[Taken, Outgoing, dict[str, Any]]


def acknowledge(
    parts: Parts,
    several: Sequence[tuple[Taken, dict[str, Any]]],
    courier: Courier | None = None,
    fault: Callable[[Exception], None] | None = None,
) -> None:
    """Send the notices of some arrivals, one after the other; their cases are held together, but not for long.

    :param several: what was taken, with its particulars.
    :param courier: the line to the mail server; None for one of its own.
    :param fault: told what went wrong with one by our own fault, so that the others don't wait; None to let it out.
    """
    due: list[_Due] = [(taken, taken.answer, said) for taken, said in several if taken.answer is not None]
    rest = _turn(parts, due, courier, fault) if due else []
    for one in rest:  # the mail server is slow: nobody else is to wait for more than one answer
        _turn(parts, [one], courier, fault)


def _turn(
    parts: Parts, due: Sequence[_Due], courier: Courier | None, fault: Callable[[Exception], None] | None
) -> Sequence[_Due]:
    """Hold the cases and send their notices; return those that the time was too short for."""
    with held_together(parts.database, [taken.case.ref for taken, _, _ in due], PATIENCE) as mine:
        until = time.monotonic() + _TURN
        for number, (taken, answer, particulars) in enumerate(due):
            if number and time.monotonic() > until:
                return due[number:]
            if taken.case.ref not in mine:
                continue
            try:
                _send(parts, taken, answer, particulars, courier)
            except Exception as error:  # the case stands and its notice is intended
                if fault is None:
                    raise
                fault(error)
    return []


def _send(parts: Parts, taken: Taken, answer: Outgoing, particulars: dict[str, Any], courier: Courier | None) -> None:
    try:
        send_with(parts, answer, particulars, courier=courier, case=taken.case)
    except RefusedError as error:  # a strange address or name must not stop the batch
        raise_exception(parts, taken.case.ref, error)
    except OutOfReachError:  # gpg or the mail server is away: the intent stands, and `resend` sends it
        return
