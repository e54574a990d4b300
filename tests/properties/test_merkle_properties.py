"""Trees, edges and proofs against the plain recursive definition of RFC 6962."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vault.accesslog.merkle import (
    RightEdge,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from vault.accesslog.tiles import TileReader, TileWriter
from vault.errors import KeyMissingError, TamperedError

LEAVES = [f"leaf {number}".encode() for number in range(1200)]
sizes = st.integers(0, 70)


def reference(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + reference(leaves[:split]) + reference(leaves[split:])).digest()


def grown(size: int) -> RightEdge:
    edge = RightEdge()
    for leaf in LEAVES[:size]:
        edge.add(leaf_hash(leaf))
    return edge


def node(level: int, index: int) -> bytes:
    return reference(LEAVES[index << level : (index + 1) << level])


@given(sizes)
def test_the_edge_gives_the_defined_root(size: int) -> None:
    assert grown(size).root() == reference(LEAVES[:size])


@given(sizes, sizes)
def test_a_stored_edge_grows_like_one_that_was_never_stored(before: int, more: int) -> None:
    stored = grown(before)
    edge = RightEdge.parse(before, stored.packed())
    for leaf in LEAVES[before : before + more]:
        edge.add(leaf_hash(leaf))

    assert edge.packed() == grown(before + more).packed()
    assert RightEdge.of(before, node).packed() == stored.packed()


@given(st.integers(0, 2**62), st.binary(max_size=200))
def test_an_edge_of_another_size_is_refused(size: int, packed: bytes) -> None:
    assume(len(packed) != 32 * size.bit_count())

    with pytest.raises(TamperedError):
        RightEdge.parse(size, packed)


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_proved_and_no_other_leaf_with_its_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index)) if size > 1 else None
    proof, root = inclusion_proof(index, size, node), reference(LEAVES[:size])

    verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, root)

    if other is not None:
        for leaf, at in ((other, index), (index, other)):
            with pytest.raises(TamperedError):
                verify_inclusion(leaf_hash(LEAVES[leaf]), at, size, proof, root)


@given(sizes, sizes)
def test_every_beginning_is_proved(one: int, other: int) -> None:
    size1, size2 = sorted((one, other))
    proof = consistency_proof(size1, size2, node)

    verify_consistency(size1, size2, proof, reference(LEAVES[:size1]), reference(LEAVES[:size2]))


@given(st.integers(1, 69), st.data())
def test_a_fork_is_never_proved(size1: int, data: st.DataObject) -> None:
    size2 = data.draw(st.integers(size1 + 1, 70))
    changed = data.draw(st.integers(0, size1 - 1))
    fork = [*LEAVES[:changed], b"another", *LEAVES[changed + 1 : size2]]

    def forked(level: int, index: int) -> bytes:
        return reference(fork[index << level : (index + 1) << level])

    for proof in (consistency_proof(size1, size2, node), consistency_proof(size1, size2, forked)):
        with pytest.raises(TamperedError):
            verify_consistency(size1, size2, proof, reference(LEAVES[:size1]), reference(fork))


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.lists(st.binary(min_size=31, max_size=33), max_size=70))
def test_a_stranger_s_proof_is_refused_and_never_crashes(one: int, other: int, proof: list[bytes]) -> None:
    root1, root2 = leaf_hash(b"1"), leaf_hash(b"2")

    with pytest.raises(TamperedError):
        verify_inclusion(root1, one, other, proof, root2)
    with pytest.raises(TamperedError):
        verify_consistency(one, other, proof, root1, root2)


@given(st.integers(0, 1100), st.integers(0, 1100))
def test_tiles_written_in_two_runs_hold_the_tree(one: int, other: int) -> None:
    before, size = sorted((one, other))
    shelf: dict[str, bytes] = {}
    bundles: dict[str, list[bytes]] = {}

    def fetch(name: str, limit: int) -> bytes:
        if name not in shelf:
            raise KeyMissingError("missing", name)
        assert len(shelf[name]) <= limit
        return shelf[name]

    def put(name: str, data: bytes) -> None:
        assert shelf.setdefault(name, data) == data

    def put_bundle(name: str, leaves: list[bytes]) -> None:
        assert bundles.setdefault(name, list(leaves)) == leaves

    first = TileWriter(put, put_bundle)
    for leaf in LEAVES[:before]:
        first.add(leaf, leaf_hash(leaf))
    first.finish()
    head = LEAVES[before - before % 256 : before]
    second = TileWriter(put, put_bundle, before=TileReader(fetch, before), leaves=head)
    for leaf in LEAVES[before:size]:
        second.add(leaf, leaf_hash(leaf))
    second.finish()

    reader = TileReader(fetch, size)
    edge = RightEdge.of(size, reader.node)
    full = [leaf for name in sorted(bundles) if ".p/" not in name for leaf in bundles[name]]
    assert edge.packed() == grown(size).packed()
    assert full == LEAVES[: size - size % 256]
    if size:
        index = (before * 7) % size
        verify_inclusion(leaf_hash(LEAVES[index]), index, size, inclusion_proof(index, size, reader.node), edge.root())
        verify_consistency(
            before, size, consistency_proof(before, size, reader.node), grown(before).root(), edge.root()
        )
