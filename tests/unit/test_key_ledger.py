"""The ledger of destroyed keys: on the disk first, whole lines only, and no doubt about what it says."""

import json
import os
from pathlib import Path

import pytest

from vault.crypto.keyservice import KINDS
from vault.crypto.ledger import Ledger
from vault.errors import KeyMissingError, NotAllowedError, OutOfReachError, RefusedError, WrongUseError

LINE = b'{"kind": "record", "ref": "S-1"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "destroyed.jsonl"


def reopened(path: Path, content: bytes) -> Ledger:
    path.write_bytes(content)
    path.chmod(0o600)
    return Ledger(path)


@pytest.mark.parametrize("kind", KINDS)
def test_destroyed_key_is_refused_now_and_after_a_restart(path: Path, kind: str) -> None:
    first = Ledger(path)
    first.check(kind, "S-1")

    first.add(kind, "S-1")

    with pytest.raises(KeyMissingError, match="key_destroyed"):
        first.check(kind, "S-1")
    first.close()
    second = Ledger(path)
    with pytest.raises(KeyMissingError, match="key_destroyed"):
        second.check(kind, "S-1")
    second.check(kind, "S-2")
    for other in set(KINDS) - {kind}:
        second.check(other, "S-1")


def test_line_holds_kind_and_reference_only_and_stands_once(path: Path) -> None:
    ledger = Ledger(path)

    for _ in range(3):
        ledger.add("record", "S-1")

    assert path.read_bytes() == LINE
    assert len(ledger) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_line_is_on_the_disk_before_anybody_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path)
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))

    ledger.add("record", "S-1")

    assert synced == [LINE]


def test_name_of_a_new_ledger_is_on_the_disk_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))

    Ledger(path)

    assert synced == [path.parent]


def test_disk_that_takes_nothing_destroys_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path)

    def full(*_: object) -> int:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OutOfReachError, match="key_ledger_unwritable"):
            ledger.add("record", "S-1")
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        with pytest.raises(OutOfReachError, match="key_ledger_unwritable"):
            ledger.add("record", "S-2")
    ledger.check("record", "S-1")
    ledger.check("record", "S-2")

    ledger.add("record", "S-2")
    assert [json.loads(line)["ref"] for line in path.read_text().splitlines()] == ["S-1", "S-2"]


def test_removed_file_destroys_nothing(path: Path) -> None:
    ledger = Ledger(path)
    path.unlink()

    with pytest.raises(OutOfReachError, match="key_ledger_unwritable"):
        ledger.add("record", "S-1")


@pytest.mark.parametrize("cut", range(1, len(LINE) - 1))
def test_line_that_a_kill_tore_is_passed_over_and_spoils_no_other(path: Path, cut: int) -> None:
    ledger = reopened(path, LINE + b'{"kind": "record", "ref": "S-2"}'[:cut])

    whole = cut == len(LINE) - 1
    assert len(ledger) == 1 + whole
    ledger.add("log", "S-3")
    ledger.close()
    assert len(Ledger(path)) == 2 + whole


def test_line_torn_behind_a_quote_in_its_reference_is_torn(path: Path) -> None:
    whole = json.dumps({"kind": "log", "ref": 'a"}b'}).encode()

    assert len(reopened(path, LINE + whole[: whole.index(b"b")] + b"\n" + LINE)) == 1


def test_whole_line_without_its_end_counts(path: Path) -> None:
    assert len(reopened(path, LINE[:-1])) == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "record", "ref": 1}"}',
        b'{"kind": "recorD", "ref": "S-1"}',
        b'{"ref": "S-1", "kind": "record"}',
        b'{"kind": "record", "ref": "S-1", "more": "x"}',
        b'["kind", "ref"}',
        b'{"kind": "record", "ref": "S\xe41"}',
        b'\x00\x00"}',
    ],
)
def test_damaged_line_stops_the_start(path: Path, line: bytes) -> None:
    with pytest.raises(WrongUseError, match="ledger_damaged"):
        reopened(path, LINE + line + b"\n" + LINE)

    Ledger(path.with_name("another")).close()
    path.write_bytes(LINE)
    assert len(Ledger(path)) == 1  # the refused one let go of the file


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_file_that_others_may_open_is_refused(path: Path, mode: int) -> None:
    path.touch()
    path.chmod(mode)

    with pytest.raises(WrongUseError, match="ledger_readable"):
        Ledger(path)


def test_two_daemons_do_not_write_one_ledger(path: Path) -> None:
    first = Ledger(path)

    with pytest.raises(WrongUseError, match="ledger_in_use"):
        Ledger(path)
    first.close()
    Ledger(path).close()


def test_what_is_no_place_of_a_key_is_not_noted(path: Path) -> None:
    ledger = Ledger(path)

    with pytest.raises(NotAllowedError, match="key_name_unknown"):
        ledger.add("case", "S-1")
    for ref in ("", "a|b", "a\n", "ä", "x" * 201):
        with pytest.raises(RefusedError, match="ref_malformed"):
            ledger.add("record", ref)

    assert path.read_bytes() == b""


def test_odd_references_come_back(path: Path) -> None:
    ledger = Ledger(path)
    refs = ['a"b', "a\\b", 'a"}b', "{}", "a b"]
    for ref in refs:
        ledger.add("log", ref)
    ledger.close()

    again = Ledger(path)

    assert len(again) == len(refs)
    for ref in refs:
        with pytest.raises(KeyMissingError):
            again.check("log", ref)
