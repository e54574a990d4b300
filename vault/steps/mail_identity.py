"""A message's identity: where it lies, how its mailbox numbers, its Message-ID and its exact bytes, each as a mark.

The place alone names a message only as long as its server numbers its messages as it did (UIDVALIDITY,
RFC 3501 section 2.3.1.1), and is never restored from a backup: so a place counts with its bytes alone. A message of
the same bytes under another numbering, whose removal was never recorded, is the same message; under the same
numbering, or behind a removal that was recorded before, it is another copy.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from vault.domain.private import Private
from vault.intake.held import Raw, digest_of, pieces
from vault.steps.parts import Parts
from vault.storage.mailroom import MailIdentity

if TYPE_CHECKING:  # letters need no IMAP client
    from vault.intake.mailbox import Message

_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Lying(Private):
    """How one message lies at the door, before it is marked.

    :param mailbox: the mailbox's name in the settings.
    :param numbering: what its places are counted under: the source without the message's own number.
    :param content: SHA-256 of its exact bytes; of its header and size where the body was not fetched.
    :param message_id: its Message-ID, once it has been read.
    :param kept: nothing of it is stored, so it stays at the door.
    """

    mailbox: str
    numbering: str
    content: bytes
    message_id: str | None = None
    kept: bool = False

    @classmethod
    def of(cls, message: "Message") -> "Lying":
        """Say how a message lies."""
        content = digest_of(message.raw)
        if message.too_large:
            content = sha256(message.data + b"\0%d" % message.size).digest()
        return cls(message.mailbox, message.source.rpartition("|")[0], content, kept=message.too_large)


@dataclass(frozen=True, slots=True)
class DoorMarks(Private):
    """By what a message is recognised at its door.

    :param source: the mark of its place.
    :param identity: a mail's.
    :param since: when its round through the mailbox began: what is removed after that may be this very message.
    """

    source: bytes
    identity: MailIdentity | None
    since: datetime


def body_digest(raw: Raw) -> bytes:
    """Return the SHA-256 of a mail's body with bare line ends and without blanks at its end, whatever its size."""
    return digest_of_body(lambda: pieces(raw))


def digest_of_body(message: Callable[[], Iterator[bytes]]) -> bytes:
    """Return a mail's :func:`body_digest`.

    :param message: gives the mail's pieces, as often as it is asked.
    """
    begin, end = _body_of(message())
    digest, at, cut = sha256(), 0, b""
    for piece in message():
        part = cut + piece[max(0, begin - at) : max(0, end - at)]
        at += len(piece)
        cut = part[-1:] if part.endswith(b"\r") else b""  # the line may end in the next piece; no body ends so
        digest.update((part[:-1] if cut else part).replace(b"\r\n", b"\n"))
    return digest.digest()


def _body_of(message: Iterator[bytes]) -> tuple[int, int]:
    """Return where a mail's body begins, and where it ends but for blanks."""
    begin, end, at, before = -1, 0, 0, b""
    for piece in message:
        if begin < 0:
            seen = before + piece
            blank = _EMPTY_LINE.search(seen)
            begin = at - len(before) + blank.end() if blank else -1
            before = seen[-3:]
        kept = piece.rstrip()
        end = at + len(kept) if kept else end
        at += len(piece)
    return (at, at) if begin < 0 else (begin, max(begin, end))


def source_bytes(source: str) -> bytes:
    """Spell a place for marking; a file's name may be no UTF-8."""
    return b"source\0" + sha256(source.encode(errors="surrogateescape")).digest()


def mailbox_mark(parts: Parts, name: str) -> bytes:
    """Mark a mailbox."""
    return parts.service.mac("arrival", _words(b"mailbox", name))


def message_id_bytes(name: str) -> bytes:
    """Spell a Message-ID for marking."""
    return _words(b"message-id", name)


def place_marks(parts: Parts, several: "Sequence[tuple[str, Lying | None]]", since: datetime) -> list[DoorMarks]:
    """Mark several messages' places and identities with one call of the key service.

    :param several: the source and, for a mail, how it lies; its Message-ID is not read yet.
    :param since: when the round through the mailbox began.
    """
    asked = [part for source, lying in several for part in (_place(source, lying), *_parts_of(lying))]
    marks = iter(parts.service.many("mac", "arrival", [("", one) for one in asked]))
    found = []
    for _, lying in several:
        source = next(marks)
        identity = MailIdentity(next(marks), next(marks), None, next(marks), lying.kept) if lying else None
        found.append(DoorMarks(source, identity, since))
    return found


def _place(source: str, lying: Lying | None) -> bytes:
    """Spell a place, for a mail together with what lies there: a server that was restored may use a number twice."""
    return source_bytes(source) + (lying.content if lying else b"")


def _parts_of(lying: Lying | None) -> list[bytes]:
    if lying is None:
        return []
    return [_words(b"mailbox", lying.mailbox), _words(b"numbering", lying.numbering), b"content\0" + lying.content]


def _words(kind: bytes, text: str) -> bytes:
    return kind + b"\0" + sha256(text.encode(errors="surrogateescape")).digest()
