"""What goes wrong around a mailbox: cut lines, servers that number anew or say no, removals that fail."""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vault.domain.private import Private
from vault.errors import OutOfReachError
from vault.intake.message import Mailbox, Message
from vault.settings import SmtpSettings
from vault.testing import places, processes
from vault.testing.controller import ADDRESS
from vault.testing.dovecot import USER, MailServer
from vault.testing.ports import free_port

_PIECE = 4096  # bytes
_PATIENCE = 10.0  # seconds


@contextmanager
def cutting_line(port: int, budgets: Iterable[int]) -> Iterator[int]:
    """Stand between a client and a server on 127.0.0.1, and cut each line behind so many of the server's bytes.

    :param port: the server's.
    :param budgets: bytes for one line after the other; lines beyond them are never cut.
    :returns: the port to connect to.
    """
    front = free_port()
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", front)) as door:
        door.settimeout(0.1)
        worker = threading.Thread(target=_serve, args=(door, port, iter(budgets), ended), daemon=True)
        worker.start()
        try:
            yield front
        finally:
            ended.set()
            worker.join(_PATIENCE)


def _serve(door: socket.socket, port: int, budgets: Iterator[int], ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            client, _ = door.accept()
            server = socket.create_connection(("127.0.0.1", port))
            both = (client, server)
            threading.Thread(target=_pass_on, args=(client, server, None, both), daemon=True).start()
            threading.Thread(target=_pass_on, args=(server, client, next(budgets, None), both), daemon=True).start()


def _pass_on(
    source: socket.socket, target: socket.socket, budget: int | None, both: tuple[socket.socket, socket.socket]
) -> None:
    """Pass bytes on until the budget is used up or one side ends; then end both."""
    with suppress(OSError):
        while (budget is None or budget > 0) and (data := source.recv(_PIECE)):
            allowed = data if budget is None else data[:budget]
            target.sendall(allowed)
            budget = None if budget is None else budget - len(allowed)
    for end in both:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def renumber(server: MailServer, folder: str = "") -> None:
    """Make Dovecot number a folder's messages anew: another UIDVALIDITY and other UIDs (RFC 3501 section 2.3.1.1).

    :param folder: as it lies in the Maildir, such as ``.Aside``; empty for the inbox.
    """
    validity = _uid_validity(server, folder)
    _write_uids(server, folder, validity + 1, 100)


def restore_numbers(server: MailServer) -> None:
    """Make Dovecot give UIDs of the inbox a second time under one UIDVALIDITY, as a restored backup does.

    RFC 3501 section 2.3.1.1 forbids it, and nothing but the bytes tells such a message from the one before.
    """
    _write_uids(server, "", _uid_validity(server, ""), 1)


def _uid_validity(server: MailServer, folder: str) -> int:
    head = _uid_list(server, folder).read_text(encoding="ascii").splitlines()[0].split()
    return next(int(word[1:]) for word in head if word.startswith("V"))


def _write_uids(server: MailServer, folder: str, validity: int, following: int) -> None:
    path = _uid_list(server, folder)
    fresh = path.with_name("dovecot-uidlist.fresh")
    places.write_private(fresh, f"3 V{validity} N{following}\n", processes.unprivileged("dovecot"))
    fresh.replace(path)


def _uid_list(server: MailServer, folder: str) -> Path:
    return _inbox(server) / folder / "dovecot-uidlist"


def _inbox(server: MailServer) -> Path:
    return places.base_of(server.home, processes.unprivileged("dovecot")) / "mail" / USER


def lying_files(server: MailServer) -> list[Path]:
    """Return the inbox's message files."""
    return sorted(path for name in ("new", "cur") for path in (_inbox(server) / name).glob("*"))


class Disturbed(Private):
    """A mailbox to which something happens on the way.

    :param inner: the real one.
    :param at_message: called with the number of each message, from 1, before it is handed out.
    :param at_removal: called with the number of each removal, from 1, before it is done; what it raises is raised.
    """

    def __init__(
        self,
        inner: Mailbox,
        *,
        at_message: Callable[[int], object] = lambda _: None,
        at_removal: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.inner = inner
        self._at_message = at_message
        self._at_removal = at_removal
        self._removals = 0

    def messages(self, limit: int) -> Iterator[Message]:
        """Yield the real one's messages."""
        for number, message in enumerate(self.inner.messages(limit), start=1):
            self._at_message(number)
            yield message

    def remove(self, *sources: str) -> None:
        """Remove messages, one after the other."""
        self._each(self.inner.remove, sources)

    def set_aside(self, *sources: str) -> None:
        """Set messages aside, one after the other."""
        self._each(self.inner.set_aside, sources)

    def _each(self, act: Callable[[str], None], sources: Iterable[str]) -> None:
        for source in sources:
            self._removals += 1
            self._at_removal(self._removals)
            act(source)

    def count(self) -> int:
        """Count the messages."""
        return self.inner.count()

    def close(self) -> None:
        """Hang up."""
        self.inner.close()


def cannot_remove(_: int) -> None:
    """Stand for a server that lets nothing be removed.

    :raises OutOfReachError: always.
    """
    raise OutOfReachError("mailbox_away", "the mail server does not answer; the next run tries again")


@contextmanager
def saying(answers: Mapping[str, str]) -> Iterator[tuple[SmtpSettings, Counter[str]]]:
    """Run a mail server that answers as it is told, and yes to everything else; what it took it throws away.

    :param answers: by the first four letters of the command, or ``end`` for the end of the data; looked up each time.
    :returns: how to reach it, and how often it heard each command.
    """
    heard: Counter[str] = Counter()

    class Talk(socketserver.StreamRequestHandler):
        def say(self, verb: str, usual: str) -> bool:
            heard[verb] += 1
            answer = answers.get(verb, usual)
            self.wfile.write(f"{answer}\r\n".encode())
            return answer.startswith(usual[0])

        def handle(self) -> None:
            self.wfile.write(b"220 mx.example\r\n")
            for line in self.rfile:
                verb = line[:4].decode("ascii").strip().lower()
                going = self.say(verb, {"data": "354 go on", "quit": "221 bye"}.get(verb, "250 ok"))
                if verb == "data" and going:
                    while self.rfile.readline() not in {b".\r\n", b""}:
                        pass
                    self.say("end", "250 taken")
                if verb == "quit":
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Talk) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = int(server.server_address[1])
        try:
            yield SmtpSettings(host="127.0.0.1", port=port, sender=ADDRESS, security="none"), heard
        finally:
            server.shutdown()
