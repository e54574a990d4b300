"""The log's signer in versions: added, promoted, retired, and never one step without the one before."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.accesslog.notes import Checkpoint, VerifierKey, open_checkpoint, parse_note, parse_vkeys
from vault.accesslog.publish import sign_checkpoint
from vault.crypto.custody import Custody, Keys, make_keys
from vault.crypto.holder import Versions
from vault.crypto.holder_bundle import MAGIC, parse_bundle
from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.keyfile import read_key_file, seal_keys, unseal_keys
from vault.crypto.roots import change_key_file
from vault.crypto.signerfile import MOST_VERSIONS, add_signer, list_vkey, promote_signer, retire_signer, vkey_of
from vault.crypto.signers import are_whole, base_of, held, slot
from vault.errors import NotAllowedError, RefusedError, TamperedError, UnknownFormatError, WrongUseError
from vault.testing.secondkeys import read_key_file as read_second

ONE = make_keys()
TWO = add_signer(ONE, "log")
SECOND = promote_signer(TWO, "log", 2)
ALONE = retire_signer(SECOND, "log", 1)
THREE = promote_signer(add_signer(SECOND, "log"), "log", 3)
ORIGIN = "clinic.example/log"
CHECKPOINT = Checkpoint(ORIGIN, 5, bytes(32))
PASSPHRASE = "correct horse battery staple"


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (ONE, ("log-1",)),
        (TWO, ("log-1",)),
        (SECOND, ("log-2", "log-1")),
        (ALONE, ("log-2",)),
        (THREE, ("log-3", "log-2", "log-1")),
        (promote_signer(SECOND, "log", 1), ("log-1",)),
        (retire_signer(THREE, "log", 2), ("log-3", "log-1")),
    ],
    ids=["one", "waiting", "promoted", "alone", "third", "back", "gap"],
)
def test_who_signs(keys: Keys, names: tuple[str, ...]) -> None:
    custody = Custody(keys)

    assert held(custody, "log") == names
    assert custody.public("log") == custody.public(names[0])
    for name in names:
        Ed25519PublicKey.from_public_bytes(custody.public(name)).verify(custody.sign(name, b"note"), b"note")


def test_the_first_key_keeps_its_place_and_the_desk_has_one() -> None:
    assert Custody(SECOND).public("log-1") == Custody(ONE).public("log")
    assert Custody(SECOND).public("log-2") != Custody(ONE).public("log")
    assert held(Custody(SECOND), "desk") == ("desk",)
    assert Custody(ONE).signers("desk") == Versions(1, (1,))


@pytest.mark.parametrize("name", ["log-3", "log-0", "log-01", "desk-1", "log-", "case", "logs", "log-2\n"])
def test_what_is_not_held_is_not_known(name: str) -> None:
    with pytest.raises(NotAllowedError):
        Custody(SECOND).sign(name, b"")
    with pytest.raises(NotAllowedError):
        Custody(SECOND).signers(name)


def test_a_retired_version_signs_no_more() -> None:
    with pytest.raises(NotAllowedError):
        Custody(ALONE).sign("log-1", b"")
    assert retire_signer(ALONE, "log", 1) == ALONE


def test_adding_again_before_it_is_promoted_adds_nothing() -> None:
    assert add_signer(TWO, "log") is TWO


@pytest.mark.parametrize(
    ("act", "error", "code"),
    [
        (lambda: promote_signer(ONE, "log", 2), WrongUseError, "signer_unknown"),
        (lambda: retire_signer(ONE, "log", 1), RefusedError, "signer_is_primary"),
        (lambda: retire_signer(SECOND, "log", 2), RefusedError, "signer_is_primary"),
        (lambda: add_signer(ONE, "desk"), WrongUseError, "signer_fixed"),
        (lambda: promote_signer(ONE, "case", 1), WrongUseError, "signer_fixed"),
    ],
    ids=["unknown", "first", "primary", "desk", "box"],
)
def test_a_step_too_far_is_refused(act: object, error: type[Exception], code: str) -> None:
    assert callable(act)
    with pytest.raises(error, match=code):
        act()


def test_versions_are_bounded() -> None:
    keys = ONE
    for number in range(2, MOST_VERSIONS + 1):
        keys = promote_signer(add_signer(keys, "log"), "log", number)

    with pytest.raises(RefusedError, match="signers_too_many"):
        add_signer(keys, "log")


@pytest.mark.parametrize("keys", [SECOND, ALONE], ids=["second", "alone"])
def test_the_key_file_holds_them_and_the_second_reader_reads_it(keys: Keys) -> None:
    file = seal_keys(keys, PASSPHRASE)

    assert unseal_keys(file, PASSPHRASE) == keys
    assert read_second(PASSPHRASE, file)["signers"] == dict(keys.signers)


@pytest.mark.parametrize(
    "keys",
    [
        replace(ONE, signing={"log": 2}),
        replace(ONE, signing={"log": 1}),
        replace(ONE, signing={"desk": 2}),
        replace(TWO, signers={name: seed for name, seed in TWO.signers.items() if name != "log"}),
        replace(ONE, signers={**ONE.signers, "log-1": bytes(32)}),
        replace(ONE, signers={**ONE.signers, "log-02": bytes(32)}),
        replace(ONE, signers={**ONE.signers, "desk-2": bytes(32)}),
        replace(ONE, signers={"desk": bytes(32), "log-2": bytes(32)}),
    ],
    ids=range(8),
)
def test_a_key_file_with_other_signers_is_refused(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.crypto.keyfile._stretch", lambda *_: bytes(32))  # Argon2 is tested elsewhere, and slow
    with pytest.raises(TamperedError):
        unseal_keys(seal_keys(keys, PASSPHRASE), PASSPHRASE)


def bundle(*names: str) -> bytes:
    body = {"box": {"case": "00", "print": "00"}, "signer": dict.fromkeys(sorted(names), "00")}
    return MAGIC + json.dumps(body, sort_keys=True).encode("ascii")


def test_a_bundle_holds_versions_and_no_other_names() -> None:
    assert set(parse_bundle(bundle("desk", "log", "log-2"), ("box", "signer"))["signer"]) == {"desk", "log", "log-2"}
    assert set(parse_bundle(bundle("desk", "log-2"), ("box", "signer"))["signer"]) == {"desk", "log-2"}
    for names in (("desk",), ("desk", "log", "log-1"), ("desk-2", "log"), ("desk", "log", "other")):
        with pytest.raises(UnknownFormatError):
            parse_bundle(bundle(*names), ("box", "signer"))


def test_names_have_one_place() -> None:
    assert [slot(name, {"log": 2}) for name in ("log", "log-1", "log-2", "desk")] == ["log-2", "log", "log-2", "desk"]
    assert [base_of(name) for name in ("log", "log-7", "desk", "log-x")] == ["log", "log", "desk", "log-x"]
    assert are_whole(["desk", "log"], {})
    assert not are_whole(["desk", "log"], {"log": 2})


def test_the_new_key_is_listed_first_and_once(tmp_path: Path) -> None:
    init(tmp_path / "k", ORIGIN)
    files = KeyDirectory(tmp_path / "k")
    file = files.public("log")
    before = file.read_text()
    keys = add_signer(read_key_file(files.key_file, files.passphrase_file), "log")
    vkey = vkey_of(Custody(keys), "log", 2, ORIGIN)

    assert list_vkey(file, vkey)
    assert not list_vkey(file, vkey)

    assert file.read_text() == f"{vkey}\n{before}"
    assert parse_vkeys(file.read_text())[0].key == Custody(keys).public("log-2")


def test_an_empty_machine_is_told_every_version_that_is_held(tmp_path: Path) -> None:
    init(tmp_path / "k", ORIGIN)
    files = KeyDirectory(tmp_path / "k")
    change_key_file(
        files.key_file, files.passphrase_file, lambda keys: promote_signer(add_signer(keys, "log"), "log", 2)
    )
    files.public("log").unlink()

    assert init(tmp_path / "k", ORIGIN) == ["log.vkey"]

    custody = Custody(read_key_file(files.key_file, files.passphrase_file))
    keys = parse_vkeys(files.public("log").read_text())
    assert [key.key for key in keys] == [custody.public(name) for name in held(custody, "log")]


@pytest.mark.parametrize("point", ["fsync", "fchmod", "rename"])
def test_a_kill_while_listing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    file = tmp_path / "log.vkey"
    file.write_text("old\n")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, point, killed)
    with pytest.raises(KeyboardInterrupt):
        list_vkey(file, "new")
    monkeypatch.undo()

    assert file.read_text() == "old\n"
    assert list_vkey(file, "new")
    assert file.read_text() == "new\nold\n"


@pytest.mark.parametrize("keys", [ONE, TWO, SECOND, THREE, ALONE], ids=["one", "two", "second", "three", "alone"])
def test_checkpoints_of_every_time_are_good_with_the_list(keys: Keys) -> None:
    now, everybody = Custody(keys), Custody(THREE)
    listed = [VerifierKey(ORIGIN, everybody.public(f"log-{number}")) for number in (3, 2, 1)]
    if keys in (ONE, TWO, SECOND, ALONE):
        listed = listed[1:]

    note = sign_checkpoint(CHECKPOINT, now)

    assert open_checkpoint(note, listed) == CHECKPOINT
    assert len(parse_note(note).signatures) == len(held(now, "log"))
    if keys is SECOND:  # who has not heard of the new key, and who forgot the old one
        assert open_checkpoint(note, listed[1:]) == open_checkpoint(note, listed[:1]) == CHECKPOINT
    if keys is ALONE:
        with pytest.raises(TamperedError):
            open_checkpoint(note, listed[1:])
