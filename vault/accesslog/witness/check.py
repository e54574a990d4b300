"""What the witness's owner asks of it: whether what is published now goes on from what it cosigned."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from vault.accesslog.merkle import RightEdge
from vault.accesslog.notes import LONGEST_NOTE, VerifierKey, open_checkpoint
from vault.accesslog.sources import Source
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import Verdict
from vault.accesslog.witness.audit import read_on
from vault.accesslog.witness.protocol import Head
from vault.accesslog.witness.state import Memory, State
from vault.errors import RefusedError, TamperedError

LATE: Final = timedelta(minutes=10)  # from a cosignature to its publication
_STEP_SECONDS: Final = 2.0


def check_published(state: State, keys: Sequence[VerifierKey], source: Source, now: datetime) -> Verdict:
    """Read all that is published and compare it with what was cosigned; nothing is cosigned by it.

    :param keys: the log's, newest first.
    :raises OutOfReachError: the source or the state does not answer.
    """
    verdict = Verdict(root=RightEdge().root())
    with state.change() as memory:
        for refused in memory.refused():
            verdict.blame(refused.code, f"refused {refused.at.isoformat()}")
    try:
        checkpoint = open_checkpoint(source.fetch(CHECKPOINT, LONGEST_NOTE), keys)
        verdict.size, verdict.root = checkpoint.size, checkpoint.root
        _compare(state, source, Head(checkpoint.size, checkpoint.root), now - LATE)
    except RefusedError as error:
        verdict.blame(error.code, CHECKPOINT)
    return verdict


def _compare(state: State, source: Source, published: Head, late: datetime) -> None:
    while True:
        with state.change() as memory:
            remembered = memory.remembered()
            head, at = remembered.head, remembered.at
            if head.size > published.size:
                if at is not None and at < late:
                    raise TamperedError(
                        "published_behind", "published is an older checkpoint than was cosigned; report it"
                    )
                return  # the publisher is about to put it
            if _step(memory, source, published):
                return


def _step(memory: Memory, source: Source, published: Head) -> bool:
    """Read for a moment, so that the witness at work is not kept waiting; tell whether all is read."""
    unproved = memory.reading().size > memory.remembered().head.size
    until = time.monotonic() + _STEP_SECONDS
    try:
        with memory.undoing():
            return read_on(memory, source, published, lambda: time.monotonic() < until)
    except TamperedError:
        if not unproved:
            raise
        memory.forget()  # what was read before may be what is wrong
        return False
