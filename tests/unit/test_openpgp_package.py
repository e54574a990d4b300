"""OpenPGP packages by the stock gpg: for one proved key, signed by ours, and nothing of it on a disk."""

import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.errors import OutOfReachError, RefusedError, TamperedError, WrongUseError
from vault.package import openpgp_package
from vault.package.archive import make_archive
from vault.package.openpgp_package import make_openpgp_package
from vault.settings import OpenPgpSettings
from vault.testing.controller import export_public, make_openpgp_home
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.places import private_directory

FILES = {"00-letter.pdf": b"%PDF letter", "visits.json": b'{"place":"Salainen paikka"}', "manifest.json": b"{}"}
_OLD = 0b1000_0000


@pytest.fixture(scope="module")
def homes() -> Iterator[Path]:
    path = private_directory("dsr-t-")
    yield path
    for home in path.iterdir():
        PgpHome(home, "").close()
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def requester(homes: Path) -> PgpHome:
    return make_pgp_home(homes / "r", "Eeva Requester", "eeva@post.example")


@pytest.fixture(scope="module")
def stranger(homes: Path) -> PgpHome:
    return make_pgp_home(homes / "s", "Stranger", "stranger@post.example")


@pytest.fixture(scope="module")
def controller(homes: Path, requester: PgpHome) -> OpenPgpSettings:
    settings = make_openpgp_home(homes / "c")
    requester.learn(export_public(settings))
    return settings


def unpack(home: PgpHome, package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(home.gpg("--decrypt", data=package))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_requester_opens_it_with_the_stock_gpg_and_sees_our_signature(
    requester: PgpHome, controller: OpenPgpSettings
) -> None:
    package = make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, controller)
    assert unpack(requester, package) == FILES
    assert list(unpack(requester, package)) == list(FILES)
    said = requester.gpg("--status-fd", "1", "--decrypt", data=package).decode("ascii", "replace")
    assert f"VALIDSIG {controller.fingerprint}" in said
    assert "GOODMDC" in said


def test_nobody_else_opens_it(requester: PgpHome, stranger: PgpHome, controller: OpenPgpSettings) -> None:
    package = make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, controller)
    listed = stranger.gpg("--list-only", "--list-packets", data=package).decode()
    assert listed.count(":pubkey enc packet:") == 1
    with pytest.raises(subprocess.CalledProcessError) as refused:
        stranger.gpg("--decrypt", data=package)
    assert b"No secret key" in refused.value.stderr
    assert b"Salainen" not in package


def test_without_a_key_of_ours_it_is_sealed_unsigned(requester: PgpHome) -> None:
    package = make_openpgp_package(FILES, requester.public_key(), requester.fingerprint.lower(), None, armour=True)
    assert package.startswith(b"-----BEGIN PGP MESSAGE-----")
    assert unpack(requester, package) == FILES


def test_the_key_must_be_the_one_that_was_proved(requester: PgpHome, stranger: PgpHome) -> None:
    both = requester.public_key() + stranger.public_key()
    joined = requester.gpg("--export", requester.fingerprint) + stranger.gpg("--export", stranger.fingerprint)
    for key, fingerprint in [
        (stranger.public_key(), requester.fingerprint),
        (both, requester.fingerprint),
        (armoured(joined, stranger), requester.fingerprint),
        (requester.public_key(), requester.fingerprint[-16:]),
        (requester.public_key(), ""),
        ("", requester.fingerprint),
        ("no key", requester.fingerprint),
    ]:
        with pytest.raises(RefusedError, match="recipient_key_other"):
            make_openpgp_package(FILES, key, fingerprint, None)


def armoured(binary: bytes, home: PgpHome) -> str:
    return home.gpg("--enarmor", data=binary).decode().replace("ARMORED FILE", "PUBLIC KEY BLOCK")


def packets(binary: bytes) -> list[bytes]:
    """Split a binary export into its packets (old format headers of one, two or four length bytes)."""
    found, at = [], 0
    while at < len(binary):
        assert binary[at] & 0b1100_0000 == _OLD
        size = 1 << (binary[at] & 0b11)
        end = at + 1 + size + int.from_bytes(binary[at + 1 : at + 1 + size], "big")
        found.append(binary[at:end])
        at = end
    return found


def test_a_strangers_subkey_slipped_under_the_proved_key_is_not_used(requester: PgpHome, stranger: PgpHome) -> None:
    ours = packets(requester.gpg("--export", requester.fingerprint))
    theirs = packets(stranger.gpg("--export", stranger.fingerprint))
    slipped = armoured(b"".join(ours[:3] + theirs[-2:]), stranger)
    with pytest.raises(RefusedError, match="recipient_key"):
        make_openpgp_package(FILES, slipped, requester.fingerprint, None)
    beside = armoured(b"".join(ours + theirs[-2:]), stranger)
    assert unpack(requester, make_openpgp_package(FILES, beside, requester.fingerprint, None)) == FILES


def test_a_key_that_is_expired_revoked_or_can_not_encrypt_is_refused(homes: Path) -> None:
    expired = PgpHome(homes / "e", "")
    (homes / "e").mkdir(mode=0o700)
    past = ["--faked-system-time", "20240101T000000", "--passphrase", ""]
    expired.gpg(*past, "--quick-generate-key", "E <e@post.example>", "future-default", "default", "10d")
    signing = PgpHome(homes / "g", "")
    (homes / "g").mkdir(mode=0o700)
    signing.gpg("--passphrase", "", "--quick-generate-key", "G <g@post.example>", "ed25519", "sign", "never")
    revoked = make_pgp_home(homes / "v", "V", "v@post.example")
    certificate = (homes / "v" / "openpgp-revocs.d" / f"{revoked.fingerprint}.rev").read_text(encoding="utf-8")
    revoked.learn(certificate.replace(":-----BEGIN", "-----BEGIN"))
    for home in (expired, signing, revoked):
        rows = home.gpg("--with-colons", "--list-keys").decode().splitlines()
        fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr:"))
        with pytest.raises(RefusedError, match="recipient_key_unusable"):
            make_openpgp_package(FILES, home.gpg("--armor", "--export").decode(), fingerprint, None)


def test_a_package_for_two_is_caught_before_it_leaves(
    requester: PgpHome, stranger: PgpHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.asc"
    other.write_text(stranger.public_key(), encoding="utf-8")
    monkeypatch.setattr(openpgp_package, "_STRONG", ("--recipient-file", str(other)))
    with pytest.raises(TamperedError, match="recipient_not_alone"):
        make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, None)


@pytest.mark.parametrize("receivers", [[], ["OURS", "OURS"], ["OURS", "THEIRS"], ["THEIRS"], ["0000000000000000"]])
def test_what_gpg_made_is_looked_at_again(
    receivers: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = openpgp_package._Run(0, b"package", (("END_ENCRYPTION",),))
    listed = openpgp_package._Run(0, b"", tuple(("ENC_TO", receiver, "18", "0") for receiver in receivers))
    monkeypatch.setattr(openpgp_package, "_gpg", lambda *_: listed)
    with pytest.raises(TamperedError, match="recipient_not_alone"):
        openpgp_package._prove(tmp_path, made, frozenset({"OURS"}), None)


def test_a_wrong_passphrase_or_fingerprint_of_ours_stops_the_package(
    requester: PgpHome, controller: OpenPgpSettings, tmp_path: Path
) -> None:
    wrong = tmp_path / "passphrase"
    wrong.touch(mode=0o600)
    wrong.write_text("another passphrase", encoding="utf-8")
    PgpHome(controller.home, "").close()  # the agent forgets
    bad = [
        controller.model_copy(update={"passphrase_file": wrong}),
        controller.model_copy(update={"fingerprint": "0" * 40}),
    ]
    for settings in bad:
        with pytest.raises(OutOfReachError, match="signing_failed"):
            make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, settings)
    wrong.write_text("", encoding="utf-8")
    with pytest.raises(WrongUseError, match="secret_empty"):
        make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, bad[0])


def test_nothing_is_left_and_nothing_is_learnt(
    requester: PgpHome, controller: OpenPgpSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(openpgp_package, "_memory_directory", lambda: str(tmp_path))
    make_openpgp_package(FILES, requester.public_key(), requester.fingerprint, controller)
    assert list(tmp_path.iterdir()) == []
    known = PgpHome(controller.home, "").gpg("--with-colons", "--list-keys").decode()
    assert requester.fingerprint not in known


def test_a_machine_without_gpg_is_out_of_reach(requester: PgpHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OutOfReachError, match="gpg_missing"):
        make_openpgp_package(FILES, "", requester.fingerprint, None)


def test_the_archive_is_the_same_for_the_same_files_and_stored_as_it_is() -> None:
    once = make_archive(FILES)
    assert once == make_archive(dict(FILES))
    assert FILES["visits.json"] in once
    with zipfile.ZipFile(io.BytesIO(once)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert make_archive({**FILES, "a.json": b""}) != once
