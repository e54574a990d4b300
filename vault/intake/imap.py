"""An IMAP folder as a mailbox: each message is fetched in pieces and taken away alone, by its own UID.

UID EXPUNGE (RFC 4315) removes that one UID, UID MOVE (RFC 6851) moves it. A message over the limit is
never fetched whole. A UID means something under one UIDVALIDITY only (RFC 3501 s. 2.3.1.1): where the
server has numbered its messages anew, nothing is fetched or taken away under an old number.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.intake.held import NO_ROOM, Held, hold, size_of
from vault.intake.imapline import ImapLine
from vault.intake.message import LARGEST, Message, header_of
from vault.intake.tokens import AccessTokens
from vault.settings_mailbox import MailboxSettings

_FIRST: Final = 262_144  # bytes that come with the size: nearly every mail is whole then
_PIECE: Final = 1_048_576  # bytes of each further piece
_NUMBERS: Final = 20_000  # UIDs in one answer: imaplib takes lines of a million bytes
_NOT_GIVEN: Final = "the mail server does not give one of its messages; look at it with a mail program and move it"
_T = TypeVar("_T")
_U = TypeVar("_U")


class ImapMailbox(Private):
    """A folder of an IMAP server over TLS.

    :param settings: server, folder, and the file of the authority that vouches for the server.
    :param secret: the password, or what gives access tokens.
    :param largest: bytes over which a message is not fetched.
    """

    def __init__(self, settings: MailboxSettings, secret: str | AccessTokens, *, largest: int = LARGEST) -> None:
        if "|" in settings.folder:
            raise WrongUseError("mailbox_folder", "the folder's name must not hold |; rename mailbox.folder")
        self.name = settings.name
        self._settings = settings
        self._largest = largest
        self._line = ImapLine(settings, secret)
        self._made: set[str] = set()

    def messages(self, limit: int) -> Generator[Message, None, None]:
        """Yield the oldest messages, at most ``limit``; the walk ends where the server numbers them anew.

        :raises OutOfReachError: the server does not answer or does not let us in; at the end, when it did not give
            one of them (``mailbox_message``) or we had no room for it (``temporary_space``): those behind it came.
        """
        trouble: OutOfReachError | None = None
        try:
            self._line.close()  # a folder opened anew tells how many there are now
            uids = self._line.ask(lambda client: _oldest(client, min(limit, self._line.exists)))
            validity = self._line.validity
            for uid in uids:
                try:
                    message = self._fetch(validity, uid)
                except OutOfReachError as error:
                    self._line.ask(lambda client: client.noop())  # the server itself may be away
                    ours = error.code == NO_ROOM
                    trouble = error if ours else OutOfReachError("mailbox_message", _NOT_GIVEN, ref=self.name or None)
                    continue
                if message is not None:
                    yield message
        except RefusedError:
            return
        finally:
            self._line.close()
        if trouble is not None:
            raise trouble

    def remove(self, *sources: str) -> None:
        """Expunge or move the very messages that ``sources`` name.

        :raises RefusedError: a source is another folder's, the server has numbered its messages anew,
            or it does not move one of them; the others may be gone.
        :raises OutOfReachError: the server does not answer.
        """
        for validity, uids in self._parsed(sources).items():
            if self._settings.after_taking == "move":
                self._move(validity, uids, self._settings.move_to)
            else:
                self._here(validity, uids, _expunge)

    def set_aside(self, *sources: str) -> None:
        """Move the very messages that ``sources`` name to ``mailbox.aside``.

        :raises VaultError: see :meth:`remove`.
        """
        for validity, uids in self._parsed(sources).items():
            self._move(validity, uids, self._settings.aside)

    def owns(self, source: str) -> bool:
        """Tell whether a source names a message of this folder, under any numbering."""
        numbers = source.split("|")[-2:]
        known = len(numbers) > 1 and all(number.isascii() and number.isdigit() for number in numbers)
        return known and source == self._source(int(numbers[0]), int(numbers[1]))

    def count(self) -> int:
        """Count the messages, and hang up."""
        self._line.close()
        try:
            return self._line.ask(lambda _: self._line.exists)
        finally:
            self._line.close()

    def close(self) -> None:
        """Log out; the next call connects again."""
        self._line.close()

    def _fetch(self, validity: int, uid: int) -> Message | None:
        """Fetch one message; None when somebody else has removed it meanwhile."""
        asked = min(_FIRST, self._largest + 1)
        parts = ["RFC822.SIZE", "INTERNALDATE", f"BODY.PEEK[]<0.{asked}>"]
        answer = self._here(validity, uid, lambda client, uid: client.fetch([uid], parts)).get(uid, {})
        start = answer.get(b"BODY[]<0>")
        if start is None:
            return None
        size, when = int(answer.get(b"RFC822.SIZE", 0)), answer.get(b"INTERNALDATE") or datetime.now(UTC)
        raw = hold(self._pieces(validity, uid, start, asked, size)) if size <= self._largest else b""
        came, held = size_of(raw), raw if isinstance(raw, Held) else None
        large = max(size, came) > self._largest
        if not large and (not came or came < size) and not self._here(validity, uid, _exists):
            return None  # expunged while it was fetched: Dovecot gives nothing from there on
        if size and not large and not came:
            raise OutOfReachError("mailbox_message", _NOT_GIVEN)
        data = raw if isinstance(raw, bytes) and not large else header_of(start)
        source = self._source(validity, uid)
        if large:
            return Message(source, data, when.astimezone(UTC), self.name, large, max(size, self._largest + 1))
        return Message(source, data, when.astimezone(UTC), self.name, large, size, held)

    def _pieces(self, validity: int, uid: int, start: bytes, asked: int, size: int) -> Iterator[bytes]:
        """Yield the start and what follows, fetched piece by piece; no more when it becomes too large.

        A server may be wrong about a message's size, so its end is a piece that is shorter than was asked for;
        one that ends before the size that was told is an end only when nothing comes after it.
        """
        piece, came = start, len(start)
        yield piece
        while piece and (len(piece) == asked or came < size) and came <= self._largest:
            asked, piece = _PIECE, self._here(validity, uid, _piece_at(came))
            came += len(piece)
            yield piece

    def _source(self, validity: int, uid: int) -> str:
        return "|".join(["imap", *filter(None, [self.name]), self._settings.folder, str(validity), str(uid)])

    def _parsed(self, sources: Sequence[str]) -> dict[int, list[int]]:
        """Read sources of this folder: UIDVALIDITY and the UIDs under it.

        :raises RefusedError: one is another's.
        """
        found: dict[int, list[int]] = {}
        for source in sources:
            if not self.owns(source):
                msg = "this message does not lie in the configured folder; nothing was removed"
                raise RefusedError("mailbox_source", msg)
            validity, uid = source.split("|")[-2:]
            found.setdefault(int(validity), []).append(int(uid))
        return found

    def _here(self, validity: int, uid: _U, question: Callable[[Any, _U], _T]) -> _T:
        """Ask about UIDs under the numbering that they belong to, also after the line was joined again.

        :raises RefusedError: the server has numbered its messages anew.
        """

        def guarded(client: Any) -> _T:
            if self._line.validity != validity:
                msg = "the mailbox was numbered anew; the message is read again and recognised as a copy"
                raise RefusedError("mailbox_renumbered", msg)
            return question(client, uid)

        return self._line.ask(guarded)

    def _move(self, validity: int, uids: list[int], folder: str) -> None:
        def move(client: Any, uids: list[int]) -> None:
            try:
                if folder not in self._made and not client.folder_exists(folder):
                    client.create_folder(folder)
                    client.subscribe_folder(folder)  # else mail programs do not show it
                self._made.add(folder)
                _move(client, uids, folder)
            except IMAPClientAbortError:
                raise
            except IMAPClientError:
                self._made.discard(folder)
                msg = "the message was taken and can't be moved; make the folder, or room in it, on the mail server"
                raise RefusedError("mailbox_move_failed", msg) from None

        self._here(validity, uids, move)


def _oldest(client: Any, count: int) -> list[int]:
    """Return the UIDs of the first messages; some at a time, because a line of an answer has its longest."""
    firsts = range(1, count + 1, _NUMBERS)
    return [uid for first in firsts for uid in sorted(client.search([f"{first}:{min(first + _NUMBERS - 1, count)}"]))]


def _move(client: Any, uids: list[int], folder: str) -> None:
    """Move messages (RFC 6851), or copy each and expunge it (RFC 4315) where the server lacks MOVE.

    Cut between copy and expunge, the second way leaves two copies in ``folder`` after it was done again.
    """
    if client.has_capability("MOVE"):
        client.move(uids, folder)
        return
    for uid in uids:
        if _exists(client, uid):
            client.copy([uid], folder)
            _expunge(client, [uid])


def _expunge(client: Any, uids: list[int]) -> None:
    client.delete_messages(uids, silent=True)
    client.uid_expunge(uids)


def _exists(client: Any, uid: int) -> bool:
    client.noop()
    return uid in client.search(["UID", str(uid)])


def _piece_at(offset: int) -> Callable[[Any, int], bytes]:
    """Return what fetches a piece: nothing when the message ends there, or is gone."""

    def fetch(client: Any, uid: int) -> bytes:
        answer = client.fetch([uid], [f"BODY.PEEK[]<{offset}.{_PIECE}>"]).get(uid, {})
        return answer.get(b"BODY[]<%d>" % offset) or b""

    return fetch
