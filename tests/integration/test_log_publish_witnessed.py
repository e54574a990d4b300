"""Every held key signs, keys of earlier stay good, and witnesses cosign what is published, now or at the next try."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog import publish as publishing
from vault.accesslog.cosign import WitnessKey, make_cosignature, verify_cosignature
from vault.accesslog.merkle import verify_consistency
from vault.accesslog.mirror import ShelfSource
from vault.accesslog.notes import (
    Note,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    render_note,
    verify_note,
)
from vault.accesslog.publish import LogParts, log_keys, publish, publish_and_ask
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import CHECKPOINT, history_name
from vault.accesslog.verify import verify_published
from vault.accesslog.witness_client import COSIGNED, Collected, Outcome, Prove, Witness
from vault.crypto.custody import Custody, make_keys
from vault.errors import OutOfReachError, TamperedError
from vault.storage import log as table
from vault.storage.database import Database
from vault.testing.accesslog import ORIGIN, LogBench, MemoryShelf, log_bench, log_database, look

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with log_database("dsr_witnessed") as opened:
        yield opened


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def grow(bench: LogBench, count: int) -> int:
    return bench.log.record([look()] * count)[-1].index + 1


def signers(note: bytes, keys: Sequence[VerifierKey]) -> list[int]:
    return [keys.index(key) for key in verify_note(parse_note(note), keys)]


def test_a_log_keeps_proving_itself_while_its_key_is_rotated(bench: LogBench) -> None:
    before = make_keys()
    both = replace(before, signers={**before.signers, "log-2": os.urandom(32)}, signing={"log": 2})
    after = replace(both, signers={name: seed for name, seed in both.signers.items() if name != "log"})
    keys = log_keys(Custody(both), ORIGIN)  # the new one first
    notes = []
    for held in (before, both, after):
        grow(bench, 5)
        parts = LogParts(bench.database, Custody(held), ORIGIN, older=keys)
        notes.append(publish(parts, bench.shelf).note)

    assert [signers(note, keys) for note in notes] == [[1], [0, 1], [0]]
    assert verify_published(ShelfSource(bench.shelf), keys).faults == []
    assert verify_database(bench.database, keys, bench.shelf).faults == []


def test_what_a_retired_key_signed_last_is_continued_by_who_knows_it(bench: LogBench) -> None:
    before, after = Custody(make_keys()), Custody(make_keys())
    grow(bench, 5)
    publish(LogParts(bench.database, before, ORIGIN), bench.shelf)
    size = grow(bench, 5)

    parts = LogParts(bench.database, after, ORIGIN, older=log_keys(before, ORIGIN))

    assert publish(parts, bench.shelf).size == size
    assert verify_published(ShelfSource(bench.shelf), (*log_keys(after, ORIGIN), *parts.older)).faults == []


def test_a_key_that_is_not_known_any_more_stops_publishing(bench: LogBench) -> None:
    grow(bench, 5)
    publish(bench.parts, bench.shelf)
    grow(bench, 5)

    with pytest.raises(TamperedError):
        publish(LogParts(bench.database, Custody(make_keys()), ORIGIN), bench.shelf)


@dataclass(slots=True)
class Witnesses:
    """Two witnesses that cosign when they are here, in the place of those behind the web."""

    seeds: Mapping[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {name: Ed25519PrivateKey.generate() for name in ("one.example/w", "two.example/w")}
    )
    here: set[str] = field(default_factory=set)
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    seen: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    now: datetime = NOW

    @property
    def all(self) -> tuple[Witness, ...]:
        return tuple(
            Witness(f"https://{name}", WitnessKey(name, key.public_key().public_bytes_raw()))
            for name, key in self.seeds.items()
        )

    def collect(
        self, note: bytes, witnesses: Sequence[Witness], prove: Prove, known: Mapping[str, int] | None = None
    ) -> Collected:
        opened, outcomes = parse_note(note), []
        checkpoint = parse_checkpoint(opened.text)
        signatures = opened.signatures
        for one in witnesses:
            name = one.key.name
            self.asked.append((name, (known or {}).get(name, 0), checkpoint.size))
            if name not in self.here:
                outcomes.append(Outcome(name, "witness_away"))
                continue
            size, root = self.seen.get(name, (0, b""))
            if size:
                verify_consistency(size, checkpoint.size, prove(size, checkpoint.size), root, checkpoint.root)
            self.seen[name] = (checkpoint.size, checkpoint.root)
            signatures = (*signatures, make_cosignature(opened.text, one.key, self.now, self.seeds[name].sign))
            outcomes.append(Outcome(name, COSIGNED, self.now))
        return Collected(render_note(Note(opened.text, signatures)), tuple(outcomes))


@pytest.fixture
def witnesses(monkeypatch: pytest.MonkeyPatch) -> Witnesses:
    made = Witnesses()
    monkeypatch.setattr(publishing, "collect", made.collect)
    return made


def parts(bench: LogBench, witnesses: Witnesses) -> LogParts:
    return replace(bench.parts, witnesses=witnesses.all)


def cosigners(witnesses: Witnesses, note: bytes) -> set[str]:
    found = set()
    for one in witnesses.all:
        try:
            verify_cosignature(parse_note(note), one.key)
        except TamperedError:
            continue
        found.add(one.key.name)
    return found


def stored(bench: LogBench, size: int) -> bytes:
    with bench.database.connect() as connection:
        return (table.cosigned(connection, size) or "").encode()


def check(bench: LogBench) -> None:
    assert verify_published(ShelfSource(bench.shelf), bench.key).faults == []
    assert verify_database(bench.database, bench.key, bench.shelf).faults == []


def test_the_published_checkpoint_bears_the_cosignatures_and_its_copy_the_logs_alone(
    bench: LogBench, witnesses: Witnesses
) -> None:
    witnesses.here = {"one.example/w", "two.example/w"}
    for count in (3, 300):
        size = grow(bench, count)
        done = publish_and_ask(parts(bench, witnesses), bench.shelf)

        head = bench.shelf.get_locked(CHECKPOINT)
        assert cosigners(witnesses, head) == witnesses.here
        assert (done.head.cosigned, stored(bench, size)) == (head, head)
        assert all(outcome.ok for outcome in done.outcomes)
        assert bench.shelf.get_locked(history_name(size)) == done.head.note
        assert cosigners(witnesses, done.head.note) == set()
        check(bench)
    assert len(bench.shelf.versions[CHECKPOINT]) == 2
    assert witnesses.asked[2:] == [("one.example/w", 3, 303), ("two.example/w", 3, 303)]


def test_a_witness_that_is_away_holds_nothing_up_and_is_asked_again(bench: LogBench, witnesses: Witnesses) -> None:
    witnesses.here = {"one.example/w"}
    size = grow(bench, 3)
    first = publish_and_ask(parts(bench, witnesses), bench.shelf)
    assert cosigners(witnesses, bench.shelf.get_locked(CHECKPOINT)) == {"one.example/w"}
    assert [outcome.code for outcome in first.outcomes] == [COSIGNED, "witness_away"]
    check(bench)

    witnesses.here.add("two.example/w")
    second = publish_and_ask(parts(bench, witnesses), bench.shelf)

    assert cosigners(witnesses, bench.shelf.get_locked(CHECKPOINT)) == witnesses.here
    assert second.head.note == first.head.note
    assert cosigners(witnesses, stored(bench, size)) == witnesses.here
    asked = list(witnesses.asked)
    third = publish_and_ask(parts(bench, witnesses), bench.shelf)
    assert (third.head, third.outcomes, witnesses.asked) == (second.head, (), asked)
    check(bench)


def test_the_witnesses_are_asked_once_all_tiles_are_put(bench: LogBench, witnesses: Witnesses) -> None:
    there: list[set[str]] = []

    def asking(*given: object) -> Collected:
        there.append(set(bench.shelf.versions))
        return witnesses.collect(*given)  # type: ignore[arg-type]

    grow(bench, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "collect", asking)
        publish(parts(bench, witnesses), bench.shelf)

    assert there == [{"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"}]


def test_a_publisher_killed_before_the_head_puts_the_stored_cosignatures_next_time(
    bench: LogBench, witnesses: Witnesses
) -> None:
    class Away(MemoryShelf):
        def replace_locked(self, key: str, data: bytes) -> None:
            raise OutOfReachError("objects_away", f"no {key} of {len(data)} bytes was put")

    witnesses.here = {"one.example/w", "two.example/w"}
    size = grow(bench, 3)
    with pytest.raises(OutOfReachError):
        publish(parts(bench, witnesses), Away(bench.shelf.versions))
    witnesses.now += timedelta(minutes=1)

    publish(parts(bench, witnesses), bench.shelf)

    assert len(witnesses.asked) == 2
    assert bench.shelf.versions[CHECKPOINT] == [stored(bench, size)]
    check(bench)


def test_only_the_newest_checkpoint_is_offered(bench: LogBench, witnesses: Witnesses) -> None:
    grow(bench, 3)
    publish(parts(bench, witnesses), bench.shelf)
    grow(bench, 3)
    witnesses.asked.clear()

    publish(parts(bench, witnesses), bench.shelf)

    assert {size for _, _, size in witnesses.asked} == {6}


def test_a_stored_cosigned_copy_of_another_checkpoint_stops_publishing(bench: LogBench, witnesses: Witnesses) -> None:
    witnesses.here = {"one.example/w"}
    for count in (3, 4):
        grow(bench, count)
        publish(parts(bench, witnesses), bench.shelf)
    bench.run("update log_checkpoints set cosigned = (select cosigned from log_checkpoints where size = 3)")
    before = {name: list(versions) for name, versions in bench.shelf.versions.items()}
    grow(bench, 1)

    with pytest.raises(TamperedError) as caught:
        publish(parts(bench, witnesses), bench.shelf)

    assert caught.value.code == "checkpoint_differs"
    assert bench.shelf.versions == before
