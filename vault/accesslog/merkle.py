"""RFC 6962 Merkle trees over SHA-256: right edges, roots, inclusion and consistency proofs, and checks that raise.

A tree is never held whole: it is its size and its right edge, the roots of the perfect subtrees
that tile its leaves from left to right. Proofs are drawn from whoever knows inner nodes.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

from vault.errors import RefusedError, TamperedError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
LARGEST = 1 << 62  # leaves; more than a signed 64-bit column can count is no tree of ours

Node: TypeAlias = Callable[[int, int], bytes]  # (level, index) -> root over leaves [index << level, index + 1 << level)
Seen: TypeAlias = Callable[[int, int, bytes], None]


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf's bytes (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children into their parent (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class RightEdge:
    """What is needed of a tree to append to it and to know its root: 32 bytes for each bit set in its size.

    :param size: how many leaves.
    :param hashes: roots of the perfect subtrees, the largest (leftmost) first.
    :raises TamperedError: the hashes do not fit the size.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        fits = 0 <= size <= LARGEST and len(hashes) == size.bit_count()
        if not fits or any(len(value) != HASH_BYTES for value in hashes):
            raise TamperedError("edge_malformed", "the log's edge does not fit its size; run dsr log verify")
        self._size = size
        self._hashes = list(hashes)

    @classmethod
    def parse(cls, size: int, packed: bytes) -> "RightEdge":
        """Read the edge as it is stored: its hashes one after another.

        :raises TamperedError: the bytes do not fit the size.
        """
        return cls(size, [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)])

    @classmethod
    def of(cls, size: int, node: Node) -> "RightEdge":
        """Read the edge of a tree of this size out of its inner nodes."""
        return cls(size, [node(level, index) for level, index in perfect(0, size)])

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def add(self, hashed: bytes, seen: Seen | None = None) -> None:
        """Append one leaf.

        :param hashed: the leaf's hash.
        :param seen: is told every perfect subtree that the leaf completes, itself first.
        """
        level, index = 0, self._size
        if seen:
            seen(level, index, hashed)
        while index & 1:
            hashed = node_hash(self._hashes.pop(), hashed)
            level, index = level + 1, index >> 1
            if seen:
                seen(level, index, hashed)
        self._hashes.append(hashed)
        self._size += 1

    def root(self) -> bytes:
        """Give the tree's root hash."""
        return _fold(self._hashes) if self._hashes else EMPTY_ROOT

    def packed(self) -> bytes:
        """Write the edge as it is stored; the inverse of :meth:`parse`."""
        return b"".join(self._hashes)


def perfect(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (level, index) of the perfect subtrees that tile leaves start..end, the largest first.

    :param start: a multiple of a power of two that is at least ``end - start``.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Prove that the leaf at ``index`` is in the tree of ``size`` leaves (RFC 6962 section 2.1.1).

    :raises RefusedError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise RefusedError("leaf_out_of_range", "the tree of this size has no such leaf; ask with a newer checkpoint")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(size1: int, size2: int, node: Node) -> list[bytes]:
    """Prove that the tree of ``size1`` is the beginning of the tree of ``size2`` (RFC 6962 section 2.1.2).

    :raises RefusedError: the first tree is the larger one.
    """
    if not 0 <= size1 <= size2:
        raise RefusedError("sizes_out_of_order", "the earlier tree must not be larger than the later one")
    if size1 in {0, size2}:
        return []
    proof, start, end, inside = [], 0, size2, False
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(start, middle, node))
            start, inside = middle, True
    if inside:
        proof.append(_subtree(start, end, node))
    return proof[::-1]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check an inclusion proof (RFC 9162 section 2.1.3.2).

    :param leaf_hash: the leaf's hash, 32 bytes; ``index`` its place, from 0, among ``size`` leaves.
    :param proof: hashes of 32 bytes, from the leaf's sibling up; ``root`` is the tree's root hash.
    :raises TamperedError: the leaf is not proved to stand there.
    """
    if not 0 <= index < size <= LARGEST or not _hashes_fit(leaf_hash, root, *proof):
        raise _unproved()
    left, last, result = index, size - 1, leaf_hash
    for step in proof:
        if last == 0:
            raise _unproved()
        if left & 1 or left == last:
            result = node_hash(step, result)
            left, last = _up_from_border(left, last)
        else:
            result = node_hash(result, step)
        left, last = left >> 1, last >> 1
    if last or result != root:
        raise _unproved()


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check a consistency proof (RFC 9162 section 2.1.4.2); the empty tree is the beginning of every tree.

    :raises TamperedError: the first tree is not proved to be the beginning of the second.
    """
    if not 0 <= size1 <= size2 <= LARGEST or not _hashes_fit(root1, root2, *proof):
        raise _unproved()
    if size1 in {0, size2}:
        if proof or root1 != (root2 if size1 == size2 else EMPTY_ROOT):
            raise _unproved()
        return
    path = [*([root1] if size1.bit_count() == 1 else []), *proof]
    if not proof or _walk(size1, size2, path) != (root1, root2):
        raise _unproved()


def _walk(size1: int, size2: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    left, last = size1 - 1, size2 - 1
    while left & 1:
        left, last = left >> 1, last >> 1
    first = second = path[0]
    for step in path[1:]:
        if last == 0:
            raise _unproved()
        if left & 1 or left == last:
            first, second = node_hash(step, first), node_hash(step, second)
            left, last = _up_from_border(left, last)
        else:
            second = node_hash(second, step)
        left, last = left >> 1, last >> 1
    if last:
        raise _unproved()
    return first, second


def _up_from_border(left: int, last: int) -> tuple[int, int]:
    while left and not left & 1:
        left, last = left >> 1, last >> 1
    return left, last


def _hashes_fit(*hashes: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in hashes)


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def _subtree(start: int, end: int, node: Node) -> bytes:
    return _fold([node(level, index) for level, index in perfect(start, end)])


def _fold(hashes: Sequence[bytes]) -> bytes:
    result = hashes[-1]
    for value in reversed(hashes[:-1]):
        result = node_hash(value, result)
    return result


def _unproved() -> TamperedError:
    return TamperedError("not_proved", "the proof does not lead to the root; fetch it again from the log")
