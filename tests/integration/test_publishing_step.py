"""The step under the keeper's own rights: a witness behind the web, keys of earlier, and what must ring."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.cosign import WitnessKey, make_cosignature, render_witness_vkey, verify_cosignature
from vault.accesslog.mirror import ShelfSource
from vault.accesslog.notes import Note, parse_note, render_note
from vault.accesslog.publish import log_keys
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import CHECKPOINT
from vault.accesslog.verify import verify_published
from vault.accesslog.witness.protocol import SIZE_TYPE
from vault.errors import ConflictError, TamperedError
from vault.settings import LogSettings, WitnessSettings
from vault.steps import keep
from vault.steps.parts import Parts
from vault.steps.publishing import publish_log, ringing
from vault.storage.alarms import open_alarms
from vault.storage.database import Database
from vault.storage.log import lock_publishing
from vault.storage.objects import Objects
from vault.testing.accesslog import MemoryShelf, empty, look
from vault.testing.custodyhouse import CustodyHouse, custody_house

NAME = "dpo.example/witness"
Reply = tuple[int, str, bytes]


@pytest.fixture(scope="module")
def house() -> Iterator[CustodyHouse]:
    with custody_house() as made:
        yield made


@dataclass(slots=True)
class Stand:
    """A witness on a machine of its own, which answers as it is told; silent at first."""

    key: Ed25519PrivateKey
    url: str = ""
    answers: Callable[[bytes], Reply] = lambda _: (503, "text/plain", b"")

    def cosigns(self, body: bytes) -> Reply:
        text = parse_note(body.partition(b"\n\n")[2]).text
        signature = make_cosignature(text, self.witness, datetime.now(UTC), self.key.sign)
        return 200, "text/plain", render_note(Note(text, (signature,))).removeprefix(f"{text}\n".encode())

    @property
    def witness(self) -> WitnessKey:
        return WitnessKey(NAME, self.key.public_key().public_bytes_raw())


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand(Ed25519PrivateKey.generate())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, kind, body = made.answers(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()


@pytest.fixture
def keeper(house: CustodyHouse, stand: Stand, tmp_path: Path) -> Iterator[Parts]:
    """The keeper on an empty log and board, with a bucket in memory and the witness in its settings."""
    database = house.server.create_database("dsr_vault")
    with house.installation.owner() as connection:
        connection.execute("truncate alarms cascade")
    owner = Database(database)
    empty(owner)
    owner.close()
    vkey = tmp_path / "witness.vkey"
    vkey.write_text(render_witness_vkey(stand.witness) + "\n", encoding="ascii")
    with house.installation.office("keeper") as parts:
        key_file = parts.settings.log.public_key_file
        log = LogSettings(public_key_file=key_file, witnesses=[WitnessSettings(url=stand.url, vkey_file=vkey)])
        settings = parts.settings.model_copy(update={"log": log})
        yield replace(parts, settings=settings, objects=cast("Objects", MemoryShelf()))


def grow(house: CustodyHouse, count: int) -> None:
    with house.installation.office("collector") as parts:
        parts.log.record([look(case=None, subject="P-1")] * count)


def rung(house: CustodyHouse) -> list[tuple[str, str, dict[str, str]]]:
    with house.installation.owner() as connection:
        return [(alarm.code, alarm.actor, dict(alarm.detail)) for alarm in open_alarms(connection)]


def check(house: CustodyHouse, keeper: Parts) -> None:
    shelf = cast("MemoryShelf", keeper.objects)
    keys = log_keys(keeper.service, keeper.settings.controller.log_origin)
    assert verify_published(ShelfSource(shelf), keys).faults == []
    with house.installation.office("audit") as parts:
        assert verify_database(parts.database, keys, shelf).faults == []


def test_the_keeper_publishes_tiles_claims_and_cosignatures_with_its_own_rights(
    house: CustodyHouse, stand: Stand, keeper: Parts
) -> None:
    stand.answers = stand.cosigns
    for size in (300, 600):
        grow(house, 300)

        assert publish_log(keeper) == {"size": size, "cosigned": 1, "not_cosigned": 0}

        verify_cosignature(parse_note(keeper.objects.get_locked(CHECKPOINT)), stand.witness)
        check(house, keeper)
    assert publish_log(keeper) == {"size": 600, "cosigned": 1, "not_cosigned": 0}
    assert rung(house) == []


def test_a_witness_that_is_away_rings_after_a_day(house: CustodyHouse, stand: Stand, keeper: Parts) -> None:
    grow(house, 3)
    begun = keeper.now()
    for hours, rings in ((0, 0), (23, 0), (25, 1), (25.5, 1)):
        at = replace(keeper, now=lambda hours=hours: begun + timedelta(hours=hours))  # type: ignore[misc]

        assert publish_log(at) == {"size": 3, "cosigned": 0, "not_cosigned": 1}
        assert rung(house) == [("witness_silent", f"witness:{NAME}", {})] * rings

    stand.answers = stand.cosigns
    grow(house, 3)
    later = replace(keeper, now=lambda: begun + timedelta(hours=30))
    assert publish_log(later)["cosigned"] == 1
    assert len(rung(house)) == 1


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ((409, SIZE_TYPE, b"1000\n"), "witness_ahead"),
        ((409, SIZE_TYPE, b"3\n"), "witness_differs"),
        ((422, "text/plain", b"not_proved\n"), "witness_refused"),
        ((200, "text/plain", "\u2014 {} {}\n".format(NAME, "A" * 100).encode()), None),
    ],
    ids=["ahead", "differs", "refused", "a line of nobody's key"],
)
def test_a_witness_that_saw_another_log_rings_at_once(
    house: CustodyHouse, stand: Stand, keeper: Parts, reply: Reply, why: str | None
) -> None:
    stand.answers = lambda _: reply
    grow(house, 3)

    assert publish_log(keeper)["not_cosigned"] == 1

    (alarm,) = rung(house)
    assert alarm == ("witness_disagrees", f"witness:{NAME}", {"why": why or "cosignature_wrong"})
    check(house, keeper)


def test_a_log_that_does_not_continue_rings(house: CustodyHouse, stand: Stand, keeper: Parts) -> None:
    stand.answers = stand.cosigns
    grow(house, 3)
    publish_log(keeper)
    with house.installation.owner() as connection:
        connection.execute("delete from log_checkpoints")

    with pytest.raises(TamperedError), ringing(keeper):
        publish_log(keeper)

    assert rung(house) == [("log_not_continued", "office:keeper", {"why": "log_rolled_back"})]


def test_the_keepers_step_closes_the_day_publishes_and_rings(house: CustodyHouse, stand: Stand, keeper: Parts) -> None:
    stand.answers = stand.cosigns
    grow(house, 3)
    assert keep.publish(keeper)["size"] > 3
    check(house, keeper)
    with house.installation.owner() as connection:
        connection.execute("update log_edge set size = size + 1")

    with pytest.raises(TamperedError):
        keep.publish(keeper)

    assert [code for code, _, _ in rung(house)] == ["log_not_continued"]


def test_another_publisher_at_work_does_not_ring(house: CustodyHouse, keeper: Parts) -> None:
    with house.installation.owner() as connection:
        lock_publishing(connection)
        with pytest.raises(ConflictError), ringing(keeper):
            publish_log(keeper)

    assert rung(house) == []


def test_without_the_file_of_keys_the_held_one_signs_and_counts(house: CustodyHouse, keeper: Parts) -> None:
    log = keeper.settings.log.model_copy(update={"public_key_file": Path("/nowhere/log.vkey"), "witnesses": []})
    alone = replace(keeper, settings=keeper.settings.model_copy(update={"log": log}))
    grow(house, 3)

    assert publish_log(alone) == {"size": 3, "cosigned": 0, "not_cosigned": 0}
