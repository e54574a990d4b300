"""A log is verified over HTTP from a server that does its worst: nothing false is accepted, nothing hangs or grows."""

import os
import socketserver
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from vault.accesslog.notes import LONGEST_NOTE
from vault.accesslog.publish import log_key
from vault.accesslog.sources import HttpSource
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import verify_published
from vault.errors import OutOfReachError, RefusedError
from vault.testing.accesslog import ORIGIN, MemoryShelf, publish_leaves
from vault.testing.keyservice import memory_service
from vault.testing.manydays import looks, with_days

TRIES = 3_000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 30
SECONDS = 0.6
SERVICE = memory_service()
KEY = log_key(SERVICE, ORIGIN)
SHELF = MemoryShelf()
publish_leaves(SHELF, list(with_days(looks(690, 30), 100)), SERVICE, 300, 696)

Answer = Callable[[bytes], Iterator[bytes]]  # a resource's true bytes -> what goes over the wire


def plain(data: bytes, *, length: int | None = None, extra: str = "", status: str = "200 OK") -> bytes:
    size = len(data) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{extra}\r\n".encode() + data


def harmless(data: bytes) -> Iterator[bytes]:
    yield plain(data)


def chunked(data: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield b"".join(b"1\r\n%c\r\n" % byte for byte in data[:50]) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data[50:]), data[50:])


def endless(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield bytes(1 << 16)


def endless_head(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X: " + b"x" * 60_000 + b"\r\n"


def endless_hints(_: bytes) -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def dripping_head(_: bytes) -> Iterator[bytes]:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
        time.sleep(0.05)
        yield bytes([byte])


def dripping(data: bytes) -> Iterator[bytes]:
    yield plain(b"", length=len(data))
    for byte in data:
        time.sleep(0.05)
        yield bytes([byte])


def silent(_: bytes) -> Iterator[bytes]:
    time.sleep(3 * SECONDS)
    yield b""


HARMLESS: tuple[Answer, ...] = (harmless, chunked)
NEVER_ENDING: tuple[Answer, ...] = (endless, endless_head, endless_hints, dripping_head, dripping, silent)


def malice(chance: Random) -> Answer:
    """Choose a way to answer wrongly, quickly."""

    def answer(data: bytes) -> Iterator[bytes]:
        at = chance.randrange(len(data) or 1)
        changed = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :] if data else b"x"
        yield chance.choice(
            [
                plain(changed),
                plain(data[:at]),
                plain(data + data),
                plain(data + bytes(chance.randrange(1, 200_000))),
                plain(b""),
                plain(data, length=len(data) + 1),
                plain(data, length=max(0, len(data) - 1)),
                plain(data, length=-1),
                plain(data, length=1 << 62),
                plain(data, extra="Content-Encoding: gzip\r\n"),
                plain(data, extra="Transfer-Encoding: chunked\r\n"),
                plain(b"", status="302 Found", extra="Location: http://127.0.0.1:9/\r\n"),
                plain(b"", status="301 Moved", extra="Location: /checkpoint\r\n"),
                plain(data, status="206 Partial Content"),
                plain(data, status="500 Oops"),
                plain(b"", status="404 Not Found"),
                plain(b"", status="204 No Content"),
                plain(chance.randbytes(2_000)),
                chance.randbytes(2_000),
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + data,
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + data,
                b"HTTP/9.9 200 OK\r\n\r\n" + changed,
                b"",
            ]
        )

    return answer


class Server(socketserver.ThreadingTCPServer):
    """Answers each resource as it was told to."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: Callable[[str], Answer] = lambda _: harmless

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.StreamRequestHandler):
    """One connection, one answer."""

    server: Server

    def handle(self) -> None:
        words = self.rfile.readline().split()
        while self.rfile.readline().strip():
            pass
        if len(words) < 2:
            return
        name = words[1].decode("ascii").strip("/")
        known = SHELF.versions.get(name)
        try:
            for piece in self.server.plan(name)(known[-1]) if known else [plain(b"", status="404 Not Found")]:
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            return


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def only(victim: str, answer: Answer) -> Callable[[str], Answer]:
    return lambda name: answer if name == victim else harmless


def accepted(server: Server, seconds: float = SECONDS) -> bool:
    try:
        verdict = verify_published(HttpSource(server.url, seconds=seconds), KEY)
    except OutOfReachError:
        return False
    return verdict.ok


@pytest.mark.parametrize("answer", HARMLESS, ids=lambda answer: answer.__name__)
def test_a_true_log_is_accepted_however_it_is_framed(server: Server, answer: Answer) -> None:
    server.plan = lambda _: answer

    assert accepted(server, 60.0)  # a busy machine is no hostile one


def test_a_server_that_ends_kept_connections_is_asked_once_more() -> None:
    """As servers do that have waited long enough: the next question meets a closed door."""

    class Ending(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for turn in range(2):
                while self.rfile.readline().strip():
                    pass
                if not turn:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Ending) as ending:
        ending.daemon_threads = True
        threading.Thread(target=ending.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        source = HttpSource(f"http://127.0.0.1:{ending.server_address[1]}")
        assert [source.fetch("x", 10) for _ in range(4)] == [b"ok"] * 4
        ending.shutdown()


def needed() -> list[str]:
    """List what the newest checkpoint needs."""
    names = [name for name in SHELF.versions if not name.startswith("checkpoints/")]
    return sorted(name for name in names if ".p/" not in name or name.endswith((".p/184", "1/000.p/2")))


def test_one_wrong_answer_is_never_accepted(server: Server) -> None:
    for seed in range(TRIES):
        chance = Random(seed)  # noqa: S311 - the same each time is wanted
        victim, answer = chance.choice(needed()), malice(chance)
        server.plan = only(victim, answer)
        assert not accepted(server), (seed, victim)


@pytest.mark.parametrize("answer", NEVER_ENDING, ids=lambda answer: answer.__name__)
@pytest.mark.parametrize("victim", [CHECKPOINT, "tile/entries/001"])
def test_what_never_ends_is_ended(server: Server, answer: Answer, victim: str) -> None:
    server.plan = only(victim, answer)
    tracemalloc.start()
    begun = time.monotonic()

    assert not accepted(server)

    assert time.monotonic() - begun < 15  # far from never, on a busy machine too
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_huge_note_is_refused_before_it_is_read(server: Server) -> None:
    server.plan = lambda _: lambda data: iter([plain(data + b"x" * LONGEST_NOTE)])

    with pytest.raises(RefusedError) as refused:
        HttpSource(server.url, seconds=SECONDS).fetch(CHECKPOINT, LONGEST_NOTE)
    assert refused.value.code == "log_resource_large"
