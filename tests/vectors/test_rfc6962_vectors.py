"""The reference tree of Certificate Transparency's own implementation of RFC 6962: hashes, roots, paths, proofs."""

import pytest

from vault.accesslog.merkle import (
    EMPTY_ROOT,
    RightEdge,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from vault.errors import TamperedError

INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
EMPTY = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
LEAVES = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
    "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N0123 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
PATHS = [  # index, size, path
    (0, 1, []),
    (0, 8, [LEAVES[1], N23, N4567]),
    (5, 8, [LEAVES[4], N67, N0123]),
    (2, 3, [N01]),
    (1, 5, [LEAVES[0], N23, LEAVES[4]]),
]
PROOFS = [  # size1, size2, proof
    (1, 1, []),
    (1, 8, [LEAVES[1], N23, N4567]),
    (6, 8, [N45, N67, N0123]),
    (2, 5, [N23, LEAVES[4]]),
]


def hashes(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def node(level: int, index: int) -> bytes:
    edge = RightEdge()
    for leaf in INPUTS[index << level : (index + 1) << level]:
        edge.add(leaf_hash(leaf))
    return edge.root()


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT == EMPTY
    assert RightEdge().root() == EMPTY


def test_leaf_hashes() -> None:
    assert [leaf_hash(leaf).hex() for leaf in INPUTS] == LEAVES


def test_roots_while_the_tree_grows() -> None:
    edge = RightEdge()
    roots = [edge.root().hex()]

    for leaf in INPUTS:
        edge.add(leaf_hash(leaf))
        roots.append(edge.root().hex())

    assert roots == ROOTS


def test_the_edge_is_the_compact_tree() -> None:
    edge = RightEdge()
    for leaf in INPUTS[:7]:
        edge.add(leaf_hash(leaf))

    assert edge.packed().hex() == N0123 + N45 + LEAVES[6]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_inclusion_paths(index: int, size: int, path: list[str]) -> None:
    assert inclusion_proof(index, size, node) == hashes(path)
    verify_inclusion(bytes.fromhex(LEAVES[index]), index, size, hashes(path), bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("size1", "size2", "proof"), PROOFS)
def test_consistency_proofs(size1: int, size2: int, proof: list[str]) -> None:
    assert consistency_proof(size1, size2, node) == hashes(proof)
    verify_consistency(size1, size2, hashes(proof), bytes.fromhex(ROOTS[size1]), bytes.fromhex(ROOTS[size2]))


@pytest.mark.parametrize(("index", "size", "path"), PATHS[1:])
def test_the_reference_verifiers_probes_of_a_path(index: int, size: int, path: list[str]) -> None:
    leaf, root, proof = bytes.fromhex(LEAVES[index]), bytes.fromhex(ROOTS[size]), hashes(path)
    wrong = [
        (leaf, index - 1, size, proof, root),
        (leaf, index + 1, size, proof, root),
        (leaf, index ^ 2, size, proof, root),
        (leaf, index, size * 2, proof, root),
        (leaf, index, size // 2, proof, root),
        (leaf_hash(b"WrongLeaf"), index, size, proof, root),
        (leaf, index, size, proof, EMPTY),
        *((leaf, index, size, [*proof[:at], EMPTY, *proof[at + 1 :]], root) for at in range(len(proof))),
        (leaf, index, size, [*proof, b""], root),
        (leaf, index, size, [*proof, root], root),
        (leaf, index, size, proof[:-1], root),
        (leaf, index, size, [b"", *proof], root),
        (leaf, index, size, [root, *proof], root),
    ]

    for given in wrong:
        with pytest.raises(TamperedError):
            verify_inclusion(*given)


@pytest.mark.parametrize(("size1", "size2", "proof"), PROOFS[1:])
def test_the_reference_verifiers_probes_of_a_proof(size1: int, size2: int, proof: list[str]) -> None:
    root1, root2, steps = bytes.fromhex(ROOTS[size1]), bytes.fromhex(ROOTS[size2]), hashes(proof)
    wrong = [
        (size1 - 1, size2, steps, root1, root2),
        (size1 + 1, size2, steps, root1, root2),
        (size1 ^ 2, size2, steps, root1, root2),
        (size1, size2 * 2, steps, root1, root2),
        (size1, size2 // 2, steps, root1, root2),
        (size1, size2, steps, EMPTY, root2),
        (size1, size2, steps, root1, EMPTY),
        (size1, size2, steps, root2, root1),
        (size1, size2, [], root1, root2),
        *((size1, size2, [*steps[:at], EMPTY, *steps[at + 1 :]], root1, root2) for at in range(len(steps))),
        (size1, size2, [*steps, b""], root1, root2),
        (size1, size2, [*steps, steps[-1]], root1, root2),
        (size1, size2, steps[:-1], root1, root2),
        (size1, size2, [b"", *steps], root1, root2),
        (size1, size2, [steps[0], *steps], root1, root2),
    ]

    for given in wrong:
        with pytest.raises(TamperedError):
            verify_consistency(*given)


@pytest.mark.parametrize(
    ("size1", "size2", "proof", "root1", "root2"),
    [
        (1, 0, [], EMPTY, EMPTY),
        (2, 1, [], EMPTY, EMPTY),
        (1, 2, [], EMPTY, EMPTY),
        (0, 0, [], EMPTY, bytes.fromhex(ROOTS[1])),
        (1, 1, [], EMPTY, bytes.fromhex(ROOTS[1])),
        (0, 0, [EMPTY], EMPTY, EMPTY),
        (0, 1, [EMPTY], EMPTY, bytes.fromhex(ROOTS[1])),
        (1, 1, [EMPTY], bytes.fromhex(ROOTS[1]), bytes.fromhex(ROOTS[1])),
        (0, 1, [], bytes.fromhex(ROOTS[1]), bytes.fromhex(ROOTS[1])),
    ],
)
def test_what_is_no_consistency_proof(size1: int, size2: int, proof: list[bytes], root1: bytes, root2: bytes) -> None:
    with pytest.raises(TamperedError):
        verify_consistency(size1, size2, proof, root1, root2)


def test_the_empty_tree_begins_every_tree() -> None:
    verify_consistency(0, 0, [], EMPTY, EMPTY)
    verify_consistency(0, 8, [], EMPTY, bytes.fromhex(ROOTS[8]))


def test_the_empty_tree_includes_nothing() -> None:
    for index, size in ((0, 0), (1, 0), (2, 1), (-1, 1)):
        with pytest.raises(TamperedError):
            verify_inclusion(EMPTY, index, size, [], EMPTY)
