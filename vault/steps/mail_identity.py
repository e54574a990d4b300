"""A message's identity: where it lies, how its mailbox numbers, its Message-ID and its exact bytes, each as a mark.

The place alone names a message only as long as its server numbers its messages as it did (UIDVALIDITY,
RFC 3501 section 2.3.1.1). A message of the same bytes under another numbering, whose removal was never
recorded, is the same message; under the same numbering, or behind a recorded removal, it is another copy.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from vault.domain.private import Private
from vault.steps.parts import Parts
from vault.storage.mailroom import MailIdentity

if TYPE_CHECKING:  # letters need no IMAP client
    from vault.intake.mailbox import Message

_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")
_PIECE: Final = 65_536  # bytes


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
        digest = sha256(message.data)
        if message.too_large:
            digest.update(b"\0%d" % message.size)
        return cls(message.mailbox, message.source.rpartition("|")[0], digest.digest(), kept=message.too_large)


def body_digest(data: bytes) -> bytes:
    """Return the SHA-256 of a mail's body with bare line ends and without blanks at its end, whatever its size.

    A large one is not copied for it.
    """
    blank = _EMPTY_LINE.search(data)
    at, end = blank.end() if blank else len(data), len(data)
    while at < end and not (kept := data[max(at, end - _PIECE) : end].rstrip()):
        end = max(at, end - _PIECE)
    end -= (min(_PIECE, end - at) - len(kept)) if at < end else 0
    digest = sha256()
    while at < end:
        stop = min(end, at + _PIECE)
        stop += data[stop - 1 : stop + 1] == b"\r\n" and stop < end
        digest.update(data[at:stop].replace(b"\r\n", b"\n"))
        at = stop
    return digest.digest()


def source_bytes(source: str) -> bytes:
    """Spell a place for marking; a file's name may be no UTF-8."""
    return b"source\0" + sha256(source.encode(errors="surrogateescape")).digest()


def mailbox_mark(parts: Parts, name: str) -> bytes:
    """Mark a mailbox."""
    return parts.service.mac("arrival", _words(b"mailbox", name))


def identities(parts: Parts, lying: Sequence[Lying]) -> list[MailIdentity]:
    """Mark several messages with one call of the key service."""
    marks = iter(_marked(parts, (part for one in lying for part in _parts_of(one))))
    found = []
    for one in lying:
        mailbox, numbering, content = next(marks), next(marks), next(marks)
        message_id = next(marks) if one.message_id else None
        found.append(MailIdentity(mailbox, numbering, message_id, content, one.kept))
    return found


def _parts_of(lying: Lying) -> list[bytes]:
    named = [_words(b"mailbox", lying.mailbox), _words(b"numbering", lying.numbering), b"content\0" + lying.content]
    return named + ([_words(b"message-id", lying.message_id)] if lying.message_id else [])


def source_marks(parts: Parts, messages: "Iterable[Message]") -> list[bytes]:
    """Mark several messages' places."""
    return _marked(parts, (source_bytes(message.source) for message in messages))


def _words(kind: bytes, text: str) -> bytes:
    return kind + b"\0" + sha256(text.encode(errors="surrogateescape")).digest()


def _marked(parts: Parts, items: Iterable[bytes]) -> list[bytes]:
    return parts.service.many("mac", "arrival", [("", item) for item in items])
