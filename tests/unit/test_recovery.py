"""The passphrase in shares: any two of three give it back, one tells nothing, and whatever is wrong is named."""

import json
import secrets
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vault.cli.keys import keys
from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.recovery import join_shares, split_passphrase
from vault.crypto.sharefiles import read_share, write_shares
from vault.errors import RefusedError, WrongUseError

PASSPHRASE = secrets.token_urlsafe(32)
SHARES = split_passphrase(PASSPHRASE, 3, 2)


def named(*words: str) -> dict[str, str]:
    return {f"share {number}": text for number, text in enumerate(words, 1)}


@pytest.mark.parametrize(("shares", "threshold"), [(2, 2), (3, 2), (3, 3), (5, 3), (16, 2)])
def test_every_subset_of_threshold_size_and_every_larger_one_joins(shares: int, threshold: int) -> None:
    words = split_passphrase(PASSPHRASE, shares, threshold)

    assert len(set(words)) == shares
    for subset in [*combinations(words, threshold), words]:
        assert join_shares(named(*reversed(subset))) == PASSPHRASE


@pytest.mark.parametrize("given", range(1, 3))
def test_fewer_are_too_few(given: int) -> None:
    words = split_passphrase(PASSPHRASE, 4, 3)

    with pytest.raises(RefusedError, match=f"shares_too_few: 3 shares are needed, {given} were given"):
        join_shares(named(*words[:given]))


def test_splitting_twice_makes_other_words() -> None:
    again = split_passphrase(PASSPHRASE, 3, 2)

    assert not set(again) & set(SHARES)
    with pytest.raises(RefusedError, match="share_foreign"):
        join_shares(named(SHARES[0], again[1]))


def test_share_of_another_passphrase_is_foreign() -> None:
    other = split_passphrase(secrets.token_urlsafe(32), 3, 2)

    with pytest.raises(RefusedError, match="share_foreign"):
        join_shares(named(SHARES[0], SHARES[1], other[2]))


def test_repeated_share_is_told() -> None:
    with pytest.raises(RefusedError, match="share_repeated"):
        join_shares(named(SHARES[0], SHARES[0].upper()))


@pytest.mark.parametrize("place", [0, 3, 4, 17, 32])
def test_one_wrong_word_is_found_and_the_share_is_named(place: int) -> None:
    words = SHARES[1].split()
    words[place] = "academic" if words[place] != "academic" else "acid"

    with pytest.raises(RefusedError, match="share_damaged: a word of share 2"):
        join_shares(named(SHARES[0], " ".join(words)))


@pytest.mark.parametrize(
    "damage",
    ["", "yarn", "ääni ääni", " ".join(SHARES[1].split()[:-1]), SHARES[1] + " acid"],
    ids=["nothing", "a-word", "no-ascii", "too-few", "too-many"],
)
def test_what_is_no_share_is_damaged_and_not_repeated_in_the_message(damage: str) -> None:
    with pytest.raises(RefusedError) as told:
        join_shares(named(SHARES[0], damage))

    assert told.value.code == "share_damaged"
    assert not any(word in str(told.value).split() for word in (*damage.split(), *SHARES[0].split()))


@pytest.mark.parametrize(
    "passphrase",
    ["tuulimylly-seitsemän-ruista", "x" * 43, PASSPHRASE + "A", PASSPHRASE[:-1], ""],
    ids=["own", "no-canonical-base64", "longer", "shorter", "empty"],
)
def test_passphrase_of_ones_own_is_not_split(passphrase: str) -> None:
    with pytest.raises(WrongUseError, match="passphrase_not_drawn"):
        split_passphrase(passphrase, 3, 2)


@pytest.mark.parametrize(("shares", "threshold"), [(3, 1), (2, 3), (17, 2), (1, 1), (0, 0)])
def test_numbers_that_protect_nobody_are_refused(shares: int, threshold: int) -> None:
    with pytest.raises(WrongUseError, match="shares_malformed"):
        split_passphrase(PASSPHRASE, shares, threshold)


def test_files_are_private_and_carry_instructions(tmp_path: Path) -> None:
    paths = write_shares(tmp_path / "shares", SHARES, 2)

    assert [path.name for path in paths] == ["custodian-1.txt", "custodian-2.txt", "custodian-3.txt"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert (tmp_path / "shares").stat().st_mode & 0o777 == 0o700
    text = paths[1].read_text()
    assert "Any 2 of the 3 shares" in text
    assert "dsr keys recover" in text
    assert [read_share(path).split() for path in paths] == [share.split() for share in SHARES]


def test_words_alone_however_they_were_typed_will_do(tmp_path: Path) -> None:
    typed = tmp_path / "typed.txt"
    typed.write_text("\n\t".join(SHARES[2].upper().split()) + "\n\n")

    assert join_shares(named(SHARES[0], read_share(typed))) == PASSPHRASE


def test_used_folder_is_refused(tmp_path: Path) -> None:
    write_shares(tmp_path / "shares", SHARES, 2)

    with pytest.raises(WrongUseError, match="share_folder_taken"):
        write_shares(tmp_path / "shares", SHARES, 2)


def run(*words: str | Path | int) -> Result:
    return CliRunner().invoke(keys, list(map(str, words)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> KeyDirectory:
    directory = tmp_path_factory.mktemp("keys") / "k"
    init(directory, "log.example/dsr")
    return KeyDirectory(directory)


def test_commands_split_and_recover_and_print_no_secret(made: KeyDirectory, tmp_path: Path) -> None:
    passphrase = made.passphrase_file.read_text().strip()
    split = run("split", made.path, "--into", tmp_path / "s", "--shares", 4, "--threshold", 3, "--json")
    shares = sorted((tmp_path / "s").iterdir())

    joined = run("recover", *shares[1:], "--into", tmp_path / "p", "--key-file", made.key_file)
    again = run("recover", *shares[1:], "--into", tmp_path / "p", "--key-file", made.key_file)

    assert (split.exit_code, joined.exit_code, again.exit_code) == (0, 0, 0)
    assert json.loads(split.output)["threshold"] == 3
    assert (tmp_path / "p").read_text().strip() == passphrase
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o600
    shown = split.output + joined.output
    assert passphrase not in shown
    assert not any(read_share(path).split()[-1] in shown.split() for path in shares)


def test_shares_of_another_key_file_write_nothing(made: KeyDirectory, tmp_path: Path) -> None:
    paths = write_shares(tmp_path / "s", SHARES, 2)

    done = run("recover", *paths, "--into", tmp_path / "p", "--key-file", made.key_file)

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "shares_of_another_file")
    assert not (tmp_path / "p").exists()


def test_another_passphrase_is_not_overwritten(made: KeyDirectory, tmp_path: Path) -> None:
    run("split", made.path, "--into", tmp_path / "s")
    (tmp_path / "p").write_text("something else that is long")
    (tmp_path / "p").chmod(0o600)

    done = run("recover", *(tmp_path / "s").iterdir(), "--into", tmp_path / "p", "--key-file", made.key_file)

    assert (done.exit_code, done.stderr.split(":")[0]) == (2, "passphrase_file")
    assert (tmp_path / "p").read_text() == "something else that is long"


@pytest.mark.parametrize("missing", ["share", "key"])
def test_missing_file_is_one_sentence(made: KeyDirectory, tmp_path: Path, missing: str) -> None:
    paths = write_shares(tmp_path / "s", SHARES, 2)
    shares = [tmp_path / "none"] if missing == "share" else paths
    key_file = tmp_path / "none" if missing == "key" else made.key_file

    done = run("recover", *shares, "--into", tmp_path / "p", "--key-file", key_file)

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
