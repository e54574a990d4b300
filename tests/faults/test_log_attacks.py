"""Eight attacks on a published log of ten thousand entries, each at a thousand places: what is found, by whom.

The intruder rewrites everything that he can: leaves, tiles, closed days, and with the log's stolen key every
checkpoint too. Each forged log is judged once as somebody does who has the log's key alone, and once as somebody
who also has the witness's. `make test` tries a sample of the places, `make fuzz` all of them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.cosign import WitnessKey, make_cosignature
from vault.accesslog.leaves import Leaf, parse_leaf, render_leaf
from vault.accesslog.merkle import RightEdge, consistency_proof, leaf_hash
from vault.accesslog.notes import LONGEST_NOTE, Checkpoint, Note, open_checkpoint, parse_note, render_note
from vault.accesslog.publish import log_key, sign_checkpoint
from vault.accesslog.tiles import CHECKPOINT, TileReader, TileWriter, history_name, render_bundle
from vault.accesslog.verify import Verdict, Wanted, check_witnesses, verify_published
from vault.accesslog.witness.protocol import AddCheckpoint, Asked, Head, judge, render_request
from vault.errors import KeyMissingError
from vault.testing.accesslog import ORIGIN
from vault.testing.keyservice import memory_service
from vault.testing.manydays import looks, with_days

ENTRIES, PLACES, A_DAY, A_CHECKPOINT = 10_000, 1_000, 1_000, 2_500
WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
TRIED = PLACES if WHOLE else 2
SERVICE = memory_service()
KEY = log_key(SERVICE, ORIGIN)
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(32))
WITNESS_KEY = WitnessKey("dpo.example/witness", WITNESS.public_key().public_bytes_raw())
FIRST, NOW = datetime(2026, 11, 20, 8, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)
LOOKS = list(looks(ENTRIES, 300))


class Shelf(dict[str, bytes]):
    """A published log in memory, as a source to verify."""

    def fetch(self, name: str, limit: int) -> bytes:
        if name not in self:
            raise KeyMissingError("log_resource_missing", "gone")
        assert limit <= LONGEST_NOTE
        return self[name]

    def history(self) -> Iterator[str]:
        yield from sorted(name for name in self if name.startswith("checkpoints/"))


def published(leaves: Sequence[bytes]) -> tuple[Shelf, dict[int, bytes]]:
    """Cut leaves into tiles; give the roots at the sizes that get a checkpoint too."""
    shelf, edge, roots = Shelf(), RightEdge(), dict[int, bytes]()
    writer = TileWriter(shelf.__setitem__, lambda name, bundle: shelf.__setitem__(name, render_bundle(bundle)))
    for leaf in leaves:
        hashed = leaf_hash(leaf)
        edge.add(hashed)
        writer.add(leaf, hashed)
        if edge.size % A_CHECKPOINT == 0 or edge.size == len(leaves):
            roots[edge.size] = edge.root()
            writer.finish()
    return shelf, roots


def sign(shelf: Shelf, roots: dict[int, bytes]) -> Shelf:
    for size, root in roots.items():
        shelf[history_name(size)] = sign_checkpoint(Checkpoint(ORIGIN, size, root), SERVICE)
    shelf[CHECKPOINT] = shelf[history_name(max(roots))]
    return shelf


def cosigned(data: bytes, time: datetime) -> bytes:
    note = parse_note(data)
    return render_note(
        Note(note.text, (*note.signatures, make_cosignature(note.text, WITNESS_KEY, time, WITNESS.sign)))
    )


LEAVES = list(with_days(LOOKS, A_DAY))
TREE, ROOTS = published(LEAVES)
TRUE = sign(TREE, ROOTS)
SIZES = sorted(ROOTS)
# the witness cosigned each checkpoint when it was the newest one, an hour apart
COSIGNED = {size: cosigned(TRUE[history_name(size)], FIRST + timedelta(hours=n)) for n, size in enumerate(SIZES)}
TRUE[CHECKPOINT] = COSIGNED[SIZES[-1]]
WANTED = Wanted((WITNESS_KEY,), since=NOW - timedelta(minutes=30))


def other(leaf: bytes) -> bytes:
    """Write a look that was not made."""
    read = parse_leaf(leaf)
    return render_leaf(Leaf(read.time, read.case, read.tag, sha256(read.entry).digest(), read.staff, read.use))


REWRITES: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "edit": lambda log, at: [*log[:at], other(log[at]), *log[at + 1 :]],
    "delete": lambda log, at: log[:at] + log[at + 1 :],
    "swap": lambda log, at: [*log[:at], log[at + 1], log[at], *log[at + 2 :]],
    "insert": lambda log, at: [*log[:at], other(log[at]), *log[at:]],
    "cut the tail": lambda log, at: log[:at],
}
PUT_BACK = ("roll back", "fork", "re-sign")


def places(attack: str) -> list[int]:
    chance = Random(attack)  # noqa: S311 - the same places each time
    return sorted(chance.sample(range(1, ENTRIES - 1), PLACES))[:: PLACES // TRIED][:TRIED]


def codes(shelf: Shelf) -> tuple[set[str], set[str]]:
    """Give the faults that the log's key alone finds, and those that only the witness's key finds."""
    found = {code for code, _ in verify_published(shelf, KEY, WANTED).faults}
    by_witness = {"not_cosigned", "cosignature_wrong", "cosignature_malformed", "cosigned_long_ago"}
    return found - by_witness, found & by_witness


def by_witness(shelf: Shelf) -> set[str]:
    """Give the faults that the witness's key finds in the newest checkpoint."""
    verdict = Verdict()
    check_witnesses(parse_note(shelf[CHECKPOINT]), WANTED, verdict, CHECKPOINT)
    return {code for code, _ in verdict.faults}


def asked(forged: Shelf) -> bool:
    """Ask the witness to cosign a forged log, with the best proof that there is; tell whether it would."""
    head = Head(SIZES[-1], ROOTS[SIZES[-1]])
    size = open_checkpoint(forged[CHECKPOINT], KEY).size
    reader = TileReader(lambda name, _: forged[name], size)
    proof = consistency_proof(min(head.size, size), size, reader.node)
    return any(
        isinstance(judge(render_request(AddCheckpoint(old, tuple(proof), forged[CHECKPOINT])), (KEY,), head), Asked)
        for old in {head.size, size, 0}
    )


def unsigned(leaves: Sequence[bytes]) -> Shelf:
    """Forge a log without the log's key: everything but the checkpoints, which stay the true ones."""
    forged, _ = published(leaves)
    return Shelf(forged | {name: data for name, data in TRUE.items() if name.startswith("checkpoint")})


def resigned(leaves: Sequence[bytes]) -> Shelf:
    """Forge a log with the stolen key: everything, the older checkpoints too."""
    return sign(*published(leaves))


def test_the_true_log_is_not_accused() -> None:
    assert codes(TRUE) == (set(), set())


def test_the_witness_cosigns_what_the_true_log_grows_to() -> None:
    grown = resigned([*LEAVES, *[other(leaf) for leaf in LOOKS[:20]]])

    assert asked(grown)


@pytest.mark.parametrize("attack", REWRITES)
def test_a_rewritten_log_is_found_without_the_stolen_key(attack: str) -> None:
    for at in places(attack):
        forged = unsigned(list(with_days(REWRITES[attack](LOOKS, at), A_DAY)))
        alone, _ = codes(forged)
        assert alone, (attack, at)


@pytest.mark.parametrize("attack", REWRITES)
def test_a_rewritten_and_re_signed_log_is_found_by_the_witness_and_by_nobody_else(attack: str) -> None:
    for at in places(attack):
        forged = resigned(list(with_days(REWRITES[attack](LOOKS, at), A_DAY)))
        alone, with_witness = codes(forged)
        assert alone == set(), (attack, at)  # the table in docs/formats/access-log.md says so
        assert with_witness == {"not_cosigned"}, (attack, at)
        assert not asked(forged), (attack, at)
        note, true = parse_note(forged[CHECKPOINT]), parse_note(TRUE[CHECKPOINT])
        forged[CHECKPOINT] = render_note(Note(note.text, (*note.signatures, true.signatures[-1])))
        assert by_witness(forged) == {"cosignature_wrong"}, (attack, at)
        kept = history_name(next((size for size in SIZES if size > at + at // A_DAY + 2), SIZES[-1]))
        forged[kept] = TRUE[kept]
        with_one_kept, _ = codes(forged)
        assert with_one_kept & {"root_differs", "checkpoint_beyond"}, (attack, at)


def test_a_roll_back_to_an_older_checkpoint_is_found_by_the_witness_s_time() -> None:
    for size in SIZES[:-1]:
        older = Shelf({name: data for name, data in TRUE.items() if name not in later(size)})
        older[CHECKPOINT] = COSIGNED[size]
        assert codes(older) == (set(), {"cosigned_long_ago"})


def test_a_roll_back_is_found_by_a_later_checkpoint_that_was_kept() -> None:
    for size in SIZES[:-1]:
        older = Shelf(TRUE)
        older[CHECKPOINT] = COSIGNED[size]
        alone, _ = codes(older)
        assert alone == {"checkpoint_beyond"}


def later(size: int) -> set[str]:
    return {history_name(other) for other in SIZES if other > size}


def test_a_fork_is_found_by_the_witness_at_every_place() -> None:
    """Two people are shown logs that part at one entry and are both well signed; the witness cosigned one of them."""
    for at in places("fork"):
        fork = resigned([*LEAVES[:at], *[other(leaf) for leaf in LOOKS[:20]]])
        alone, with_witness = codes(fork)
        assert (alone, with_witness) == (set(), {"not_cosigned"}), at
        assert not asked(fork), at
        without_the_key, _ = codes(unsigned([*LEAVES[:at], *[other(leaf) for leaf in LOOKS[:20]]]))
        assert without_the_key, at


def test_a_fork_is_found_by_one_kept_checkpoint_behind_it() -> None:
    for at in places("fork"):
        fork = resigned([*LEAVES[:at], *[other(leaf) for leaf in LOOKS[:20]]])
        kept = next(size for size in SIZES if size > at)
        fork[history_name(kept)] = TRUE[history_name(kept)]
        alone, _ = codes(fork)
        assert alone & {"root_differs", "checkpoint_beyond"}, at


def test_a_root_that_was_signed_for_no_leaves_is_found_by_everybody() -> None:
    """The stolen key signs another root over the true leaves."""
    for at in places("re-sign"):
        forged = Shelf(TRUE)
        root = sha256(LEAVES[at]).digest()
        forged[CHECKPOINT] = sign_checkpoint(Checkpoint(ORIGIN, SIZES[-1], root), SERVICE)
        alone, with_witness = codes(forged)
        assert "root_differs" in alone, at
        assert with_witness == {"not_cosigned"}, at


def test_the_documented_table_is_this_one() -> None:
    page = (Path(__file__).parents[2] / "docs/formats/access-log.md").read_text(encoding="utf-8")
    section = page.split("\n## Who finds what\n")[1].split("\n## ")[0]
    for attack in (*REWRITES, *PUT_BACK):
        assert f"\n| {attack} |" in section
