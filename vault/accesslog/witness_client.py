"""Asks witnesses to cosign a checkpoint (c2sp.org/tlog-witness); one that is away or slow never holds up publishing.

What comes back is believed only as far as it is signed: a cosignature that is not this witness's over
this checkpoint is left out and named in the outcome.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeAlias

import httpx

from vault.accesslog.cosign import WitnessKey, parse_witness_vkey, verify_cosignature
from vault.accesslog.merkle import LARGEST
from vault.accesslog.notes import Note, Signature, parse_checkpoint, parse_note, render_note
from vault.accesslog.witness.protocol import PATH, SIZE_TYPE, AddCheckpoint, render_request
from vault.errors import OutOfReachError, TamperedError, WrongUseError
from vault.settings import WitnessSettings

SECONDS: Final = 5.0  # for one round of asking; there are at most two
COSIGNED: Final = "cosigned"
_LONGEST_REPLY = 64 * 1024  # bytes
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Prove: TypeAlias = Callable[[int, int], Sequence[bytes]]  # (old size, new size) -> consistency proof


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness that is asked: its submission prefix and its key."""

    url: str
    key: WitnessKey


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking one witness went.

    :param name: the witness's.
    :param code: ``cosigned``; ``witness_away`` (or slow, or not ready yet), ``witness_refused``; and two that
        accuse the log: ``witness_ahead`` (it cosigned a larger tree) and ``witness_differs`` (another of this size).
        ``cosignature_wrong`` accuses the witness.
    :param time: when it cosigned.
    """

    name: str
    code: str
    time: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether it cosigned."""
        return self.code == COSIGNED


@dataclass(frozen=True, slots=True)
class Collected:
    """The checkpoint's note with the cosignatures behind its own signatures, and how each witness answered."""

    note: bytes
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    media_type: str
    body: bytes


def open_witnesses(settings: Sequence[WitnessSettings]) -> tuple[Witness, ...]:
    """Read the keys of the witnesses that the settings name.

    :raises WrongUseError: a file can't be read or holds no witness's key, or two witnesses have one name.
    """
    witnesses = tuple(Witness(one.url.rstrip("/"), _read_key(one)) for one in settings)
    if len({one.key.name for one in witnesses}) != len(witnesses):
        raise WrongUseError("witness_twice", "two witnesses in [[log.witnesses]] have one name; take one out")
    return witnesses


def collect(
    note: bytes, witnesses: Sequence[Witness], prove: Prove, known: Mapping[str, int] | None = None
) -> Collected:
    """Ask all witnesses at once to cosign; takes at most twice :data:`SECONDS`, whatever they do.

    :param note: the signed checkpoint.
    :param prove: gives the consistency proof between two sizes; called in this thread only.
    :param known: witness's name -> size that it cosigned last, where that is known; else it tells.
    :raises TamperedError: the note is no checkpoint.
    """
    opened = parse_note(note)
    size = parse_checkpoint(opened.text).size
    old = {one.key.name: min((known or {}).get(one.key.name, 0), size) for one in witnesses}
    replies = _ask(note, size, witnesses, prove, old)
    told = _told(witnesses, replies, old, size)
    again = [one for one in witnesses if one.key.name in told]
    replies |= _ask(note, size, again, prove, told)
    judged = [_judge(opened, one, replies.get(one.key.name), {**old, **told}) for one in witnesses]
    found = tuple(signature for signatures, _ in judged for signature in signatures)
    cosigned = Note(opened.text, opened.signatures + found)
    return Collected(render_note(cosigned), tuple(outcome for _, outcome in judged))


def _told(
    witnesses: Sequence[Witness], replies: Mapping[str, _Reply], old: Mapping[str, int], size: int
) -> dict[str, int]:
    """Tell who named another old size, from which this checkpoint can be proved."""
    found = {one.key.name: _conflict(replies.get(one.key.name)) for one in witnesses}
    return {name: told for name, told in found.items() if told is not None and told <= size and told != old[name]}


def _judge(
    note: Note, witness: Witness, reply: _Reply | None, old: Mapping[str, int]
) -> tuple[tuple[Signature, ...], Outcome]:
    name = witness.key.name
    if reply is None or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return (), Outcome(name, "witness_away")
    told = _conflict(reply)
    if told is not None:
        size = parse_checkpoint(note.text).size
        same = told == old[name] == size
        return (), Outcome(name, "witness_ahead" if told > size else "witness_differs" if same else "witness_refused")
    if reply.status != HTTPStatus.OK:
        return (), Outcome(name, "witness_refused")
    try:
        signatures = _cosignatures(note, reply.body, witness.key)
        return signatures, Outcome(name, COSIGNED, verify_cosignature(Note(note.text, signatures), witness.key))
    except TamperedError:
        return (), Outcome(name, "cosignature_wrong")


def _cosignatures(note: Note, body: bytes, key: WitnessKey) -> tuple[Signature, ...]:
    """Read the witness's own lines; others may stand among them and are left out, as the protocol demands."""
    lines = parse_note(f"{note.text}\n".encode() + body).signatures
    return tuple(one for one in lines if (one.name, one.identifier) == (key.name, key.identifier))


def _conflict(reply: _Reply | None) -> int | None:
    if reply is None or reply.status != HTTPStatus.CONFLICT or reply.media_type != SIZE_TYPE:
        return None
    found = _SIZE.fullmatch(reply.body)
    return int(found[1]) if found and int(found[1]) <= LARGEST else None


def _ask(
    note: bytes, size: int, witnesses: Sequence[Witness], prove: Prove, old: Mapping[str, int]
) -> dict[str, _Reply]:
    """Ask each in a thread of its own; who has not answered by the deadline is left to itself."""
    replies: dict[str, _Reply] = {}
    threads = []
    until = time.monotonic() + SECONDS
    for one in witnesses:
        asked = old[one.key.name]
        body = render_request(AddCheckpoint(asked, tuple(prove(asked, size)), note))
        threads.append(threading.Thread(target=_post, args=(one, body, until, replies), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(replies)  # a copy: a late thread may still write into the other


def _post(witness: Witness, body: bytes, until: float, replies: dict[str, _Reply]) -> None:
    headers = {"Accept-Encoding": "identity", "Content-Type": "text/plain; charset=utf-8"}
    try:
        with (
            httpx.Client(timeout=SECONDS, headers=headers) as client,
            client.stream("POST", f"{witness.url}{PATH}", content=body) as answer,
        ):
            media_type = answer.headers.get("content-type", "")
            replies[witness.key.name] = _Reply(answer.status_code, media_type, _read(answer, until))
    except (httpx.HTTPError, OutOfReachError):
        return  # no reply is an outcome of its own


def _read(answer: httpx.Response, until: float) -> bytes:
    data = bytearray()
    for piece in answer.iter_raw():
        data += piece
        if len(data) > _LONGEST_REPLY or time.monotonic() > until:
            raise OutOfReachError("witness_away", "the witness does not come to an end; look after it")
    return bytes(data)


def _read_key(settings: WitnessSettings) -> WitnessKey:
    try:
        text = settings.vkey_file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        advice = f"the file {settings.vkey_file.name} of log.witnesses can't be read; copy the witness's key there"
        raise WrongUseError("witness_key_missing", advice) from None
    return parse_witness_vkey(text)
