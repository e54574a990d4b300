"""The key service's audit: one whole line each, or an error."""

import json
import os
from pathlib import Path

import pytest

from vault.crypto.audit import Audit
from vault.errors import OutOfReachError, WrongUseError

OPENED = ("collector", "unwrap", "record", "S-1", "granted")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_line_tells_when_who_what_and_outcome(path: Path) -> None:
    audit = Audit(path)

    audit.write(*OPENED)

    (line,) = lines(path)
    assert line.pop("at")[-6:] == "+00:00"
    assert line == {
        "office": "collector",
        "verb": "unwrap",
        "name": "record",
        "ref": "S-1",
        "use": "",
        "outcome": "granted",
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_reopened_file_is_continued(path: Path) -> None:
    for _ in range(2):
        audit = Audit(path)
        audit.write(*OPENED)
        audit.close()

    assert len(lines(path)) == 2


@pytest.mark.parametrize("word", ["x" * 201, "Äijö", 'a"\n{"at"', "\x1b[2J"])
def test_what_is_no_reference_is_not_repeated(path: Path, word: str) -> None:
    Audit(path).write("desk", word, word, word, "key_request_malformed")

    (line,) = lines(path)
    assert (line["verb"], line["name"], line["ref"]) == ("?", "?", "?")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_file_that_others_may_open_is_refused(path: Path, mode: int) -> None:
    path.touch()
    path.chmod(mode)

    with pytest.raises(WrongUseError, match="audit_readable"):
        Audit(path)


def test_second_writer_is_refused_until_the_first_ends(path: Path) -> None:
    first = Audit(path)

    with pytest.raises(WrongUseError, match="audit_in_use"):
        Audit(path)
    first.close()

    Audit(path).write(*OPENED)


@pytest.mark.parametrize("made", ["missing/audit.jsonl", "link"])
def test_file_that_cannot_be_opened_is_refused(tmp_path: Path, made: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(WrongUseError, match="audit_missing"):
        Audit(tmp_path / made)


def test_line_after_a_killed_daemon_stands_alone(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(b'{"at": "2026')

    Audit(path).write(*OPENED)

    torn, whole = path.read_text().splitlines()
    assert torn == '{"at": "2026'
    assert json.loads(whole)["outcome"] == "granted"


@pytest.mark.parametrize("written", [0, 5, OSError(28, "No space left on device")])
def test_line_that_is_not_written_whole_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, written: int | OSError
) -> None:
    audit, real = Audit(path), os.write

    def short(file: int, data: bytes) -> int:
        if isinstance(written, OSError):
            raise written
        return real(file, data[:written])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        for _ in range(2):
            with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
                audit.write(*OPENED)
    audit.write(*OPENED)

    assert json.loads(path.read_text().splitlines()[-1])["outcome"] == "granted"


def test_removed_file_is_an_error(path: Path) -> None:
    audit = Audit(path)
    path.unlink()

    with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
        audit.write(*OPENED)
