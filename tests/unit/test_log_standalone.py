"""The verifier that stands alone comes to what ours comes to, on true logs and on harmed ones, and imports nothing."""

import ast
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog import standalone
from vault.accesslog.completeness import MapLine, ProvedLine, map_line
from vault.accesslog.cosign import WitnessKey, make_cosignature, render_witness_vkey
from vault.accesslog.leaves import Day, Leaf, parse_leaf, read_leaf, render_leaf
from vault.accesslog.merkle import RightEdge, inclusion_proof, leaf_hash
from vault.accesslog.notes import Note, Signature, parse_note, render_note, render_vkey, root_text
from vault.accesslog.publish import log_key
from vault.accesslog.sources import DirectorySource
from vault.accesslog.tiles import CHECKPOINT, history_name
from vault.accesslog.tlogproof import TlogProof, parse_map_proof, render_map_proof, render_proof
from vault.accesslog.verify import Wanted, verify_published
from vault.crypto.keyservice import KeyService
from vault.errors import TamperedError
from vault.testing.accesslog import ORIGIN, MemoryShelf, copy_to, publish_leaves
from vault.testing.keyservice import memory_service
from vault.testing.manydays import looks, with_days

FILE = Path(standalone.__file__)
LEAVES = list(with_days(looks(690, 30), 100))
SIZES = (0, 3, 256, 300, 303, len(LEAVES))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS_KEY = WitnessKey("dpo.example/witness", WITNESS.public_key().public_bytes_raw())
SERVICE = memory_service()
THEN = datetime(2026, 11, 20, 8, tzinfo=UTC)


class Copy:
    """A cosigned log, copied into a directory."""

    def __init__(self, folder: Path, service: KeyService, leaves: list[bytes] = LEAVES) -> None:
        shelf = MemoryShelf()
        sizes = [size for size in SIZES if size < len(leaves)]
        publish_leaves(shelf, leaves, service, *sizes, len(leaves))
        note = parse_note(shelf.get_locked(CHECKPOINT))
        line = make_cosignature(note.text, WITNESS_KEY, THEN, WITNESS.sign)
        self.note = render_note(Note(note.text, (*note.signatures, line)))
        shelf.replace_locked(CHECKPOINT, self.note)
        self.folder, self.key = copy_to(shelf, folder), log_key(service, ORIGIN)

    def both(self, witnesses: tuple[WitnessKey, ...] = (WITNESS_KEY,)) -> tuple[bool, bool]:
        """Ask both verifiers whether all agrees."""
        ours = verify_published(DirectorySource(self.folder), self.key, Wanted(witnesses))
        return ours.ok, alone(self.folder, render_vkey(self.key), [render_witness_vkey(one) for one in witnesses])


def alone(folder: Path, vkey: str, witnesses: list[str]) -> bool:
    try:
        keys = [standalone.Key(vkey, standalone.LOG)]
        standalone.check_log(folder, keys, [standalone.Key(text, standalone.WITNESS) for text in witnesses])
    except (ValueError, OverflowError, OSError):
        return False
    return True


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of the file alone, where nothing of the vault can be imported from."""
    file = folder / "alone.py"
    file.write_bytes(FILE.read_bytes())
    command = [sys.executable, "-I", str(file), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "log", SERVICE, LEAVES[:303])


def test_it_is_short_and_needs_nothing_of_ours() -> None:
    text = FILE.read_text(encoding="utf-8")
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert len(text.splitlines()) < 300
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_true_copy_checks_out_by_itself(copy: Copy, tmp_path: Path) -> None:
    done = run(
        copy.folder, "--key", render_vkey(copy.key), "--witness", render_witness_vkey(WITNESS_KEY), folder=tmp_path
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("303 leaves, root ")
    assert done.stdout.splitlines()[1:] == [
        "cosigned by dpo.example/witness at 2026-11-20 08:00:00 UTC",
        "everything agrees",
    ]
    assert copy.both() == (True, True)


@pytest.mark.parametrize("words", [[], ["--key", "nonsense"], ["--key", "VKEY", "--witness", "VKEY"]])
def test_wrong_use_is_no_success(copy: Copy, tmp_path: Path, words: list[str]) -> None:
    given = [word.replace("VKEY", render_vkey(copy.key)) for word in words]

    assert run(copy.folder, *given, folder=tmp_path).returncode in {1, 2}


def test_a_harmed_copy_is_named(copy: Copy, tmp_path: Path) -> None:
    (copy.folder / "tile/0/000").unlink()

    done = run(copy.folder, "--key", render_vkey(copy.key), folder=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("THIS DOES NOT AGREE: ")


HARMS: dict[str, Callable[[bytearray, Random], None]] = {
    "a bit": lambda data, chance: data.__setitem__(chance.randrange(len(data)), data[0] ^ 1 ^ chance.randrange(255)),
    "cut": lambda data, chance: data.__delitem__(slice(chance.randrange(len(data)), None)),
    "longer": lambda data, _: data.extend(b"\n"),
    "a piece out": lambda data, chance: data.__delitem__(slice(at := chance.randrange(len(data)), at + 8)),
    "twice": lambda data, _: data.extend(bytes(data)),
    "empty": lambda data, _: data.clear(),
}


@pytest.mark.parametrize("harm", HARMS)
def test_both_judge_every_harmed_file_alike(copy: Copy, harm: str) -> None:
    chance = Random(harm)  # noqa: S311 - the same each time is wanted
    refused = 0
    for path in sorted(path for path in copy.folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        data = bytearray(whole)
        HARMS[harm](data, chance)
        path.write_bytes(bytes(data))
        ours, theirs = copy.both()
        assert ours == theirs, path.relative_to(copy.folder)
        refused += not ours
        path.write_bytes(whole)
    assert refused >= 9  # what the newest checkpoint needs; partial tiles of older ones may differ unseen


@pytest.mark.parametrize(
    "leaves",
    [
        [*LEAVES[:50], b"{}", *LEAVES[51:]],
        [*LEAVES[:50], LEAVES[60], *LEAVES[51:]],  # the day's map counts another leaf
        [*LEAVES[:100], *LEAVES[101:]],  # what the later days cover has moved
        [*LEAVES[:100], LEAVES[201], *LEAVES[101:]],  # a later day closed early
        [*LEAVES[:102], LEAVES[100], *LEAVES[102:]],  # a day closed twice
        [*LEAVES[:50], LEAVES[50].replace(b"06:", b"26:"), *LEAVES[51:]],
        [*LEAVES[:50], LEAVES[50].replace(b'"v":1', b'"v":2'), *LEAVES[51:]],
        LEAVES[:100],
        [],
    ],
    ids=["malformed", "other look", "no day", "day early", "day twice", "no time", "version", "short", "empty"],
)
def test_both_judge_every_leaf_alike(tmp_path: Path, leaves: list[bytes]) -> None:
    ours, theirs = Copy(tmp_path / "log", SERVICE, leaves).both()

    assert ours == theirs
    assert ours is (leaves in (LEAVES[:100], []))


def test_both_judge_every_harmed_checkpoint_alike(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "log", SERVICE, LEAVES[:3])
    shutil.rmtree(copy.folder / "checkpoints")
    path, chance, note = copy.folder / CHECKPOINT, Random(7), copy.note.decode()  # noqa: S311 - the same each time
    for place in range(0, len(note), 3):
        for other in {
            chance.choice(["\n", " ", "\u2003", "+", "\x01"]),
            chance.choice(["", "=", "A", note[place] * 2]),
        }:
            harmed = note[:place] + other + note[place + 1 :]
            path.write_text(harmed, encoding="utf-8", newline="")
            ours, theirs = copy.both()
            assert ours == theirs, (place, other)
            assert ours is (harmed == note)


def signed(text: str, change: Callable[[bytes], bytes] = bytes) -> bytes:
    """Sign any text as the log, and change the signature."""
    key = log_key(SERVICE, ORIGIN)
    return render_note(Note(text, (Signature(ORIGIN, key.identifier, change(SERVICE.sign("log", text.encode()))),)))


@pytest.mark.parametrize(
    ("size", "root", "sound"),
    [
        ("3\n", "ROOT\n", True),
        ("3\n", "ROOT\nan extension\n", True),
        ("3\n", "ROOT\n\nafter an empty line\n", False),
        ("03\n", "ROOT\n", False),
        ("+3\n", "ROOT\n", False),
        ("\u0663\n", "ROOT\n", False),
        ("4611686018427387905\n", "ROOT\n", False),
        ("3\n", "AAAA\n", False),
        ("3\n", "ROOT=\n", False),
        ("3\n", "", False),
        ("", "", False),
    ],
    ids=["true", "extended", "empty line", "zero", "plus", "arabic", "huge", "short", "padded", "no root", "no size"],
)
def test_both_judge_what_the_log_itself_signed_alike(tmp_path: Path, size: str, root: str, sound: bool) -> None:
    copy = Copy(tmp_path / "log", SERVICE, LEAVES[:3])
    true = root_text(node_of([leaf_hash(leaf) for leaf in LEAVES[:3]])(2, 0))
    (copy.folder / CHECKPOINT).write_bytes(signed(f"{ORIGIN}\n{size}{root.replace('ROOT', true)}"))

    assert copy.both(witnesses=()) == (sound, sound)


@pytest.mark.parametrize(
    "change",
    [lambda value: b"\0" + value, lambda value: value + b"\0", lambda value: value[1:], lambda value: value * 2],
    ids=["longer before", "longer behind", "shorter", "twice"],
)
def test_a_signature_has_its_length(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    copy = Copy(tmp_path / "log", SERVICE, LEAVES[:3])
    note = parse_note(copy.note)
    (copy.folder / CHECKPOINT).write_bytes(signed(note.text, change))
    assert copy.both(witnesses=()) == (False, False)

    log, witness = note.signatures
    changed = Signature(witness.name, witness.identifier, change(witness.value))
    (copy.folder / CHECKPOINT).write_bytes(render_note(Note(note.text, (log, changed))))
    assert copy.both() == (False, False)


def test_base64_has_one_spelling(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "log", SERVICE, LEAVES[:3])
    text = copy.note.decode()
    for at, sign in enumerate(text):
        if sign == "=" and text[at - 1] != "=":
            same = text[: at - 1] + chr(ord(text[at - 1]) + 1) + text[at:]  # other bits that nobody decodes
            (copy.folder / CHECKPOINT).write_text(same, encoding="utf-8", newline="")
            assert copy.both() == (False, False), at


def test_an_older_checkpoint_that_was_put_back_and_a_signed_fork_are_found(copy: Copy) -> None:
    newest = (copy.folder / CHECKPOINT).read_bytes()
    (copy.folder / CHECKPOINT).write_bytes((copy.folder / history_name(256)).read_bytes())
    assert copy.both(witnesses=()) == (False, False)

    (copy.folder / CHECKPOINT).write_bytes(newest)
    for size, other in ((256, 256), (256, 300), (300, 303)):
        name = copy.folder / history_name(size)
        whole = name.read_bytes()
        name.write_bytes(signed(f"{ORIGIN}\n{other}\n{root_text(bytes(32))}\n"))
        assert copy.both() == (False, False), (size, other)
        name.write_bytes(whole)
    assert copy.both() == (True, True)


def test_the_golden_log_checks_out() -> None:
    home = Path(__file__).parents[1] / "vectors/access_log"
    keys = [standalone.Key(text, standalone.LOG) for text in (home / "log.vkey").read_text("ascii").split()]

    assert " leaves, root " in standalone.check_log(home / "published", keys, [])


def test_every_inclusion_proof_of_small_trees_leads_to_the_root_and_no_other_does() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(20)]
    for size in range(1, 21):
        root = node_of(hashes[:size])(5, 0)
        assert standalone.root_over(hashes[:size]) == root
        for index in range(size):
            path = inclusion_proof(index, size, node_of(hashes))
            assert standalone.root_from_path(hashes[index], index, size, path) == root
            for wrong in (path[:-1], [*path, hashes[0]], path[::-1]):
                if wrong != path:
                    assert not leads(hashes[index], index, size, wrong, root)
            assert not leads(hashes[index], index + 1, size, path, root)


def leads(hashed: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        return standalone.root_from_path(hashed, index, size, path) == root
    except ValueError:
        return False


# --- one person's proofs ---


class Person:
    """A subject's looks with all their proofs, in files."""

    def __init__(self, copy: Copy, folder: Path, tag: bytes, leaves: list[bytes] = LEAVES) -> None:
        self.copy, self.folder = copy, folder
        hashes = [leaf_hash(leaf) for leaf in leaves]
        read = [read_leaf(leaf) for leaf in leaves]
        self.at = [index for index, one in enumerate(read) if isinstance(one, Leaf) and one.tag == tag]
        day = max(index for index, one in enumerate(read) if isinstance(one, Day))
        for index in [*self.at, day]:
            path = tuple(inclusion_proof(index, len(leaves), node_of(hashes)))
            (folder / f"{index}.tlog-proof").write_bytes(render_proof(TlogProof(leaves[index], index, path, copy.note)))
        self.day = folder / f"{day}.tlog-proof"
        closed = read[day]
        assert isinstance(closed, Day)
        self.lines = lines_of(read[: closed.size], hashes)
        rows = [leaf_hash(map_line(line.tag, line.count, line.last)) for line in self.lines]
        for index, line in enumerate(self.lines):
            proved = ProvedLine(index, line, tuple(inclusion_proof(index, len(rows), node_of(rows))))
            (folder / f"{index}.map-proof").write_bytes(render_map_proof(proved))

    def check(self, looks: list[int], maps: list[int]) -> str:
        proofs = [self.folder / f"{index}.tlog-proof" for index in looks] + [self.day]
        given = Namespace(proof=proofs, map=[self.folder / f"{index}.map-proof" for index in maps])
        keys = [standalone.Key(render_vkey(self.copy.key), standalone.LOG)]
        witnesses = [standalone.Key(render_witness_vkey(WITNESS_KEY), standalone.WITNESS)]
        return standalone.check_proofs(given, keys, witnesses)


def node_of(hashes: list[bytes]) -> Callable[[int, int], bytes]:
    def node(level: int, index: int) -> bytes:
        edge = RightEdge()
        for hashed in hashes[index << level : index + 1 << level]:
            edge.add(hashed)
        return edge.root()

    return node


def lines_of(read: list[Leaf | Day], hashes: list[bytes]) -> list[MapLine]:
    found: dict[bytes, MapLine] = {}
    for one, hashed in zip(read, hashes, strict=False):
        if isinstance(one, Leaf) and one.tag:
            count = found[one.tag].count if one.tag in found else 0
            found[one.tag] = MapLine(one.tag, count + 1, hashed)
    return [found[tag] for tag in sorted(found)]


TAG = next(leaf.tag for leaf in map(read_leaf, LEAVES[1:]) if isinstance(leaf, Leaf) and leaf.tag)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(Copy(tmp_path / "log", SERVICE), tmp_path, TAG)


def hers(person: Person) -> int:
    return next(index for index, line in enumerate(person.lines) if line.tag == TAG)


def test_all_looks_at_one_subject_are_proved(person: Person, tmp_path: Path) -> None:
    covered = sum(index < 606 for index in person.at)
    words = [tmp_path / f"{index}.tlog-proof" for index in person.at]

    done = run(
        *("--proof", *words, person.day, "--map", tmp_path / f"{hers(person)}.map-proof"),
        *("--key", render_vkey(person.copy.key), "--witness", render_witness_vkey(WITNESS_KEY)),
        folder=tmp_path,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == [
        f"these are all {covered} looks at this subject up to the end of 2026-01-06",
        "everything agrees",
    ]


def test_each_look_that_is_left_out_is_missed(person: Person) -> None:
    for left_out in (index for index in person.at if index < 606):
        with pytest.raises(ValueError, match="not all looks"):
            person.check([index for index in person.at if index != left_out], [hers(person)])


def test_another_subject_s_line_proves_nothing(person: Person) -> None:
    for other in range(len(person.lines)):
        if other != hers(person):
            with pytest.raises(ValueError, match="not all looks"):
                person.check(person.at, [other])


@pytest.mark.parametrize("tag", [bytes(16), b"\x80" * 16, b"\xff" * 16], ids=["first", "between", "last"])
def test_that_nobody_looked_is_proved_by_the_two_lines_beside(tmp_path: Path, tag: bytes) -> None:
    first = parse_leaf(LEAVES[0])
    later = render_leaf(Leaf(first.time, first.case, tag, first.entry, first.staff, first.use))  # after the last day
    person = Person(Copy(tmp_path / "log", SERVICE, [*LEAVES, later]), tmp_path, tag, [*LEAVES, later])
    behind = sum(line.tag < tag for line in person.lines)
    beside = [index for index in (behind - 1, behind) if 0 <= index < len(person.lines)]

    assert "these are all 0 looks" in person.check(person.at, beside)
    for wrong in ([0, 2], [len(person.lines) // 3], [*range(len(person.lines) // 3)]):
        if wrong != beside and set(beside) - set(wrong):
            with pytest.raises(ValueError, match="looks at"):
                person.check(person.at, wrong)


def test_no_map_without_a_closed_day_and_no_two_subjects(person: Person) -> None:
    other = next(index for index, leaf in enumerate(LEAVES) if getattr(read_leaf(leaf), "tag", TAG) not in {TAG, None})
    path = tuple(inclusion_proof(other, len(LEAVES), node_of([leaf_hash(leaf) for leaf in LEAVES])))
    (person.folder / f"{other}.tlog-proof").write_bytes(
        render_proof(TlogProof(LEAVES[other], other, path, person.copy.note))
    )
    with pytest.raises(ValueError, match="looks at one subject"):
        person.check([*person.at, other], [hers(person)])
    person.day = person.folder / f"{person.at[0]}.tlog-proof"
    with pytest.raises(ValueError, match="a closed day"):
        person.check(person.at, [hers(person)])


def test_a_changed_proof_is_refused(person: Person) -> None:
    for path in (person.folder / f"{person.at[0]}.tlog-proof", person.folder / f"{hers(person)}.map-proof"):
        whole = path.read_bytes()
        for at in range(0, len(whole), 11):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(ValueError, match=r"."):
                person.check(person.at, [hers(person)])
        path.write_bytes(whole)
    assert "these are all" in person.check(person.at, [hers(person)])


def test_map_proofs_are_canonical() -> None:
    proof = ProvedLine(3, MapLine(bytes(16), 2, bytes(32)), (bytes(32), b"\1" * 32))
    data = render_map_proof(proof)

    assert parse_map_proof(data) == proof
    for at in range(len(data)):
        for changed in (data[:at] + data[at + 1 :], data[:at] + b"\n" + data[at:], data[:at] + b"=" + data[at + 1 :]):
            try:
                assert render_map_proof(parse_map_proof(changed)) == changed
            except TamperedError:
                continue
