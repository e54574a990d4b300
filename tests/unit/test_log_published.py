"""A published log checks out from a directory and over HTTP, and every change to any of its files is found."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Checkpoint, Note, Signature, VerifierKey, render_checkpoint, render_note, root_text
from vault.accesslog.publish import log_key, sign_checkpoint
from vault.accesslog.sources import DirectorySource, HttpSource, Source, open_source
from vault.accesslog.tiles import TileReader, fetch_bundle, history_name, parse_bundle, render_bundle
from vault.accesslog.verify import MOST_FAULTS, Verdict, verify_published
from vault.crypto.keyservice import KeyService
from vault.errors import KeyMissingError, LimitError, OutOfReachError, TamperedError, WrongUseError
from vault.testing.accesslog import ORIGIN, MemoryShelf, any_leaves, copy_to, publish_leaves
from vault.testing.keyservice import memory_service

SIZES = (3, 256, 300, 600)
LEAVES = any_leaves(600)


class Log:
    """A published log in a directory."""

    def __init__(self, directory: Path, service: KeyService) -> None:
        self.service = service
        self.shelf = MemoryShelf()
        publish_leaves(self.shelf, LEAVES, service, *SIZES)
        self.root = copy_to(self.shelf, directory)

    @property
    def key(self) -> VerifierKey:
        return log_key(self.service, ORIGIN)

    def verdict(self) -> Verdict:
        return verify_published(DirectorySource(self.root), self.key)

    def codes(self) -> set[str]:
        return {code for code, _ in self.verdict().faults}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log", memory_service())


def true_root(size: int) -> bytes:
    edge = RightEdge()
    for leaf in LEAVES[:size]:
        edge.add(leaf_hash(leaf))
    return edge.root()


@contextmanager
def served(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


def test_a_true_copy_checks_out(log: Log) -> None:
    verdict = log.verdict()

    assert verdict.to_json() == {"size": 600, "root": root_text(true_root(600)), "ok": True, "faults": []}


def test_it_checks_out_over_http_too(log: Log) -> None:
    with served(partial(Quiet, directory=str(log.root))) as url:
        assert verify_published(open_source(f"{url}/"), log.key).ok


def test_an_empty_log_checks_out(tmp_path: Path) -> None:
    service, shelf = memory_service(), MemoryShelf()
    publish_leaves(shelf, [], service, 0)

    verdict = verify_published(DirectorySource(copy_to(shelf, tmp_path)), log_key(service, ORIGIN))

    assert (verdict.ok, verdict.size) == (True, 0)


def test_a_tile_that_outgrew_its_partial_name_is_taken_instead(log: Log) -> None:
    (log.root / "tile/0/002.p/88").unlink()
    full = render_bundle(any_leaves(768)[512:])
    (log.root / "tile/0/002").write_bytes(b"".join(leaf_hash(leaf) for leaf in parse_bundle(full)))
    (log.root / "tile/entries/002.p/88").unlink()
    (log.root / "tile/entries/002").write_bytes(full)

    assert log.verdict().ok


def needed() -> list[str]:
    """The files that the newest checkpoint needs, and the history."""
    names = ["checkpoint", *map(history_name, SIZES), "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/002.p/88"]
    return [*names, *(f"tile/{kind}/{number:03d}" for kind in ("0", "entries") for number in (0, 1))]


def test_every_needed_file_is_missed(log: Log) -> None:
    for name in needed():
        path = log.root / name
        data = path.read_bytes()
        path.unlink()
        if not name.startswith("checkpoints/"):
            assert not log.verdict().ok, name
        path.write_bytes(data)
    assert log.verdict().ok


@pytest.mark.parametrize("where", [0, 1, -1, 40])
def test_every_changed_byte_of_every_needed_file_is_found(log: Log, where: int) -> None:
    for name in needed():
        path = log.root / name
        data = bytearray(path.read_bytes())
        data[where] ^= 1
        path.write_bytes(data)
        assert not log.verdict().ok, name
        data[where] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _: b""])
def test_every_cut_or_longer_file_is_found(log: Log, change: Callable[[bytes], bytes]) -> None:
    for name in needed():
        path = log.root / name
        data = path.read_bytes()
        path.write_bytes(change(data))
        assert not log.verdict().ok, name
        path.write_bytes(data)


def test_a_rewritten_leaf_with_fitting_tiles_is_found_by_the_root(log: Log) -> None:
    forged = MemoryShelf()
    publish_leaves(forged, [*LEAVES[:7], any_leaves(700)[650], *LEAVES[8:]], memory_service(), 600)
    copy_to(MemoryShelf({name: data for name, data in forged.versions.items() if name.startswith("tile/")}), log.root)

    assert log.codes() == {"root_differs"}


def test_a_fork_is_found_by_an_earlier_checkpoint(log: Log) -> None:
    forked = MemoryShelf()
    publish_leaves(forked, [any_leaves(700)[650], *LEAVES[1:]], log.service, 600)
    del forked.versions[history_name(600)]
    copy_to(forked, log.root)

    found = log.verdict().faults

    assert ("root_differs", history_name(3)) in found
    assert ("root_differs", history_name(300)) in found


def test_a_roll_back_is_found_by_a_later_checkpoint(log: Log) -> None:
    (log.root / "checkpoint").write_bytes((log.root / history_name(300)).read_bytes())

    assert ("checkpoint_beyond", history_name(600)) in log.verdict().faults


def test_a_checkpoint_under_another_size_s_name_is_found(log: Log) -> None:
    (log.root / history_name(299)).parent.mkdir(exist_ok=True)
    (log.root / history_name(299)).write_bytes((log.root / history_name(300)).read_bytes())

    assert log.codes() == {"checkpoint_size"}


def test_another_log_s_key_proves_nothing(log: Log) -> None:
    other = memory_service()

    assert {code for code, _ in verify_published(DirectorySource(log.root), log_key(other, ORIGIN)).faults} == {
        "note_not_signed"
    }
    assert not verify_published(DirectorySource(log.root), log_key(log.service, "other.example/log")).ok


def test_a_checkpoint_of_another_log_by_the_same_key_is_refused(log: Log) -> None:
    text = render_checkpoint(Checkpoint("other.example/log", 600, true_root(600)))
    signature = Signature(ORIGIN, log.key.identifier, log.service.sign("log", text.encode()))
    (log.root / "checkpoint").write_bytes(render_note(Note(text, (signature,))))

    assert log.codes() == {"checkpoint_origin"}


def test_leaves_of_another_form_are_named(tmp_path: Path) -> None:
    service, shelf = memory_service(), MemoryShelf()
    publish_leaves(shelf, [LEAVES[0], b'{"name":"Matti"}', LEAVES[2]], service, 3)

    verdict = verify_published(DirectorySource(copy_to(shelf, tmp_path)), log_key(service, ORIGIN))

    assert verdict.faults == [("leaf_malformed", "leaf 1")]


def test_a_liar_with_the_key_can_t_make_the_check_run_on(log: Log) -> None:
    huge = sign_checkpoint(Checkpoint(ORIGIN, 2**62, true_root(600)), log.service)
    (log.root / "checkpoint").write_bytes(huge)

    assert "log_resource_missing" in log.codes()


def test_faults_are_counted_not_kept(tmp_path: Path) -> None:
    service, shelf = memory_service(), MemoryShelf()
    publish_leaves(shelf, [b"no leaf"] * 250, service, 250)

    answer = verify_published(DirectorySource(copy_to(shelf, tmp_path)), log_key(service, ORIGIN)).to_json()

    assert len(answer["faults"]) == MOST_FAULTS + 1
    assert answer["faults"][-1] == {"code": "more_faults", "at": "150"}


def test_a_directory_holds_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    (tmp_path / "folder").mkdir()
    source = DirectorySource(tmp_path)

    for name in ("checkpoint", "folder", "nothing"):
        with pytest.raises(KeyMissingError):
            source.fetch(name, 10)


def test_a_file_larger_than_it_may_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(bytes(11))

    assert len(DirectorySource(tmp_path).fetch("checkpoint", 11)) == 11
    with pytest.raises(LimitError):
        DirectorySource(tmp_path).fetch("checkpoint", 10)


@pytest.mark.parametrize(
    "where",
    [
        "",
        "/nowhere/at/all",
        "ftp://x.example/log",
        "http://",
        "http://x.example/?a=1",
        "https://x.example/#a",
        "http://[::1",
    ],
)
def test_what_is_neither_directory_nor_address_is_wrong_use(where: str) -> None:
    with pytest.raises(WrongUseError):
        open_source(where) if where else DirectorySource(Path("/nowhere"))


class Hostile(BaseHTTPRequestHandler):
    """Answers each name with its own malice."""

    sent = 0

    def do_GET(self) -> None:
        act = getattr(self, self.path.strip("/"), None)
        if act is None:
            self.send_error(404)
        else:
            act()

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while type(self).sent < 1 << 28:
                self.wfile.write(bytes(1 << 16))
                type(self).sent += 1 << 16
        except OSError:
            return

    def slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        try:
            for _ in range(40):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def bomb(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()

    def away(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def broken(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"short")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def hostile() -> Iterator[Source]:
    with served(Hostile) as url:
        yield HttpSource(url, seconds=0.5)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("endless", LimitError),
        ("slow", OutOfReachError),
        ("bomb", OutOfReachError),
        ("away", OutOfReachError),
        ("broken", OutOfReachError),
        ("nothing", KeyMissingError),
    ],
)
def test_a_hostile_server_is_refused(hostile: Source, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        hostile.fetch(name, 8192)


def test_a_hostile_server_sends_little_more_than_was_allowed(hostile: Source) -> None:
    Hostile.sent = 0
    with pytest.raises(LimitError):
        hostile.fetch("endless", 8192)

    time.sleep(0.2)
    assert Hostile.sent < 1 << 24  # what fits into the sockets, not what it would send


def test_nobody_at_the_address_is_out_of_reach() -> None:
    with pytest.raises(OutOfReachError):
        HttpSource("http://127.0.0.1:9/log", seconds=1).fetch("checkpoint", 10)


def test_a_web_server_tells_no_history(hostile: Source) -> None:
    assert list(hostile.history()) == []


def test_readers_refuse_tiles_and_bundles_of_another_width() -> None:
    def fetch(name: str, _: int) -> bytes:
        return {"tile/0/000.p/3": bytes(64), "tile/entries/000.p/2": render_bundle([b"a"])}[name]

    with pytest.raises(TamperedError):
        TileReader(fetch, 3).node(0, 0)
    with pytest.raises(TamperedError):
        fetch_bundle(fetch, 0, 2)


@pytest.mark.parametrize("data", [b"\0", b"\0\2a", b"\0\0" * 257])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(TamperedError):
        parse_bundle(data)
