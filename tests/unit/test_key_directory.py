"""`dsr keys init`: all there, private, never overwritten, finished after a break."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from vault.crypto.custody import Custody
from vault.crypto.keydir import KeyDirectory, init, read_public, render_public, render_vkey
from vault.crypto.keyfile import read_key_file
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import read_secret

ORIGIN = "log.example/dsr"
ALL = 2 + len(OfficeName) + 4


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> KeyDirectory:
    directory = tmp_path_factory.mktemp("keys") / "new"
    assert len(init(directory, ORIGIN)) == ALL
    return KeyDirectory(directory)


def test_secrets_are_private_and_public_halves_are_not(made: KeyDirectory) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.path.rglob("*") if path.is_file()}

    public = {"case.pub", "print.pub", "desk.pub", "log.vkey"}
    assert {name for name, mode in modes.items() if mode == 0o644} == public
    assert {mode for name, mode in modes.items() if name not in public} == {0o600}
    assert (made.path / "tokens").stat().st_mode & 0o777 == 0o700
    assert len(modes) == ALL


def test_tokens_are_long_and_differ(made: KeyDirectory) -> None:
    tokens = {read_secret(path) for path in made.token_files.values()}

    assert len(tokens) == len(OfficeName)
    assert min(map(len, tokens)) == 43


def test_second_call_changes_nothing(made: KeyDirectory) -> None:
    before = contents(made.path)

    assert init(made.path, "another.example/log") == []
    assert contents(made.path) == before


def test_public_halves_are_those_of_the_keys(made: KeyDirectory) -> None:
    custody = Custody(read_key_file(made.key_file, made.passphrase_file))

    assert {name: read_public(made.public(name)) for name in ("case", "print", "desk")} == {
        name: custody.public(name) for name in ("case", "print", "desk")
    }
    assert made.public("log").read_text() == render_vkey(ORIGIN, custody.public("log")) + "\n"


def test_verifier_key_is_that_of_the_go_reference() -> None:
    # the Go package sumdb/note gives this key as its example
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    public = base64.b64decode(vkey.split("+", 2)[2])[1:]

    assert render_vkey("PeterNeumann", public) == vkey


def test_key_id_binds_name_and_key() -> None:
    expected = hashlib.sha256(b"log.example/dsr\n\x01" + bytes(32)).hexdigest()[:8]

    assert render_vkey(ORIGIN, bytes(32)).split("+")[1] == expected


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\n", "a\u00a0b", "a\x00"])
def test_malformed_origin_is_refused_before_anything_is_made(tmp_path: Path, origin: str) -> None:
    with pytest.raises(WrongUseError, match="origin_malformed"):
        init(tmp_path / "new", origin)

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["case.pub", "log.vkey", "tokens/desk"])
def test_what_was_lost_is_made_again(tmp_path: Path, name: str) -> None:
    init(tmp_path, ORIGIN)
    before = contents(tmp_path)
    (tmp_path / name).unlink()

    assert init(tmp_path, ORIGIN) == [name]

    after = contents(tmp_path)
    assert (after == before) == (not name.startswith("tokens"))  # a token is made anew, a public half comes back


def test_key_file_without_its_passphrase_is_left_alone(tmp_path: Path) -> None:
    init(tmp_path, ORIGIN)
    (tmp_path / "passphrase").unlink()
    before = contents(tmp_path)

    with pytest.raises(WrongUseError, match="key_file_missing"):
        init(tmp_path, ORIGIN)

    assert contents(tmp_path) == before


def test_own_passphrase_is_kept(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("tuulimylly-seitsemän-ruista\n", encoding="utf-8")
    passphrase.chmod(0o600)

    assert "passphrase" not in init(tmp_path, ORIGIN)
    read_key_file(tmp_path / "keys.sealed", passphrase)


def test_weak_passphrase_of_ones_own_is_refused(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("password\n")
    passphrase.chmod(0o600)

    with pytest.raises(WrongUseError, match="secret_default"):
        init(tmp_path, ORIGIN)

    assert not (tmp_path / "keys.sealed").exists()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_modes_hold_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        init(tmp_path, ORIGIN)
    finally:
        os.umask(before)

    assert (tmp_path / "keys.sealed").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "case.pub").stat().st_mode & 0o777 == 0o644


def test_unwritable_directory_is_a_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WrongUseError, match="key_directory"):
        init(tmp_path / "file", ORIGIN)


@pytest.mark.parametrize("calls", range(1, ALL + 1))
def test_a_break_at_any_file_is_finished_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    links = iter(range(1, ALL + 1))
    real = os.link

    def link(source: Path, target: Path) -> None:
        if next(links) == calls:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", link)
        patched.setattr("vault.crypto.keyfile._stretch", lambda _passphrase, salt: hashlib.sha256(salt).digest())
        with pytest.raises(KeyboardInterrupt):
            init(tmp_path, ORIGIN)
        patched.setattr(os, "link", real)

        assert len(init(tmp_path, ORIGIN)) == ALL - calls + 1
        assert init(tmp_path, ORIGIN) == []
    assert len(contents(tmp_path)) == ALL


@pytest.mark.parametrize(
    "text", ["", "AAAA", render_public(bytes(32)) + "\n\n", render_public(bytes(32)) + "=", "é" * 44]
)
def test_malformed_public_half_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "case.pub").write_text(text, encoding="utf-8")

    with pytest.raises(WrongUseError, match="public_key_malformed"):
        read_public(tmp_path / "case.pub")


def test_missing_public_half_is_a_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="public_key_malformed"):
        read_public(tmp_path / "case.pub")
