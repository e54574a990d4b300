"""The key file opens with its passphrase only, and only where nobody else can read it."""

from pathlib import Path

import pytest

from vault.crypto.custody import make_keys
from vault.crypto.keyfile import check_private, read_key_file, seal_keys, unseal_keys
from vault.errors import TamperedError, WrongUseError

PASSPHRASE = "tuulimylly-seitsemän-ruista"
KEYS = make_keys()
SEALED = seal_keys(KEYS, PASSPHRASE)


def write(path: Path, content: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def test_sealed_keys_open_again() -> None:
    assert unseal_keys(SEALED, PASSPHRASE) == KEYS


def test_no_key_stands_in_the_file() -> None:
    root = KEYS.roots[1]

    assert root not in SEALED
    assert root.hex().encode() not in SEALED


def test_sealing_twice_looks_different() -> None:
    assert seal_keys(KEYS, PASSPHRASE)[21:37] != SEALED[21:37]


def test_another_passphrase_is_refused() -> None:
    with pytest.raises(TamperedError, match="key_file_tampered"):
        unseal_keys(SEALED, PASSPHRASE + " ")


def test_file_is_read(tmp_path: Path) -> None:
    keys = read_key_file(write(tmp_path / "keys", SEALED), write(tmp_path / "pass", PASSPHRASE + "\n"))

    assert keys == KEYS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o666, 0o777])
def test_files_that_others_may_open_are_refused(tmp_path: Path, mode: int) -> None:
    key_file, passphrase_file = write(tmp_path / "keys", SEALED), write(tmp_path / "pass", PASSPHRASE)

    for path in (key_file, passphrase_file):
        path.chmod(mode)
        with pytest.raises(WrongUseError, match="key_file_readable"):
            read_key_file(key_file, passphrase_file)
        path.chmod(0o600)


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [
        ("", "secret_empty"),
        ("  \n", "secret_empty"),
        ("secretsecret", "secret_default"),
        ("aaaaaaaaaaaaaaa", "secret_default"),
        ("short", "secret_short"),
        ("not this passphrase", "key_file_tampered"),
    ],
)
def test_unfit_passphrases_are_refused(tmp_path: Path, passphrase: str, code: str) -> None:
    with pytest.raises(WrongUseError, match=code):
        read_key_file(write(tmp_path / "keys", SEALED), write(tmp_path / "pass", passphrase))


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "key_file_format"), (b"-----BEGIN PRIVATE KEY-----", "key_file_format"), (SEALED[:80], "key_file_tampered")],
    ids=["empty", "another format", "cut off"],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(WrongUseError, match=code):
        read_key_file(write(tmp_path / "keys", content), write(tmp_path / "pass", PASSPHRASE))


def test_missing_files_are_named_without_their_directory(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match=r"key_file_missing: keys can't be opened \(No such file") as missing:
        read_key_file(tmp_path / "keys", tmp_path / "pass")

    assert str(tmp_path) not in str(missing.value)


def test_directory_is_no_private_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    with pytest.raises(WrongUseError, match="key_file_readable"):
        check_private(tmp_path)
