"""The publisher and a real witness on the web, which reads the published log itself before it cosigns."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from vault.accesslog.cosign import verify_cosignature
from vault.accesslog.days import close_days
from vault.accesslog.mirror import ShelfSource
from vault.accesslog.notes import parse_note, render_vkeys
from vault.accesslog.publish import publish, publish_and_ask
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import Wanted, verify_published
from vault.accesslog.witness.keys import WitnessPlace, init
from vault.accesslog.witness.service import WitnessService
from vault.accesslog.witness_client import COSIGNED, Witness
from vault.storage.database import Database
from vault.testing.accesslog import LogBench, log_bench, log_database, look

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with log_database("dsr_to_witness") as opened:
        yield opened


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def grow(bench: LogBench, count: int) -> int:
    return bench.log.record([look()] * count)[-1].index + 1


@pytest.fixture
def dpo(bench: LogBench, tmp_path: Path) -> Iterator[Witness]:
    """A real witness on the web, which reads the published log itself."""
    place = WitnessPlace(tmp_path / "witness")
    init(tmp_path / "witness", "dpo.example/witness", render_vkeys([bench.key]))
    state, signer = place.open()
    source = ShelfSource(bench.shelf)
    service = WitnessService(state, signer, place.log_keys(), source, lambda: datetime.now(UTC), seconds=30.0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = service.add_checkpoint(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.media_type)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Witness(f"http://127.0.0.1:{server.server_port}", signer.key)
        server.shutdown()


def test_a_real_witness_reads_what_was_put_and_cosigns_it(bench: LogBench, dpo: Witness) -> None:
    witnessed = replace(bench.parts, witnesses=(dpo,))
    for count in (3, 300):
        grow(bench, count)
        close_days(bench.database, NOW + timedelta(days=count))

        done = publish_and_ask(witnessed, bench.shelf)

        assert [outcome.code for outcome in done.outcomes] == [COSIGNED]
        verify_cosignature(parse_note(bench.shelf.get_locked(CHECKPOINT)), dpo.key)
    wanted = Wanted(witnesses=(dpo.key,))
    assert verify_published(ShelfSource(bench.shelf), bench.key, wanted).faults == []
    assert verify_database(bench.database, bench.key, bench.shelf, wanted).faults == []


def test_a_real_witness_cosigns_no_rewritten_log(bench: LogBench, dpo: Witness) -> None:
    grow(bench, 30)
    publish(replace(bench.parts, witnesses=(dpo,)), bench.shelf)
    again = replace(log_bench(bench.database), service=bench.service, shelf=bench.shelf)
    bench.shelf.versions.clear()
    for count, code in ((20, "witness_ahead"), (10, "witness_differs"), (10, "witness_refused")):
        grow(again, count)

        done = publish_and_ask(replace(again.parts, witnesses=(dpo,)), again.shelf)

        assert [outcome.code for outcome in done.outcomes] == [code]
        assert done.head.cosigned == done.head.note
