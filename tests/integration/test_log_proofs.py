"""Proofs out of stored tiles in a real PostgreSQL: the same as from the leaves, whichever tiles are there."""

from collections.abc import Iterator

import pytest

from vault.accesslog.merkle import RightEdge, inclusion_proof, leaf_hash, verify_inclusion
from vault.accesslog.notes import Checkpoint
from vault.accesslog.proofs import Heads, StoredTree, heads, prove
from vault.accesslog.publish import publish, sign_checkpoint
from vault.accesslog.tiles import TileWriter, tile_name
from vault.errors import RefusedError, TamperedError
from vault.storage.database import Database
from vault.storage.log import add_checkpoint
from vault.storage.tiles import LOG, TileRow, put_tiles
from vault.testing.accesslog import ORIGIN, LogBench, any_leaves, log_bench, log_database, look

LARGE = 256 * 256 + 300  # a whole tile of the second level, and a partial one


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    with log_database("dsr_proofs") as database:
        yield database


@pytest.fixture
def bench(opened: Database) -> LogBench:
    return log_bench(opened)


def nodes_of(leaves: list[bytes]) -> tuple[dict[tuple[int, int], bytes], bytes]:
    nodes: dict[tuple[int, int], bytes] = {}
    edge = RightEdge()
    for leaf in leaves:
        edge.add(leaf_hash(leaf), lambda level, index, hashed: nodes.__setitem__((level, index), hashed))
    return nodes, edge.root()


def store(bench: LogBench, leaves: list[bytes], size: int, tiled: int) -> Heads:
    """Put leaves, the edge, a checkpoint of a size, and the full tiles over the first so many leaves."""
    edge, kept = RightEdge(), list[TileRow]()
    hashes = [leaf_hash(leaf) for leaf in leaves]
    for hashed in hashes:
        edge.add(hashed)
    names = {tile_name(level, index): (level, index) for level in range(3) for index in range(300)}
    writer = TileWriter(lambda name, data: kept.append(TileRow(*names[name], data)), lambda *_: None)
    for leaf, hashed in zip(leaves[:tiled], hashes[:tiled], strict=True):
        writer.add(leaf, hashed)
    with bench.database.connect() as connection:
        with connection.cursor().copy("copy log_leaves (idx, leaf, entry, staff) from stdin") as copy:
            for index, leaf in enumerate(leaves):
                copy.write_row((index, leaf, b"", b""))
        connection.execute("update log_edge set size = %s, hashes = %s", (edge.size, edge.packed()))
        put_tiles(connection, LOG, kept)
        if size:
            _, root = nodes_of(leaves[:size])
            add_checkpoint(connection, size, sign_checkpoint(Checkpoint(ORIGIN, size, root), bench.service).decode())
    with bench.database.connect() as connection:
        return heads(connection)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 700])
@pytest.mark.parametrize("tiled", [0, 1], ids=["untiled", "tiled"])
def test_proofs_are_those_of_the_leaves(bench: LogBench, size: int, tiled: int) -> None:
    leaves = any_leaves(size + 3)
    against = store(bench, leaves, size, size * tiled)
    nodes, root = nodes_of(leaves[:size])
    wanted = sorted({0, size // 2, max(0, size - 2), size - 1})

    with bench.database.connect() as connection:
        proofs = prove(connection, [*wanted, size + 1], against)

    for proof in proofs[:-1]:
        expected = inclusion_proof(proof.index, size, lambda *at: nodes[at])
        assert (list(proof.path), proof.root, proof.size) == (expected, root, size)
    assert proofs[-1].size == size + 3
    for proof in proofs:
        verify_inclusion(leaf_hash(leaves[proof.index]), proof.index, proof.size, proof.path, proof.root)


def test_a_large_log_is_proved_out_of_tiles_of_each_level(bench: LogBench) -> None:
    leaves = any_leaves(LARGE + 40)
    against = store(bench, leaves, LARGE, LARGE)
    _, root = nodes_of(leaves[:LARGE])
    wanted = [0, 255, 256, 65_535, 65_536, LARGE - 1, LARGE, LARGE + 39]

    with bench.database.connect() as connection:
        # what tiles hold is not read from leaves
        connection.execute("delete from log_leaves where idx < 65536")
        proofs = prove(connection, wanted, against)

    assert [proof.size for proof in proofs] == [LARGE] * 6 + [LARGE + 40] * 2
    assert proofs[0].root == root
    for proof in proofs:
        verify_inclusion(leaf_hash(leaves[proof.index]), proof.index, proof.size, proof.path, proof.root)


@pytest.mark.parametrize(
    "harm",
    [
        "update log_tiles set hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) where level = 0 and idx = 0",
        "update log_leaves set leaf = set_byte(leaf, 40, get_byte(leaf, 40) # 1) where idx = 699",
        "delete from log_leaves where idx = 650",
    ],
    ids=["tile", "leaf", "no leaf"],
)
def test_what_was_changed_is_not_proved(bench: LogBench, harm: str) -> None:
    against = store(bench, any_leaves(700), 700, 700)
    bench.run(harm)

    with pytest.raises(TamperedError), bench.database.connect() as connection:
        prove(connection, [0], against)


@pytest.mark.parametrize(
    "harm",
    [
        "delete from log_tiles where idx = 1",
        "delete from log_tiles where level = 0",
        "update log_tiles set hashes = substr(hashes, 1, 4000) where idx = 0",
    ],
    ids=["one gone", "all gone", "cut"],
)
def test_a_tile_that_is_missing_costs_time_and_nothing_else(bench: LogBench, harm: str) -> None:
    leaves = any_leaves(700)
    against = store(bench, leaves, 700, 700)
    bench.run(harm)

    with bench.database.connect() as connection:
        proofs = prove(connection, range(0, 700, 7), against)

    for proof in proofs:
        verify_inclusion(leaf_hash(leaves[proof.index]), proof.index, proof.size, proof.path, proof.root)


def test_no_such_entry_is_refused(bench: LogBench) -> None:
    against = store(bench, any_leaves(5), 3, 0)

    with bench.database.connect() as connection, pytest.raises(RefusedError, match="leaf_out_of_range"):
        prove(connection, [5], against)


def test_nothing_asked_is_nothing_proved(bench: LogBench) -> None:
    with bench.database.connect() as connection:
        assert prove(connection, [], heads(connection)) == []
        assert heads(connection) == Heads(0, 0, None)


def test_several_sizes_share_what_was_read(bench: LogBench) -> None:
    against = store(bench, any_leaves(700), 512, 700)

    with bench.database.connect() as connection:
        tree = StoredTree(connection, LOG, 700)
        assert tree.paths([3]) == [prove(connection, [3], Heads(700, 0, None))[0].path]
        assert tree.root() != prove(connection, [3], against)[0].root


def test_the_cosigned_checkpoint_is_the_one_that_is_told(bench: LogBench) -> None:
    bench.log.record([look()])
    publish(bench.parts, bench.shelf)
    with bench.database.connect() as connection:
        plain = heads(connection).checkpoint
    assert plain is not None
    cosigned = plain + "\u2014 witness.example AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    bench.run("update log_checkpoints set cosigned = %s", (cosigned,))

    with bench.database.connect() as connection:
        against = heads(connection)
        assert against.checkpoint == cosigned
        assert prove(connection, [0], against)[0].size == 1
