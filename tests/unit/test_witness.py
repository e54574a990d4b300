"""The witness cosigns what continues all that it saw and is what its leaves say, and nothing else."""

import threading
from dataclasses import replace
from datetime import date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from vault.accesslog.cosign import verify_cosignature
from vault.accesslog.merkle import leaf_hash
from vault.accesslog.notes import Note, parse_note, render_vkeys
from vault.accesslog.tiles import bundle_name, render_bundle
from vault.accesslog.witness.check import check_published
from vault.accesslog.witness.keys import init
from vault.accesslog.witness.protocol import AddCheckpoint, Head, Reply, render_request
from vault.accesslog.witness.service import WitnessService
from vault.accesslog.witness.state import MOST_REFUSED
from vault.errors import TamperedError
from vault.testing.accesslog import MemoryShelf, any_leaves
from vault.testing.witness import NAME, NOW, ShelfSource, SignedLog, close_day, days_of_looks, witness_of

LEAVES = days_of_looks(days=4, looks=170, subjects=9)  # 684 leaves, a closed day behind each 170
WHOLE = len(LEAVES)


@pytest.fixture
def log() -> SignedLog:
    made = SignedLog(list(LEAVES))
    made.publish(WHOLE)
    return made


@pytest.fixture
def witness(log: SignedLog, tmp_path: Path) -> WitnessService:
    return witness_of(log, tmp_path)


def cosigned(witness: WitnessService, log: SignedLog, size: int, reply: Reply) -> datetime:
    assert reply.status == HTTPStatus.OK, reply.body
    return verify_cosignature(parse_note(log.note(size) + reply.body), witness.signer.key)


def head(witness: WitnessService) -> Head:
    with witness.state.change() as memory:
        return memory.remembered().head


def refused(witness: WitnessService) -> list[str]:
    with witness.state.change() as memory:
        return [one.code for one in memory.refused()]


def test_it_cosigns_a_log_as_it_grows(witness: WitnessService, log: SignedLog) -> None:
    old = 0
    for size in (0, 1, 170, 171, 255, 256, 257, 512, 683, WHOLE, WHOLE):
        assert cosigned(witness, log, size, witness.add_checkpoint(log.request(old, size))) == NOW
        assert head(witness) == Head(size, log.root(size))
        old = size


def test_a_first_checkpoint_of_any_size_is_read_from_its_first_leaf(witness: WitnessService, log: SignedLog) -> None:
    cosigned(witness, log, WHOLE, witness.add_checkpoint(log.request(0, WHOLE)))

    with witness.state.change() as memory:
        assert memory.reading().size == WHOLE
        assert memory.reading().day == date(2026, 11, 4)
        assert sum(count for _, count, _ in memory.tags()) == sum(b'"tag":"' in leaf for leaf in LEAVES)


def test_a_fork_of_the_same_size_is_refused_and_kept(witness: WitnessService, log: SignedLog) -> None:
    witness.add_checkpoint(log.request(0, 300))
    forged = log.note(300, leaf_hash(b"fork"))

    reply = witness.add_checkpoint(render_request(AddCheckpoint(300, (), forged)))

    assert (reply.status, reply.body) == (HTTPStatus.CONFLICT, b"300\n")
    assert head(witness).root == log.root(300)
    with witness.state.change() as memory:
        kept = memory.refused()[0]
    assert (kept.code, kept.note.encode()) == ("root_differs", forged)


def test_a_larger_fork_is_refused_whatever_it_proves(witness: WitnessService, log: SignedLog) -> None:
    fork = SignedLog([*any_leaves(1), *LEAVES[1:]], log.service)
    fork.publish(WHOLE)
    witness.add_checkpoint(log.request(0, 300))
    forked = replace(witness, source=ShelfSource(fork.shelf))

    assert forked.add_checkpoint(fork.request(300, 400)).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert forked.add_checkpoint(fork.request(0, 400)).status == HTTPStatus.CONFLICT
    assert head(witness) == Head(300, log.root(300))


def test_leaves_that_do_not_give_the_signed_root_are_not_cosigned(witness: WitnessService, log: SignedLog) -> None:
    other = SignedLog([*LEAVES[:650], *any_leaves(WHOLE)[650:]], log.service)
    other.publish(WHOLE)
    witness.add_checkpoint(log.request(0, 640))
    lying = replace(witness, source=ShelfSource(other.shelf))

    reply = lying.add_checkpoint(log.request(640, WHOLE))

    assert (reply.status, reply.body) == (HTTPStatus.UNPROCESSABLE_ENTITY, b"root_differs\n")
    assert refused(witness) == ["root_differs"]
    assert cosigned(witness, log, WHOLE, witness.add_checkpoint(log.request(640, WHOLE)))


def test_a_rolled_back_log_is_told_the_size_that_it_had(witness: WitnessService, log: SignedLog) -> None:
    witness.add_checkpoint(log.request(0, 300))

    for old, status in [(0, HTTPStatus.CONFLICT), (200, HTTPStatus.CONFLICT), (300, HTTPStatus.BAD_REQUEST)]:
        reply = witness.add_checkpoint(render_request(AddCheckpoint(old, (), log.note(250))))
        assert reply.status == status
        assert head(witness).size == 300


def wrong_days() -> dict[str, tuple[list[bytes], str]]:
    """Logs whose third day's leaf lies, by what it says."""
    true, day = days_of_looks(3, 100, 9)[:-1], date(2026, 11, 3)
    fewer = [leaf for number, leaf in enumerate(true) if number != 251]
    return {
        "leaves-out-a-look": ([*true, close_day(fewer, day, 301).replace(b'"size":301', b'"size":302')], "day_differs"),
        "counts-other-tags": ([*true, close_day(true, day).replace(b'"tags":9', b'"tags":8')], "day_differs"),
        "map-of-yesterday": ([*true, true[201]], "day_out_of_order"),
        "goes-back": ([*true, close_day(true, day, 150)], "day_out_of_order"),
        "covers-itself": ([*true, close_day([*true, true[0]], day)], "day_out_of_order"),
        "no-leaf": ([*true, b"{}"], "leaf_malformed"),
    }


@pytest.mark.parametrize("what", wrong_days())
def test_a_wrong_day_is_not_cosigned(what: str, tmp_path: Path) -> None:
    leaves, code = wrong_days()[what]
    log = SignedLog(leaves)
    log.publish(len(leaves))
    witness = witness_of(log, tmp_path)
    good = len(leaves) - 1
    cosigned(witness, log, good, witness.add_checkpoint(log.request(0, good)))

    for _ in range(2):  # it stays wrong
        reply = witness.add_checkpoint(log.request(good, len(leaves)))
        assert (reply.status, reply.body) == (HTTPStatus.UNPROCESSABLE_ENTITY, f"{code}\n".encode())

    assert head(witness).size == good
    assert refused(witness) == [code]
    assert [fault for fault, _ in check_published(witness.state, witness.keys, witness.source, NOW).faults] == [
        code,
        code,
    ]


def test_a_day_may_be_closed_while_looks_go_on(tmp_path: Path) -> None:
    looks = days_of_looks(1, 300, 9)[:-1]
    log = SignedLog([*looks, close_day(looks, date(2026, 11, 1), 280)])
    log.publish(301)
    witness = witness_of(log, tmp_path)

    assert cosigned(witness, log, 301, witness.add_checkpoint(log.request(0, 301)))


def test_what_is_not_there_yet_is_waited_for(witness: WitnessService, log: SignedLog) -> None:
    source = ShelfSource(log.shelf, {bundle_name(1)})
    waiting = replace(witness, source=source)

    assert waiting.add_checkpoint(log.request(0, 600)).status == HTTPStatus.SERVICE_UNAVAILABLE
    assert head(witness).size == 0
    source.hidden.clear()
    assert cosigned(witness, log, 600, waiting.add_checkpoint(log.request(0, 600)))


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (b"\x00", b"bundle_malformed\n"),
        (render_bundle(LEAVES[:3]), b"bundle_malformed\n"),
        (bytes(1 << 20), b"log_resource_large\n"),
        (render_bundle([LEAVES[0].replace(b'"v":1}', b'"v":2}'), *LEAVES[1:100]]), b"leaf_version\n"),
    ],
    ids=["cut", "short", "swollen", "of-a-newer-release"],
)
def test_a_broken_copy_accuses_nobody(bundle: bytes, code: bytes, log: SignedLog, tmp_path: Path) -> None:
    witness, request = witness_of(log, tmp_path), log.request(0, 100)
    broken = MemoryShelf({**log.shelf.versions, bundle_name(0, 100): [bundle]})

    reply = replace(witness, source=ShelfSource(broken)).add_checkpoint(request)

    assert (reply.status, reply.body) == (HTTPStatus.SERVICE_UNAVAILABLE, code)
    assert refused(witness) == []
    assert cosigned(witness, log, 100, witness.add_checkpoint(request))


def test_a_reading_that_takes_long_goes_on_where_it_stopped(log: SignedLog, tmp_path: Path) -> None:
    witness = witness_of(log, tmp_path, seconds=0.0)

    assert witness.add_checkpoint(log.request(0, WHOLE)).body == b"still_reading\n"
    with witness.state.change() as memory:
        memory.forget()
    assert check_published(witness.state, witness.keys, witness.source, NOW).ok  # reads without a limit

    assert cosigned(witness, log, WHOLE, witness.add_checkpoint(log.request(0, WHOLE)))


def test_false_leaves_read_ahead_are_forgotten(witness: WitnessService, log: SignedLog) -> None:
    false = MemoryShelf()
    false.versions = {bundle_name(0): [render_bundle(any_leaves(256))]}
    halfway = replace(witness, source=ShelfSource(false))
    assert halfway.add_checkpoint(log.request(0, 600)).body == b"object_missing\n"  # the first bundle was read

    assert witness.add_checkpoint(log.request(0, 600)).body == b"reading_anew\n"
    assert cosigned(witness, log, 600, witness.add_checkpoint(log.request(0, 600)))
    assert refused(witness) == []


def test_a_smaller_checkpoint_than_was_read_towards_is_read_anew(witness: WitnessService, log: SignedLog) -> None:
    waiting = replace(witness, source=ShelfSource(log.shelf, {"tile/entries/002.p/172"}))
    assert waiting.add_checkpoint(log.request(0, WHOLE)).status == HTTPStatus.SERVICE_UNAVAILABLE

    false = render_request(AddCheckpoint(0, (), log.note(100, leaf_hash(b"no tree of these leaves"))))

    reply = witness.add_checkpoint(false)

    assert (reply.status, head(witness).size) == (HTTPStatus.SERVICE_UNAVAILABLE, 0)
    assert witness.add_checkpoint(false).body == b"root_differs\n"
    assert cosigned(witness, log, 100, witness.add_checkpoint(log.request(0, 100)))


def test_times_never_go_back(witness: WitnessService, log: SignedLog) -> None:
    earlier = replace(witness, now=lambda: NOW - timedelta(days=400))

    first = cosigned(witness, log, 10, witness.add_checkpoint(log.request(0, 10)))
    second = cosigned(witness, log, 20, earlier.add_checkpoint(log.request(10, 20)))

    assert (first, second) == (NOW, NOW)


def test_of_two_requests_at_once_one_waits_and_neither_rolls_back(witness: WitnessService, log: SignedLog) -> None:
    replies: dict[int, Reply] = {}
    start = threading.Barrier(8)

    def ask(size: int) -> None:
        start.wait()
        replies[size] = witness.add_checkpoint(log.request(0, size))

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(300, 308)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(replies) == 8
    good = [size for size, reply in replies.items() if reply.status == HTTPStatus.OK]
    assert len(good) == 1
    assert head(witness).size == good[0]
    assert {reply.body for size, reply in replies.items() if size != good[0]} == {b"%d\n" % good[0]}


def test_after_the_log_s_key_was_exchanged_either_signature_counts(log: SignedLog, tmp_path: Path) -> None:
    newer = SignedLog(list(LEAVES))
    init(tmp_path, NAME, render_vkeys([newer.key, log.key]))
    witness = replace(witness_of(log, tmp_path), keys=(newer.key, log.key))

    assert cosigned(witness, log, 10, witness.add_checkpoint(log.request(0, 10)))
    assert cosigned(witness, newer, 20, witness.add_checkpoint(newer.request(10, 20)))


def test_evidence_is_bounded(witness: WitnessService, log: SignedLog) -> None:
    witness.add_checkpoint(log.request(0, 1))
    for number in range(MOST_REFUSED + 5):
        note = log.note(1, leaf_hash(b"%d" % number))
        witness.add_checkpoint(render_request(AddCheckpoint(1, (), note)))

    assert len(refused(witness)) == MOST_REFUSED


@pytest.mark.parametrize("change", ["text", "time", "signature", "key"])
def test_a_changed_cosignature_is_refused(change: str, witness: WitnessService, log: SignedLog) -> None:
    body = witness.add_checkpoint(log.request(0, 5)).body
    note, key = parse_note(log.note(5) + body), witness.signer.key
    line = note.signatures[-1]
    at = {"time": 7, "signature": 20}.get(change)
    if at is not None:
        value = line.value[:at] + bytes([line.value[at] ^ 1]) + line.value[at + 1 :]
        note = Note(note.text, (*note.signatures[:-1], replace(line, value=value)))
    elif change == "text":
        note = Note(note.text.replace("\n5\n", "\n6\n"), note.signatures)
    else:
        key = replace(key, key=log.key.key)

    with pytest.raises(TamperedError, match="not_cosigned" if change == "key" else "cosignature_wrong"):
        verify_cosignature(note, key)
