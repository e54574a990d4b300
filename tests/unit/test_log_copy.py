"""A copy of the published log: proved before it is stored, resumed, and never replaced by another log's."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vault.accesslog import folder as folder_module
from vault.accesslog.folder import opened
from vault.accesslog.mirror import ShelfSource, copy_log
from vault.accesslog.notes import VerifierKey
from vault.accesslog.publish import log_key, log_keys
from vault.accesslog.sources import DirectorySource
from vault.accesslog.tiles import CHECKPOINT, history_name
from vault.accesslog.verify import verify_published
from vault.crypto.keyservice import KeyService
from vault.errors import ConflictError, KeyMissingError, OutOfReachError, TamperedError, VaultError
from vault.testing.accesslog import ORIGIN, MemoryShelf, any_leaves, copy_to, publish_leaves
from vault.testing.keyservice import memory_service

LEAVES = any_leaves(66_000)


@dataclass(frozen=True, slots=True)
class Log:
    """A published log in memory, and the folder that it is copied into."""

    shelf: MemoryShelf
    service: KeyService
    folder: Path

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return log_keys(self.service, ORIGIN)

    def publish(self, *sizes: int) -> None:
        publish_leaves(self.shelf, LEAVES, self.service, *sizes)

    def copy(self) -> tuple[int, int]:
        copied = copy_log(ShelfSource(self.shelf), self.folder, self.keys)
        return copied.head.size, copied.files

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and ".copying" not in path.parts)
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(MemoryShelf(), memory_service(), tmp_path / "a" / "copy")


def checks_out(log: Log) -> bool:
    return verify_published(DirectorySource(log.folder), log_key(log.service, ORIGIN)).faults == []


@pytest.mark.parametrize("size", [0, 1, 5, 255, 256, 257, 512, 65_536, 65_900])
def test_a_copy_of_any_size_is_a_whole_log(log: Log, size: int) -> None:
    log.publish(size)

    assert log.copy()[0] == size
    assert checks_out(log)
    assert log.copy() == (size, 0)


def test_a_copy_grows_with_its_log_and_holds_every_checkpoint(log: Log) -> None:
    for sizes in ((3,), (3, 300), (3, 300, 301, 1024), (3, 300, 301, 1024, 1100)):
        shelf = MemoryShelf()
        publish_leaves(shelf, LEAVES, log.service, *sizes)
        log.shelf.versions.update(shelf.versions)

        assert log.copy()[0] == sizes[-1]
        assert checks_out(log)
        assert {name for name in log.files() if name.startswith("checkpoints/")} == {history_name(at) for at in sizes}


def test_from_an_address_that_lists_nothing_each_copy_keeps_the_checkpoint_of_its_size(log: Log) -> None:
    class Silent(ShelfSource):
        def history(self) -> Iterator[str]:
            yield from ()

    log.publish(3, 300)
    copy_log(Silent(log.shelf), log.folder, log.keys)

    assert history_name(300) in log.files()
    assert history_name(3) not in log.files()
    del log.shelf.versions[history_name(300)]
    assert copy_log(Silent(log.shelf), log.folder / "again", log.keys).head.size == 300


def test_a_log_that_went_back_or_forked_is_refused_and_the_copy_stays(log: Log) -> None:
    log.publish(300, 500)
    log.copy()
    before = log.files()
    fork = [*LEAVES[:299], LEAVES[700], *LEAVES[300:600]]
    for leaves, size, code in (
        (LEAVES, 300, "log_rolled_back"),
        (fork, 500, "not_proved"),
        (fork, 600, "not_proved"),
    ):
        shelf = MemoryShelf()
        publish_leaves(shelf, leaves, log.service, size)
        with pytest.raises(TamperedError) as caught:
            copy_log(ShelfSource(shelf), log.folder, log.keys)

        assert caught.value.code == code
        assert log.files() == before


@pytest.mark.parametrize(
    "name",
    ["tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"],
)
@pytest.mark.parametrize("at", [0, 40, -1])
def test_changed_bytes_are_never_stored(log: Log, name: str, at: int) -> None:
    log.publish(600)
    sound = bytes(log.shelf.get_locked(name))
    changed = bytearray(sound)
    changed[at] ^= 1
    log.shelf.replace_locked(name, bytes(changed))

    with pytest.raises(TamperedError):
        log.copy()

    assert name not in log.files()
    assert CHECKPOINT not in log.files()
    log.shelf.replace_locked(name, sound)
    assert log.copy()[0] == 600  # what was stored of the broken log was proved, and is kept
    assert checks_out(log)


def test_another_logs_checkpoints_are_refused(log: Log) -> None:
    log.publish(300)
    with pytest.raises(TamperedError):
        copy_log(ShelfSource(log.shelf), log.folder, log_keys(memory_service(), ORIGIN))
    assert log.files() == {}
    log.shelf.replace_locked(history_name(300), log.shelf.get_locked(CHECKPOINT)[:-9] + b"AAAAAAA=\n")
    with pytest.raises(TamperedError):
        log.copy()
    assert history_name(300) not in log.files()


def test_a_checkpoint_under_another_size_is_refused(log: Log) -> None:
    log.publish(3, 300)
    log.shelf.versions[history_name(7)] = [log.shelf.get_locked(history_name(3))]

    with pytest.raises(TamperedError) as caught:
        log.copy()

    assert caught.value.code == "checkpoint_size"


def test_a_source_that_breaks_anywhere_is_resumed(log: Log) -> None:
    log.publish(3, 700)

    class Broken(ShelfSource):
        def __init__(self, shelf: MemoryShelf, fetches: int) -> None:
            super().__init__(shelf)
            self.fetches = fetches

        def fetch(self, name: str, limit: int) -> bytes:
            self.fetches -= 1
            if self.fetches < 0:
                raise OutOfReachError("log_away", "away")
            return super().fetch(name, limit)

    fetches, done, sizes = 0, False, []
    while not done:
        try:
            copy_log(Broken(log.shelf, fetches), log.folder, log.keys)
            done = True
        except OutOfReachError:
            fetches += 1
        if (log.folder / CHECKPOINT).exists():
            sizes.append(verify_published(DirectorySource(log.folder), log_key(log.service, ORIGIN)).to_json())

    assert fetches >= 4
    assert all(verdict["ok"] and verdict["size"] == 700 for verdict in sizes)
    assert checks_out(log)


def test_a_folder_takes_each_name_once(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        assert folder.put("tile/0/000", b"one")
        assert not folder.put("tile/0/000", b"one")
        with pytest.raises(TamperedError) as caught:
            folder.put("tile/0/000", b"two")
        folder.replace(CHECKPOINT, b"first")
        folder.replace(CHECKPOINT, b"second")

    assert caught.value.code == "log_copy_differs"
    assert (tmp_path / "tile/0/000").read_bytes() == b"one"
    assert (tmp_path / CHECKPOINT).read_bytes() == b"second"


def test_a_file_is_forced_to_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    true_sync, true_rename = os.fsync, Path.rename

    def sync(descriptor: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        true_sync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        done.append(f"rename {target.name}")
        return true_rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    with opened(tmp_path) as folder:
        folder.put("a", b"one")
        folder.put("b", b"two")
        folder.replace(CHECKPOINT, b"three")

    assert done == ["file", "rename a", "file", "rename b", "directory", "file", "rename checkpoint", "directory"]


def test_what_a_killed_copier_left_is_saved_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as folder:
        folder.put("tile/0/000", b"one")  # and killed: nothing is saved
    saved: set[str] = set()
    monkeypatch.setattr(folder_module, "_sync", lambda directory: saved.add(str(directory.relative_to(tmp_path))))

    with opened(tmp_path) as folder:
        assert folder.has("tile/0/000")
        folder.replace(CHECKPOINT, b"three")

    assert saved == {".", "tile", "tile/0"}


def test_a_file_stands_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, __: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OutOfReachError), opened(tmp_path) as folder:
            folder.put("tile/0/000", b"one")
    assert not (tmp_path / "tile/0/000").exists()

    with opened(tmp_path) as folder:
        assert folder.put("tile/0/000", b"one")


def test_two_copiers_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(ConflictError) as caught, opened(tmp_path):
        pass

    assert caught.value.code == "log_copying"
    with opened(tmp_path):
        pass


def test_a_disk_that_refuses_is_named_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "tile").write_bytes(b"a file where a folder should be")

    with pytest.raises(OutOfReachError) as caught, opened(tmp_path) as folder:
        folder.put("tile/0/000", b"one")

    assert caught.value.code == "log_copy_disk"
    assert str(tmp_path) not in str(caught.value)


def test_an_object_larger_than_it_may_be_is_refused(log: Log) -> None:
    log.publish(3)
    log.shelf.replace_locked(CHECKPOINT, bytes(300_000))

    with pytest.raises(VaultError) as caught:
        log.copy()

    assert caught.value.code == "log_resource_large"


def test_the_longer_list_of_signatures_is_kept(log: Log) -> None:
    log.publish(300)
    bare = log.shelf.get_locked(CHECKPOINT)
    cosigned = bare + "\u2014 witness.example/w {}\n".format("AAAAAAAA").encode()
    for shown, kept in ((bare, bare), (cosigned, cosigned), (bare, cosigned)):
        log.shelf.replace_locked(CHECKPOINT, shown)
        log.copy()

        assert (log.folder / CHECKPOINT).read_bytes() == kept


def test_no_log_at_all_is_said(log: Log) -> None:
    with pytest.raises(KeyMissingError):
        log.copy()


def test_a_plain_copy_can_be_carried_on(log: Log) -> None:
    log.publish(300)
    copy_to(log.shelf, log.folder)
    log.publish(300, 700)

    assert log.copy()[0] == 700
    assert checks_out(log)
