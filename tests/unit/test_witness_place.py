"""A witness's directory: key and state are made once, private, and never one without the other."""

import stat
from http import HTTPStatus
from pathlib import Path

import pytest

from vault.accesslog.notes import render_vkeys
from vault.accesslog.witness.keys import WitnessPlace, init, parse_signer, render_signer
from vault.accesslog.witness.state import State
from vault.errors import TamperedError, WrongUseError
from vault.testing.witness import NAME, SignedLog, days_of_looks, witness_of


@pytest.fixture
def log() -> SignedLog:
    return SignedLog(days_of_looks(days=1, looks=9, subjects=3))


def test_key_and_state_are_private_and_stay(tmp_path: Path, log: SignedLog) -> None:
    place, keys = WitnessPlace(tmp_path / "w"), render_vkeys([log.key])

    made = init(place.path, NAME, keys)
    before = place.key_file.read_bytes()

    assert sorted(made) == ["log.vkey", "witness.key", "witness.sqlite", "witness.vkey"]
    assert init(place.path, NAME, keys) == []
    assert place.key_file.read_bytes() == before
    for path in (place.key_file, place.state_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signer = parse_signer(before.decode().strip())
    assert render_signer(signer) + "\n" == before.decode()
    assert repr(signer) == "Signer()"


def test_a_key_without_its_state_cosigns_nothing_more(tmp_path: Path, log: SignedLog) -> None:
    witness_of(log, tmp_path)
    WitnessPlace(tmp_path).state_file.unlink()

    with pytest.raises(WrongUseError, match="witness_state_missing"):
        WitnessPlace(tmp_path).open()
    with pytest.raises(WrongUseError, match="witness_state_missing"):
        init(tmp_path, NAME, render_vkeys([log.key]))


def test_a_state_without_its_key_gets_a_new_one_only_before_the_first_cosignature(
    tmp_path: Path, log: SignedLog
) -> None:
    log.publish(1)
    witness_of(log, tmp_path)
    WitnessPlace(tmp_path).key_file.unlink()
    WitnessPlace(tmp_path).vkey_file.unlink()
    witness = witness_of(log, tmp_path)  # as after a kill between state and key
    assert witness.add_checkpoint(log.request(0, 1)).status == HTTPStatus.OK
    WitnessPlace(tmp_path).key_file.unlink()

    with pytest.raises(WrongUseError, match="witness_key_lost"):
        witness_of(log, tmp_path)


def test_another_s_key_or_state_is_refused(tmp_path: Path, log: SignedLog) -> None:
    witness_of(log, tmp_path / "a")
    witness_of(log, tmp_path / "b")
    a, b = WitnessPlace(tmp_path / "a"), WitnessPlace(tmp_path / "b")
    a.key_file.write_bytes(b.key_file.read_bytes())

    with pytest.raises(WrongUseError, match="witness_key_differs"):
        a.open()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, log: SignedLog) -> None:
    witness_of(log, tmp_path)
    WitnessPlace(tmp_path).key_file.chmod(0o640)

    with pytest.raises(WrongUseError, match="key_file_readable"):
        WitnessPlace(tmp_path).open()


def test_a_damaged_state_is_refused(tmp_path: Path, log: SignedLog) -> None:
    witness = witness_of(log, tmp_path)
    WitnessPlace(tmp_path).state_file.write_bytes(b"no database" * 1000)

    with pytest.raises(TamperedError, match="witness_state_damaged"):
        witness.add_checkpoint(log.request(0, 1))


def test_an_unfit_name_makes_nothing(tmp_path: Path, log: SignedLog) -> None:
    with pytest.raises(WrongUseError, match="witness_name"):
        init(tmp_path / "w", "two words", render_vkeys([log.key]))

    assert not (tmp_path / "w").exists()


def test_the_state_is_never_made_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="witness_state_missing"):
        State(tmp_path / "witness.sqlite")

    assert list(tmp_path.iterdir()) == []
