"""Checks a copy of an access log, or one person's proofs, with public keys alone; this one file is all that is needed.

    python standalone.py DIR --key VKEY [--witness VKEY]...
    python standalone.py --proof FILE... [--map FILE...] --key VKEY [--witness VKEY]...

Take the keys that the controller and its witnesses published, not ones that came along. The first form recomputes a
copied log; the second checks that leaves stand in it (`.tlog-proof`), and with --map (`.map-proof`) that none of their
subject is left out up to the newest closed day among the proofs. What is wrong first is told, with exit code 1. See
RFC 6962, c2sp.org (signed-note, tlog-checkpoint, -cosignature, -tiles, -proof), docs/formats/access-log.md (leaves).
"""

import argparse
import base64
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, WITNESS = 1, 4  # signature types: Ed25519, and Ed25519 with a time
HASH, IDENTIFIER, STAMP, SIGNED, TAG, LINE = 32, 4, 8, 64, 16, 56  # bytes
WIDTH = 256  # hashes in a full tile, leaves in a full bundle
LARGEST_NOTE, MOST_SIGNATURES, LARGEST_BUNDLE, LARGEST_TREE = 256 * 1024, 100, WIDTH * (2 + 512), 1 << 62
VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]{7,}=*)")
NUMBER, CONTROLS = "(0|[1-9][0-9]{0,18})", re.compile(r"[\x00-\x09\x0b-\x1f]")
LOOK = re.compile(
    r'\{"case":(?:null|"[A-Z0-9-]{1,32}"),"entry":"[0-9a-f]{64}","staff":"[0-9a-f]{64}","tag":(?:null|"([0-9a-f]{32})"),'
    r'"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})Z","use":"[0-9a-f]{32}","v":1\}'
)
DAY = re.compile(
    r'\{"day":"([0-9]{4}-[0-9]{2}-[0-9]{2})","map":"([0-9a-f]{64})","size":(0|[1-9][0-9]{0,18}),'
    r'"tags":(0|[1-9][0-9]{0,18}),"v":1\}'
)
Day = tuple[date, int, int, bytes]  # a closed day: how many leaves it covers, of how many subjects, its map's root


def wrong(what: str, where: object) -> NoReturn:
    """Stop here."""
    raise ValueError(f"{what}: {where}")


def unbase(text: str) -> bytes:
    """Decode base64 that is spelled in the one right way."""
    data = base64.b64decode(text, validate=True)
    return data if base64.b64encode(data).decode() == text else wrong("this is no canonical base64", text[:80])


class Key:
    """A public key in the form ``name+id+base64``; the id proves that name and key belong together."""

    def __init__(self, text: str, kind: int) -> None:
        found = VKEY.fullmatch(text) if text.isprintable() else None
        raw = unbase(found[3]) if found else b""
        identifier = sha256(found[1].encode() + b"\n" + raw).digest()[:IDENTIFIER] if found else b""
        if found is None or raw[0] != kind or identifier.hex() != found[2]:
            wrong("this is no public key of a " + ("witness" if kind == WITNESS else "log"), text)
        self.kind, self.name, self.id = kind, found[1], identifier
        self.public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def signed(self, signatures: list[tuple[str, bytes]], text: str) -> Iterator[datetime]:
        """Check this key's signatures under a note, of which there may be none; tell when a witness made each."""
        for raw in (raw for name, raw in signatures if (name, raw[:IDENTIFIER]) == (self.name, self.id)):
            stamp, seconds = raw[IDENTIFIER:-SIGNED], int.from_bytes(raw[IDENTIFIER:-SIGNED], "big")
            message = f"cosignature/v1\ntime {seconds}\n{text}" if self.kind == WITNESS else text
            try:
                self.public.verify(raw[-SIGNED:], message.encode())
            except InvalidSignature:
                wrong("a signature is wrong: the checkpoint was changed, or another key made it", self.name)
            if len(stamp) != (STAMP if self.kind == WITNESS else 0):
                wrong("a signature has the wrong length", self.name)
            yield datetime.fromtimestamp(seconds, UTC)


class Head:
    """A checkpoint that the log signed: its size and root hash, and what there is to tell of it."""

    def __init__(self, note: bytes, keys: list[Key], witnesses: list[Key], where: str) -> None:
        whole = note.decode() if len(note) <= LARGEST_NOTE else ""
        text, blank, block = whole.rpartition("\n\n")
        lines = block.split("\n")
        if not blank or CONTROLS.search(whole) or lines.pop() or not 0 < len(lines) <= MOST_SIGNATURES:
            wrong("this is no signed note", where)
        found = [SIGNATURE.fullmatch(line) or wrong("this is no signature", where) for line in lines]
        signatures = [(one[1], unbase(one[2])) for one in found]
        origin, size, root, *more = [*text.split("\n"), "", ""]
        signers = [key for key in keys if list(key.signed(signatures, text + "\n"))]
        if not signers or any(origin != key.name for key in signers):
            wrong("the checkpoint is not signed by the log's key", where)
        if not re.fullmatch(NUMBER, size) or int(size) > LARGEST_TREE or "" in more[:-2] or len(unbase(root)) != HASH:
            wrong("this is no checkpoint", where)
        self.size, self.root, self.told = int(size), unbase(root), f"{size} leaves, root {root}\n"
        for witness in witnesses:
            times = list(witness.signed(signatures, text + "\n")) or wrong(f"{witness.name} did not cosign", where)
            self.told += f"cosigned by {witness.name} at {max(times):%Y-%m-%d %H:%M:%S} UTC\n"


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf."""
    return sha256(b"\x00" + leaf).digest()


def root_over(row: list[bytes]) -> bytes:
    """Give the root over hashes of equally large subtrees, of which the last may be smaller."""
    while len(row) > 1:
        pairs = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)]
        row = pairs + (row[-1:] if len(row) % 2 else [])
    return row[0] if row else sha256(b"").digest()


def root_from_path(hashed: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Give the root that an inclusion proof leads to; the path starts at the leaf's sibling."""
    if not 0 <= index < size or (size == 1) != (not path):
        wrong("the proof does not fit the tree", index)
    if size == 1:
        return hashed
    half = 1 << (size - 1).bit_length() - 1  # the left subtree holds the largest power of two below the size
    if index < half:
        return sha256(b"\x01" + root_from_path(hashed, index, half, path[:-1]) + path[-1]).digest()
    return sha256(b"\x01" + path[-1] + root_from_path(hashed, index - half, size - half, path[:-1])).digest()


def read_leaf(leaf: bytes, where: str) -> tuple[bytes | None, Day | None]:
    """Read a leaf: the tag of a look's subject, if it has one; or a day."""
    text = leaf.decode("latin-1")
    if day := DAY.fullmatch(text):
        return None, (date.fromisoformat(day[1]), int(day[3]), int(day[4]), bytes.fromhex(day[2]))
    look = LOOK.fullmatch(text) or wrong("this is no leaf of an access log", where)
    datetime.fromisoformat(look[2])  # raises where this is no time
    return (bytes.fromhex(look[1]) if look[1] else None), None


class Log:
    """A copied log: every leaf, tile and checkpoint is read and compared."""

    def __init__(self, folder: Path) -> None:
        self.lines: dict[bytes, tuple[int, bytes]] = {}  # of each tag: how many looks, and the last one's hash
        self.later: list[tuple[bytes | None, bytes]] = []  # leaves that no closed day covers yet
        self.folder, self.closed, self.day = folder, 0, date.min  # how many leaves the newest closed day covers
        self.levels = defaultdict[int, list[bytes]](list)  # the last tile of each level, as far as it has grown
        self.tiles = Counter[int]()  # how many full ones are before it

    def read(self, name: str, limit: int) -> bytes:
        """Read a file of at most so many bytes; where a partial one has gone, the full one that replaced it."""
        names = (self.folder / name, self.folder / name.partition(".p/")[0])
        path = next((path for path in names if path.is_file()), self.folder / "missing" / name)
        with path.open("rb") as file:
            data = file.read(limit + 1)
        return data if len(data) <= limit else wrong("a file is too large", name)

    def leaves(self, size: int) -> Iterator[bytes]:
        """Read the leaves from their bundles; each stands behind its length in two bytes."""
        for index in range(-(-size // WIDTH)):
            wanted = min(WIDTH, size - index * WIDTH)
            name, found, at = tile_name("entries", index, wanted), list[bytes](), 0
            data = self.read(name, LARGEST_BUNDLE)
            while at < len(data):
                start, at = at + 2, at + 2 + int.from_bytes(data[at : at + 2], "big")
                found.append(data[start:at])
            if at != len(data) or len(found) not in {wanted, WIDTH}:
                wrong("an entry bundle is malformed", name)
            yield from found[:wanted]

    def take(self, leaf: bytes, where: str) -> None:
        """Read the next leaf; where it closes a day, compare it with the leaves that it covers."""
        tag, day = read_leaf(leaf, where)
        if day:
            count = day[1] - self.closed
            ordered = day[0] > self.day and 0 <= count <= len(self.later)
            for seen, hashed in self.later[:count]:
                if seen:
                    self.lines[seen] = (self.lines.get(seen, (0, b""))[0] + 1, hashed)
            del self.later[:count]
            self.day, self.closed = day[:2]
            lines = (key + number.to_bytes(8, "big") + last for key, (number, last) in sorted(self.lines.items()))
            if not ordered or day[2:] != (len(self.lines), root_over([leaf_hash(line) for line in lines])):
                wrong("a closed day does not say what the leaves say", where)
        self.later.append((tag, leaf_hash(leaf)))
        self.add(0, leaf_hash(leaf))

    def add(self, level: int, hashed: bytes) -> None:
        """Put a hash behind its level; a full tile is compared, and its root goes up a level."""
        self.levels[level].append(hashed)
        if len(self.levels[level]) == WIDTH:
            self.compare(level)
            self.add(level + 1, root_over(self.levels[level]))
            self.levels[level], self.tiles[level] = [], self.tiles[level] + 1

    def compare(self, level: int) -> None:
        """Compare a tile with its file."""
        name, mine = tile_name(level, self.tiles[level], len(self.levels[level])), b"".join(self.levels[level])
        data = self.read(name, WIDTH * HASH) if mine else b""
        if len(data) not in {len(mine), WIDTH * HASH} or data[: len(mine)] != mine:
            wrong("a tile differs from the leaves", name)

    def root(self) -> bytes:
        """Give the root of the tree as it stands."""
        row: list[bytes] = []
        for level in self.levels.values():
            row = [root_over(level + row)] if level + row else []
        return root_over(row)


def check_log(folder: Path, keys: list[Key], witnesses: list[Key]) -> str:
    """Recompute a whole log and compare it with everything that was signed."""
    log = Log(folder)
    head = Head(log.read("checkpoint", LARGEST_NOTE), keys, witnesses, "checkpoint")
    found = [path for path in folder.glob("checkpoints" + "/[0-9][0-9][0-9]" * 4) if path.is_file()]
    earlier = {int("".join(path.parts[-4:])): "/".join(path.parts[-5:]) for path in found}
    for size, leaf in enumerate(chain([b""], log.leaves(head.size))):
        if size:
            log.take(leaf, f"leaf {size - 1}")
        if name := earlier.pop(size, ""):
            old = Head(log.read(name, LARGEST_NOTE), keys, [], name)
            if (old.size, old.root) != (size, log.root()):
                wrong("an earlier checkpoint differs from the leaves", name)
    for level in log.levels:
        log.compare(level)
    if earlier or log.root() != head.root:
        wrong("the newest checkpoint is not that of the leaves", max(earlier, default=head.size))
    return head.told


def tile_name(kind: str | int, index: int, width: int) -> str:
    """Name a tile or bundle: three digits of its number a folder, an x before all but the last."""
    digits = f"{index:0{-(-len(str(index)) // 3) * 3}d}"
    spread = "".join(f"x{group}/" for group in re.findall("...", digits[:-3])) + digits[-3:]
    return f"tile/{kind}/{spread}" + (f".p/{width}" if width < WIDTH else "")


def read_proof(path: Path, kind: str) -> tuple[bytes, int, list[bytes], bytes]:
    """Read a proof: what is proved, its index, the path to the root, and the checkpoint behind them."""
    head, _, rest = path.read_bytes().partition(b"\n\n")
    lines = rf"{kind}\nextra (\S+)\nindex {NUMBER}((?:\n[A-Za-z0-9+/]{{43}}=)*)"
    found = re.fullmatch(lines, head.decode("latin-1")) or wrong("this is no proof with its leaf", path.name)
    return unbase(found[1]), int(found[2]), [unbase(step) for step in found[3].split()], rest


def check_proofs(given: argparse.Namespace, keys: list[Key], witnesses: list[Key]) -> str:
    """Check that leaves stand in the log, and with maps that none of their subject is left out."""
    looks, days, told = dict[int, tuple[bytes | None, bytes]](), list[Day](), ""
    for file in given.proof:
        leaf, index, path, note = read_proof(file, "c2sp.org/tlog-proof@v1")
        head = Head(note, keys, witnesses, file.name)
        if root_from_path(leaf_hash(leaf), index, head.size, path) != head.root:
            wrong("the proof does not lead to the signed root", file.name)
        tag, day = read_leaf(leaf, file.name)
        looks |= {} if day else {index: (tag, leaf_hash(leaf))}
        days += [day] if day and day[1] <= index else []  # a day covers only what stands before it
        told += f"{file.name}: leaf {index} of {head.told}"
    return told + (check_complete(looks, max(days, default=None), given.map) if given.map else "")


def check_complete(looks: dict[int, tuple[bytes | None, bytes]], day: Day | None, maps: list[Path]) -> str:
    """Check that a subject's proved looks are all that a closed day covers."""
    lines, tag = dict[int, bytes](), next((tag for tag, _ in looks.values() if tag), b"")
    if day is None or {tag} != {one for one, _ in looks.values()}:
        wrong("completeness needs the proof of a closed day, and of looks at one subject", "--map")
    for file in maps:
        line, index, path, rest = read_proof(file, "dsr-vault/map-proof@v1")
        if rest or len(line) != LINE or root_from_path(leaf_hash(line), index, day[2], path) != day[3]:
            wrong("the proof does not lead to the day's map", file.name)
        lines[index] = line
    covered = [hashed for index, (_, hashed) in sorted(looks.items()) if index < day[1]]
    # her line says how many looks there are and which is the last; where there are none, two lines beside hers touch
    mine = [tag + len(covered).to_bytes(8, "big") + covered[-1]] if covered else []
    before = max((index for index, line in lines.items() if line[:TAG] < tag), default=-1)
    behind = min((index for index, line in lines.items() if line[:TAG] > tag), default=day[2])
    if [line for line in lines.values() if line[:TAG] == tag] != mine or (not mine and behind != before + 1):
        wrong("these are not all looks at this subject", "--map")
    return f"these are all {len(covered)} looks at this subject up to the end of {day[0]}\n"


def main() -> None:
    """Read the command line, check, tell; what is wrong goes to the standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=".", metavar="DIR")
    parser.add_argument("--proof", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--map", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--key", action="append", required=True, metavar="VKEY")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY")
    given = parser.parse_args()
    try:
        keys, witnesses = [Key(text, LOG) for text in given.key], [Key(text, WITNESS) for text in given.witness]
        told = check_proofs(given, keys, witnesses) if given.proof else check_log(given.folder, keys, witnesses)
    except (ValueError, OverflowError, OSError) as error:
        sys.exit(f"THIS DOES NOT AGREE: {error}")
    sys.stdout.write(f"{told}everything agrees\n")


if __name__ == "__main__":
    main()
