"""Reads every new leaf of a published log and recomputes each closed day in it, from where the last reading stopped.

What was read beyond the last cosigned tree is not proved by anybody yet; if it does not lead to the tree
that the log signed, all is forgotten and read anew.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from vault.accesslog.completeness import map_line, map_root
from vault.accesslog.leaves import Day, read_leaf
from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.sources import Source
from vault.accesslog.tiles import WIDTH, fetch_bundle
from vault.accesslog.witness.protocol import Head
from vault.accesslog.witness.state import Memory, ReadSoFar
from vault.errors import TamperedError


def read_on(memory: Memory, source: Source, target: Head, more: Callable[[], bool]) -> bool:
    """Read up to a tree that the log signed; the caller commits what was read.

    :param target: continues the last cosigned tree by proof.
    :param more: whether there is time for another bundle of 256 leaves.
    :returns: whether the tree was reached; it is then exactly this one, and each closed day in it is right.
    :raises TamperedError: a leaf, a closed day or the tree is not what the log says, by code.
    :raises KeyMissingError: the source lacks leaves of the tree (yet).
    :raises OutOfReachError: the source does not answer.
    """
    head = memory.remembered().head
    if memory.reading().size > target.size:
        memory.forget()  # it went towards a larger tree that was not cosigned in the end
    return all(_read_to(memory, source, stop, more) for stop in (head, target))


def _read_to(memory: Memory, source: Source, stop: Head, more: Callable[[], bool]) -> bool:
    reading = memory.reading()
    while reading.size < stop.size:
        if not more():
            return False
        leaves = _bundle(source, reading.size, stop.size)
        reading = _take(memory, reading, leaves)
    if reading.size == stop.size and reading.tree().root() != stop.root:
        raise TamperedError("root_differs", "the published leaves do not give the signed root; run dsr log verify")
    return True


def _bundle(source: Source, size: int, end: int) -> Sequence[bytes]:
    """Fetch the leaves from ``size`` on, to the end of their bundle or of the tree."""
    index, start = divmod(size, WIDTH)
    return fetch_bundle(source.fetch, index, min(WIDTH, end - index * WIDTH))[start:]


def _take(memory: Memory, reading: ReadSoFar, leaves: Sequence[bytes]) -> ReadSoFar:
    tree = reading.tree()
    looks: list[tuple[int, bytes, bytes]] = []
    for leaf in leaves:
        found, hashed = read_leaf(leaf), leaf_hash(leaf)
        if isinstance(found, Day):
            memory.read(_grown(reading, tree), looks)
            looks = []
            reading = _close(memory, reading, found, tree.size)
        elif found.tag:
            looks.append((tree.size, found.tag, hashed))
        tree.add(hashed)
    reading = _grown(reading, tree)
    memory.read(reading, looks)
    return reading


def _close(memory: Memory, reading: ReadSoFar, day: Day, index: int) -> ReadSoFar:
    """Recompute a closed day's map over the leaves that it covers."""
    if not reading.closed <= day.size <= index or (reading.day and day.day <= reading.day):
        raise TamperedError("day_out_of_order", "a day is closed twice or over leaves that it can't cover")
    memory.close(day.size)
    tags = 0

    def lines() -> Iterator[bytes]:
        nonlocal tags
        for tag, count, last in memory.tags():
            tags += 1
            yield map_line(tag, count, last)

    if map_root(lines()) != day.map or tags != day.tags:
        raise TamperedError("day_differs", "a closed day's map is not what the leaves say; report it")
    return replace(reading, closed=day.size, day=day.day)


def _grown(reading: ReadSoFar, tree: RightEdge) -> ReadSoFar:
    return replace(reading, size=tree.size, edge=tree.packed())
