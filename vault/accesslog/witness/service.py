"""A witness at work: one request at a time, judged, read, remembered on the disk, and only then cosigned."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from vault.accesslog.cosign import make_cosignature
from vault.accesslog.notes import Note, VerifierKey, render_note
from vault.accesslog.sources import Source
from vault.accesslog.witness.audit import read_on
from vault.accesslog.witness.keys import Signer
from vault.accesslog.witness.protocol import Asked, Rejected, Reply, judge, refuse
from vault.accesslog.witness.state import Memory, State
from vault.errors import KeyMissingError, OutOfReachError, RefusedError, TamperedError

READING_SECONDS: Final = 3.0  # for one request; less than the publisher waits
SOURCE_SECONDS: Final = 2.0  # for one resource of the published log
_EVIDENCE = frozenset({"root_differs", "not_proved"})
_OF_THE_COPY = frozenset({"bundle_malformed"})  # a cut or swollen file accuses whoever serves it, not the log


@dataclass(frozen=True, slots=True)
class WitnessService:
    """A witness of one log.

    :param keys: the log's, newest first.
    :param source: where the log is published.
    :param now: UTC.
    :param seconds: how long one request may read.
    """

    state: State
    signer: Signer
    keys: Sequence[VerifierKey]
    source: Source
    now: Callable[[], datetime]
    seconds: float = READING_SECONDS

    def add_checkpoint(self, data: bytes) -> Reply:
        """Answer an ``add-checkpoint`` request (c2sp.org/tlog-witness).

        :param data: the request's body.
        :raises OutOfReachError: the state can't be reached.
        :raises TamperedError: the state is damaged.
        """
        with self.state.change() as memory:
            asked = judge(data, self.keys, memory.remembered().head)
            if isinstance(asked, Rejected):
                if asked.asked and asked.code in _EVIDENCE:
                    self._keep(memory, asked.asked, asked.code)
                return asked.reply
            if refusal := self._read(memory, asked):
                return refusal
            at = self._remember(memory, asked)
        # what is signed from here on is on the disk
        return self._cosigned(asked, at)

    def _read(self, memory: Memory, asked: Asked) -> Reply | None:
        """Read what is new; None where that was all and all of it is right."""
        unproved = memory.reading().size > memory.remembered().head.size
        until = time.monotonic() + self.seconds
        try:
            with memory.undoing():
                if read_on(memory, self.source, asked.head, lambda: time.monotonic() < until):
                    return None
            return refuse(HTTPStatus.SERVICE_UNAVAILABLE, "still_reading")
        except (KeyMissingError, OutOfReachError) as error:
            return refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.code)
        except RefusedError as error:
            if unproved:
                memory.forget()  # what was read before may be what is wrong
                return refuse(HTTPStatus.SERVICE_UNAVAILABLE, "reading_anew")
            if not isinstance(error, TamperedError) or error.code in _OF_THE_COPY:
                return refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.code)
            self._keep(memory, asked, error.code)
            return refuse(HTTPStatus.UNPROCESSABLE_ENTITY, error.code)

    def _remember(self, memory: Memory, asked: Asked) -> datetime:
        """Remember the tree; give the time to cosign it with, which never goes back though clocks may."""
        now, last = self.now().astimezone(UTC).replace(microsecond=0), memory.remembered().at
        at = max(now, last) if last else now
        memory.cosign(asked.head, at)
        return at

    def _keep(self, memory: Memory, asked: Asked, code: str) -> None:
        ours = tuple(one for one in asked.note.signatures if one.name == self.keys[0].name)
        memory.refuse(code, render_note(Note(asked.note.text, ours)).decode(), self.now())

    def _cosigned(self, asked: Asked, at: datetime) -> Reply:
        text = asked.note.text
        line = make_cosignature(text, self.signer.key, at, self.signer.sign)
        return Reply(HTTPStatus.OK, render_note(Note(text, (line,))).removeprefix(f"{text}\n".encode()))
