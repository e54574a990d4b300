"""C2SP tlog-witness, ``add-checkpoint``: what is asked, and what the rules answer; no input, no output, no key.

The rules, in this order, each with the status that c2sp.org/tlog-witness gives it:

1. the request is in its one canonical shape, else 400;
2. the checkpoint is of a log that this witness knows, else 404;
3. one of the log's keys signed it and none of them wrongly, else 403;
4. the old size is not beyond the checkpoint, else 400;
5. the old size is that of the last cosigned checkpoint, else 409 with that size;
6. the proof leads from the one to the other, else 422; at equal sizes the roots are the same, else 409.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from vault.accesslog.merkle import EMPTY_ROOT, HASH_BYTES, LARGEST, verify_consistency
from vault.accesslog.notes import (
    LONGEST_NOTE,
    Checkpoint,
    Note,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    root_text,
)
from vault.errors import RefusedError, TamperedError, UnreadableError

PATH: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
MOST_HASHES: Final = 63
LONGEST_REQUEST: Final = LONGEST_NOTE + 4096  # bytes: 63 hashes of 45 and the old size
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """What a log asks.

    :param old: the size that the witness cosigned last, as far as the log knows.
    :param proof: hashes of 32 bytes that lead from there to the checkpoint (RFC 6962 section 2.1.2).
    :param note: the signed checkpoint.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def render_request(request: AddCheckpoint) -> bytes:
    """Write a request's body; the inverse of :func:`parse_request`."""
    lines = (f"old {request.old}", *map(root_text, request.proof))
    return "".join(f"{line}\n" for line in lines).encode("ascii") + b"\n" + request.note


def parse_request(data: bytes) -> AddCheckpoint:
    """Read a request's body; the checkpoint in it is not looked at.

    :raises UnreadableError: not in the canonical shape, or with more than 63 hashes.
    """
    head, _, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
        proof = tuple(base64.b64decode(line, validate=True) for line in lines)
    except ValueError:
        raise _unreadable() from None
    found = _OLD.fullmatch(first)
    if found is None or int(found[1]) > LARGEST or len(proof) > MOST_HASHES:
        raise _unreadable()
    request = AddCheckpoint(int(found[1]), proof, note)
    if any(len(step) != HASH_BYTES for step in proof) or render_request(request) != data:
        raise _unreadable()
    return request


@dataclass(frozen=True, slots=True)
class Head:
    """The tree of the last cosigned checkpoint; the empty tree before the first."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: status, body and media type."""

    status: int
    body: bytes
    media_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class Asked:
    """A checkpoint that a key of the log signed: its note and what it says."""

    note: Note
    checkpoint: Checkpoint

    @property
    def head(self) -> Head:
        """The checkpoint's tree."""
        return Head(self.checkpoint.size, self.checkpoint.root)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a request is refused, and the checkpoint where the log signed one."""

    code: str
    reply: Reply
    asked: Asked | None = None


def refuse(status: int, code: str) -> Reply:
    """Make a refusal that says its code and nothing else."""
    return Reply(status, f"{code}\n".encode("ascii"))


def conflict(size: int) -> Reply:
    """Make the refusal that tells the last cosigned size."""
    return Reply(HTTPStatus.CONFLICT, f"{size}\n".encode("ascii"), SIZE_TYPE)


def judge(data: bytes, keys: Sequence[VerifierKey], head: Head) -> Asked | Rejected:
    """Apply the rules; what passes continues the last cosigned checkpoint.

    :param data: the request's body.
    :param keys: of the one log that is known, newest first.
    :param head: what was cosigned last.
    """
    try:
        request = parse_request(data)
        note = parse_note(request.note)
        origin = parse_checkpoint(note.text).origin
    except RefusedError as error:
        return Rejected(error.code, refuse(HTTPStatus.BAD_REQUEST, error.code))
    if origin != keys[0].name:
        return Rejected("log_unknown", refuse(HTTPStatus.NOT_FOUND, "log_unknown"))
    try:
        asked = Asked(note, open_checkpoint(request.note, keys))
    except RefusedError as error:
        return Rejected(error.code, refuse(HTTPStatus.FORBIDDEN, error.code))
    return _continues(request, asked, head)


def _continues(request: AddCheckpoint, asked: Asked, head: Head) -> Asked | Rejected:
    size, root = asked.head.size, asked.head.root
    if request.old > size:
        return Rejected("old_beyond", refuse(HTTPStatus.BAD_REQUEST, "old_beyond"), asked)
    if request.old != head.size:
        return Rejected("old_differs", conflict(head.size), asked)
    if size == head.size > 0 and root != head.root and not request.proof:
        return Rejected("root_differs", conflict(head.size), asked)
    try:
        verify_consistency(head.size, size, request.proof, head.root, root)
    except TamperedError as error:
        return Rejected(error.code, refuse(HTTPStatus.UNPROCESSABLE_ENTITY, error.code), asked)
    return asked


def _unreadable() -> UnreadableError:
    return UnreadableError("request_malformed", "send old size, proof and checkpoint as c2sp.org/tlog-witness says")
