"""Roots of a key file: added, promoted, removed, and never one step without the one before."""

from dataclasses import replace
from pathlib import Path

import pytest

from vault.crypto import durable
from vault.crypto.custody import Custody, Keys, make_keys
from vault.crypto.holder import Roots
from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.keyfile import read_key_file
from vault.crypto.roots import add_root, change_key_file, promote_root, remove_root, roots_of
from vault.errors import KeyMissingError, RefusedError, TamperedError, WrongUseError

KEY = bytes(range(32))
ONE = make_keys()
TWO = add_root(ONE)


def test_added_root_wraps_nothing_yet() -> None:
    assert roots_of(TWO) == Custody(TWO).roots() == Roots(1, (1, 2))
    assert Custody(TWO).wrap("record", "S-1", KEY)[:5] == b"\x01\x00\x00\x00\x01"
    assert len(TWO.roots[2]) == 32
    assert TWO.roots[2] != TWO.roots[1]


def test_adding_again_before_it_is_promoted_adds_nothing() -> None:
    assert add_root(TWO) is TWO


def test_whole_rotation_keeps_everything_readable() -> None:
    wrapped = Custody(ONE).wrap("record", "S-1", KEY)
    promoted = Custody(promote_root(TWO, 2))

    rotated = promoted.rotate("record", "S-1", wrapped)

    assert promoted.unwrap("record", "S-1", wrapped) == KEY
    assert (rotated[:5], len(rotated)) == (b"\x01\x00\x00\x00\x02", 65)
    alone = Custody(remove_root(promote_root(TWO, 2), 1))
    assert alone.unwrap("record", "S-1", rotated) == KEY
    with pytest.raises(TamperedError):
        alone.unwrap("record", "S-1", wrapped)


def test_rotating_what_stands_there_changes_no_byte() -> None:
    custody = Custody(ONE)
    wrapped = custody.wrap("log", "S-1/2026", KEY)

    assert custody.rotate("log", "S-1/2026", wrapped) == wrapped


@pytest.mark.parametrize(("kind", "ref"), [("identity", "S-1"), ("record", "S-2")])
@pytest.mark.parametrize("keys", [ONE, promote_root(TWO, 2)], ids=["at-home", "elsewhere"])
def test_rotation_proves_kind_and_reference_first(keys: Keys, kind: str, ref: str) -> None:
    wrapped = Custody(ONE).wrap("record", "S-1", KEY)

    with pytest.raises(TamperedError):
        Custody(keys).rotate(kind, ref, wrapped)


def test_destroyed_key_is_never_used_again() -> None:
    custody = Custody(ONE)
    wrapped = custody.wrap("record", "S-1", KEY)

    custody.destroy("record", "S-1")
    custody.destroy("record", "S-1")

    for use in (custody.unwrap, custody.rotate):
        with pytest.raises(KeyMissingError, match="key_destroyed"):
            use("record", "S-1", wrapped)
    with pytest.raises(KeyMissingError, match="key_destroyed"):
        custody.wrap("record", "S-1", KEY)
    assert custody.wrap("identity", "S-1", KEY)


def test_unknown_root_is_not_promoted() -> None:
    with pytest.raises(WrongUseError, match="root_unknown"):
        promote_root(TWO, 3)


def test_primary_root_is_not_removed_and_a_missing_one_is_gone_already() -> None:
    with pytest.raises(RefusedError, match="root_is_primary"):
        remove_root(TWO, 1)

    assert remove_root(TWO, 7) == TWO
    assert roots_of(remove_root(TWO, 2)) == Roots(1, (1,))


def test_number_is_not_used_for_two_roots_in_a_row() -> None:
    third = add_root(promote_root(TWO, 2))

    assert sorted(third.roots) == [1, 2, 3]
    assert sorted(add_root(promote_root(remove_root(third, 1), 3)).roots) == [2, 3, 4]


def test_roots_have_a_limit() -> None:
    many = replace(ONE, primary=100, roots=dict.fromkeys(range(1, 101), KEY))

    with pytest.raises(RefusedError, match="roots_too_many"):
        add_root(many)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> KeyDirectory:
    directory = tmp_path_factory.mktemp("keys")
    init(directory, "log.example/dsr")
    return KeyDirectory(directory)


def test_key_file_keeps_its_passphrase_and_its_mode(files: KeyDirectory) -> None:
    before = read_key_file(files.key_file, files.passphrase_file)
    passphrase = files.passphrase_file.read_bytes()

    after = change_key_file(files.key_file, files.passphrase_file, add_root)

    assert read_key_file(files.key_file, files.passphrase_file) == after
    assert (after.primary, after.roots[1], after.boxes) == (before.primary, before.roots[1], before.boxes)
    assert files.passphrase_file.read_bytes() == passphrase
    assert files.key_file.stat().st_mode & 0o777 == 0o600


def test_change_that_changes_nothing_writes_nothing(files: KeyDirectory) -> None:
    change_key_file(files.key_file, files.passphrase_file, add_root)
    before = files.key_file.stat()

    change_key_file(files.key_file, files.passphrase_file, add_root)

    assert (files.key_file.stat().st_ino, files.key_file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_draft_that_a_kill_left_is_removed(files: KeyDirectory) -> None:
    left = files.path / ".keys.sealed.draft-00000000"
    left.write_bytes(b"half")

    change_key_file(files.key_file, files.passphrase_file, lambda keys: keys)

    assert not left.exists()


def test_directory_that_takes_nothing_is_one_sentence(files: KeyDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files.key_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(WrongUseError, match="key_directory"):
        change_key_file(files.key_file, files.passphrase_file, lambda keys: replace(keys, roots={**keys.roots, 9: KEY}))

    assert files.key_file.read_bytes() == whole


def test_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"

    durable.replace(path, b"old", 0o600)
    first = path.stat().st_ino
    durable.replace(path, b"new", 0o600)

    assert (path.read_bytes(), path.stat().st_ino != first) == (b"new", True)
    assert durable.write_once(path, b"third", 0o600) is None
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
