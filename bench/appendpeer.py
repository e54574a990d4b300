"""The peer's side of appending: run by the Python of ``build/peers``, which alone has pymerkle.

Prints one JSON object: how many entries pymerkle's durable tree took a second, one by one and a hundred at once.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pymerkle import SqliteTree


def rate(folder: Path, count: int, append: Callable[[SqliteTree, int], None]) -> float:
    """Append so many entries to a new tree on a disk; give how many a second."""
    with tempfile.TemporaryDirectory(dir=folder) as place, SqliteTree(str(Path(place) / "tree.db")) as tree:
        begun = time.perf_counter()
        append(tree, count)
        return count / (time.perf_counter() - begun)


def main(folder: Path, count: int, size: int) -> None:
    """Measure both; every commit waits for the disk, as SQLite's default is."""
    entry = bytes(range(256))[:size]

    def singly(tree: SqliteTree, count: int) -> None:
        for number in range(count):
            tree.append_entry(b"%d" % number + entry)

    def together(tree: SqliteTree, count: int) -> None:
        for start in range(0, count, 100):
            tree.append_entries([b"%d" % (start + number) + entry for number in range(100)])

    print(json.dumps({"single": rate(folder, count, singly), "batches": rate(folder, 10 * count, together)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
