"""What the publisher takes from its witnesses: signatures over this very checkpoint, within seconds, no more."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vault.accesslog import witness_client
from vault.accesslog.cosign import make_cosignature
from vault.accesslog.notes import Note, parse_note, render_note
from vault.accesslog.witness.keys import Signer
from vault.accesslog.witness.protocol import SIZE_TYPE
from vault.accesslog.witness_client import Collected, Witness, collect, open_witnesses
from vault.errors import WrongUseError
from vault.settings import WitnessSettings
from vault.testing.witness import NAME, NOW, SignedLog, days_of_looks

SIZE = 5
SIGNER = Signer(NAME, bytes([7] * 32))


@pytest.fixture(scope="module")
def log() -> SignedLog:
    return SignedLog(days_of_looks(days=1, looks=SIZE, subjects=3))


def ask(log: SignedLog, *witnesses: Witness) -> Collected:
    return collect(log.note(SIZE), witnesses, log.prove)


def cosigning(log: SignedLog, *signers: Signer) -> bytes:
    """Write the lines with which these witnesses would answer."""
    text = parse_note(log.note(SIZE)).text
    lines = tuple(make_cosignature(text, one.key, NOW, one.sign) for one in signers)
    return render_note(Note(text, lines)).removeprefix(f"{text}\n".encode())


def codes(collected: Collected) -> list[str]:
    return [outcome.code for outcome in collected.outcomes]


Handle = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def pretending(handle: Handle) -> Iterator[str]:
    """Serve what a hostile or broken witness would."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            handle(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def answering(status: int, body: bytes, media_type: str = "text/plain") -> Handle:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", media_type)
        handler.send_header("Location", "/add-checkpoint")
        handler.end_headers()
        handler.wfile.write(body)

    return handle


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"a" * 4096)
    except OSError:
        return


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    until = time.monotonic() + 5
    try:
        while time.monotonic() < until:
            handler.wfile.write(b"a")
            time.sleep(0.05)
    except OSError:
        return


@pytest.mark.parametrize(
    ("handle", "code"),
    [
        (answering(200, b""), "cosignature_wrong"),
        (answering(200, b"\xff\x00"), "cosignature_wrong"),
        (answering(200, b"no lines\n\nat all\n"), "cosignature_wrong"),
        (answering(409, b"9\n", SIZE_TYPE), "witness_ahead"),
        (answering(409, b"3\n", SIZE_TYPE), "witness_refused"),
        (answering(409, b"99999999999999999999\n", SIZE_TYPE), "witness_refused"),
        (answering(409, b"3\n"), "witness_refused"),
        (answering(301, b""), "witness_refused"),
        (answering(403, b"no\n"), "witness_refused"),
        (answering(503, b"still_reading\n"), "witness_away"),
        (endless, "witness_away"),
        (dripping, "witness_away"),
    ],
    ids=[
        *("nothing", "no-text", "no-signatures", "ahead", "always-another-size", "size-of-no-tree", "untyped-size"),
        *("redirect", "refusal", "not-ready", "endless", "dripping"),
    ],
)
def test_whatever_a_witness_answers_only_its_signature_is_taken(
    handle: Handle, code: str, log: SignedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_client, "SECONDS", 1.0)
    with pretending(handle) as url:
        began = time.monotonic()
        collected = ask(log, Witness(url, SIGNER.key))

    assert codes(collected) == [code]
    assert collected.note == log.note(SIZE)
    assert time.monotonic() - began < 4


def test_one_that_is_away_does_not_spoil_the_others(log: SignedLog) -> None:
    with socket.socket() as closed, pretending(answering(200, cosigning(log, SIGNER))) as url:
        closed.bind(("127.0.0.1", 0))
        gone = Signer("away.example", bytes(32)).key
        away = Witness(f"http://127.0.0.1:{closed.getsockname()[1]}", gone)
        collected = ask(log, away, Witness(url, SIGNER.key))

    assert codes(collected) == ["witness_away", "cosigned"]
    assert len(parse_note(collected.note).signatures) == 2


def test_cosignatures_of_others_in_the_answer_are_left_out(log: SignedLog) -> None:
    other = Signer("other.example", bytes([8] * 32))
    with pretending(answering(200, cosigning(log, other, SIGNER))) as url:
        collected = ask(log, Witness(url, SIGNER.key))

    assert [one.name for one in parse_note(collected.note).signatures[1:]] == [NAME]


def test_a_cosignature_of_another_checkpoint_is_left_out(log: SignedLog) -> None:
    text = parse_note(log.note(SIZE - 1)).text
    line = make_cosignature(text, SIGNER.key, NOW, SIGNER.sign)
    with pretending(answering(200, render_note(Note(text, (line,))).removeprefix(f"{text}\n".encode()))) as url:
        collected = ask(log, Witness(url, SIGNER.key))

    assert codes(collected) == ["cosignature_wrong"]
    assert collected.note == log.note(SIZE)


def test_witnesses_are_read_from_the_settings(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="witness_key_missing"):
        open_witnesses([WitnessSettings(url="https://w.example", vkey_file=tmp_path / "none")])
    (tmp_path / "w.vkey").write_text("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2\n")
    one = WitnessSettings(url="https://w.example/", vkey_file=tmp_path / "w.vkey")

    assert open_witnesses([one])[0].url == "https://w.example"
    with pytest.raises(WrongUseError, match="witness_twice"):
        open_witnesses([one, one])
