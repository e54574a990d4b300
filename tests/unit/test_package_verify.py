"""`dsr package verify`: every change to a package is found, whatever it is kept in."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.notes import VerifierKey, render_vkey
from vault.cli.package import package
from vault.package.archive import make_archive
from vault.package.contents import ManifestSigner, package_files
from vault.package.documents import render_documents
from vault.package.letters import answer_letter
from vault.package.pdf_package import make_pdf_package
from vault.testing.answers import CASE, CONTROLLER, MADE, heading, make_record

PHRASE = "008j4-ct4an-k7f24-snaxw-sqfez"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEY = VerifierKey("clinic.example/packages", PRIVATE.public_key().public_bytes_raw())
Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def files() -> Mapping[str, bytes]:
    document = render_documents([make_record("visit", {"place": "Kalevankatu"})], "fi", CONTROLLER, CASE, MADE)[0]
    letter = answer_letter(heading(), None, [], received=MADE.date())
    released = {"visits.pdf": document.pdf, "visits.json": document.json()}
    signer = ManifestSigner(KEY, PRIVATE.sign)
    return package_files(CASE, 1, bytes(32), letter=letter, released=released, signer=signer)


def verify(path: Path, *options: str, typed: str = "") -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(package, ["verify", str(path), "--json", *options], input=typed)
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, answer


def in_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def in_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(make_archive(files))
    return path


def in_pdf(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(make_pdf_package(files, PHRASE, title=CASE, language="fi"))
    return path


KEEPERS = pytest.mark.parametrize("keep", [in_folder, in_archive, in_pdf])


@KEEPERS
def test_a_whole_package_is_told_whole(keep: Callable[..., Path], files: Mapping[str, bytes], tmp_path: Path) -> None:
    path = keep(tmp_path / "package", files)
    code, answer = verify(path, "--key", render_vkey(KEY), "--passphrase-file", "-", typed=f"{PHRASE}\n")
    assert (code, answer["ok"], answer["faults"]) == (0, True, [])
    assert answer["manifest"]["case"] == CASE
    assert [file["name"] for file in answer["manifest"]["files"]] == ["00-letter.pdf", "visits.json", "visits.pdf"]


def drop(name: str) -> Change:
    def change(files: dict[str, bytes]) -> None:
        del files[name]

    return change


def put(name: str, data: bytes) -> Change:
    return lambda files: files.update({name: data})


def flip(name: str) -> Change:
    return lambda files: files.update({name: files[name][:-3] + b"?" + files[name][-2:]})


CHANGES = [
    (drop("visits.json"), ("file_missing", "visits.json")),
    (flip("visits.json"), ("file_changed", "visits.json")),
    (flip("00-letter.pdf"), ("file_changed", "00-letter.pdf")),
    (put("visits.json", b""), ("file_changed", "visits.json")),
    (put("extra.json", b"{}"), ("file_unlisted", "extra.json")),
    (drop("manifest.json"), ("manifest_missing", "manifest.json")),
    (flip("manifest.json"), ("manifest_malformed", "manifest.json")),
    (drop("manifest.note"), ("signature_missing", "manifest.note")),
    (put("manifest.note", b"no note"), ("signature_wrong", "manifest.note")),
]


@KEEPERS
@pytest.mark.parametrize(("change", "fault"), CHANGES)
def test_each_change_is_found_and_named(
    keep: Callable[..., Path], change: Change, fault: tuple[str, str], files: Mapping[str, bytes], tmp_path: Path
) -> None:
    changed = dict(files)
    change(changed)
    path = keep(tmp_path / "package", changed)
    code, answer = verify(path, "--key", render_vkey(KEY), "--passphrase-file", "-", typed=PHRASE)
    assert (code, answer["ok"]) == (1, False)
    assert {"code": fault[0], "file": fault[1]} in answer["faults"]


def test_every_fault_is_told(files: Mapping[str, bytes], tmp_path: Path) -> None:
    changed = {name: data + b" " for name, data in files.items() if not name.startswith("manifest")}
    path = in_folder(tmp_path / "package", {**files, **changed})
    assert [fault["file"] for fault in verify(path)[1]["faults"]] == ["00-letter.pdf", "visits.json", "visits.pdf"]


def test_without_a_key_a_signature_is_not_asked_for(files: Mapping[str, bytes], tmp_path: Path) -> None:
    changed = dict(files)
    del changed["manifest.note"]
    assert verify(in_folder(tmp_path / "package", changed))[0] == 0


def test_another_key_did_not_sign(files: Mapping[str, bytes], tmp_path: Path) -> None:
    other = render_vkey(VerifierKey("clinic.example/packages", bytes(32)))
    assert verify(in_folder(tmp_path / "package", files), "--key", other)[1]["faults"][0]["code"] == "signature_wrong"


def test_a_name_that_stands_twice_is_found(files: Mapping[str, bytes], tmp_path: Path) -> None:
    path = in_archive(tmp_path / "package.zip", files)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("visits.json", files["visits.json"])
    assert verify(path)[1]["faults"] == [{"code": "file_twice", "file": "visits.json"}]


def test_pages_that_are_not_those_of_the_documents_are_found(files: Mapping[str, bytes], tmp_path: Path) -> None:
    path = in_pdf(tmp_path / "package.pdf", files)
    with pikepdf.open(path, password=PHRASE, allow_overwriting_input=True) as pdf:
        pdf.pages.append(pdf.pages[0])
        pdf.save(path)
    assert verify(path)[1]["faults"] == [{"code": "pages_differ", "file": None}]


@pytest.mark.parametrize(("phrase", "code"), [(PHRASE, 0), (PHRASE.replace("-", ""), 0), (PHRASE.upper(), 2), ("", 2)])
def test_the_passphrase_opens_with_and_without_hyphens(
    phrase: str, code: int, files: Mapping[str, bytes], tmp_path: Path
) -> None:
    path = in_pdf(tmp_path / "package.pdf", files)
    held = tmp_path / "phrase"
    held.write_text(phrase, encoding="utf-8")
    assert verify(path, "--passphrase-file", str(held))[0] == code


def sealed(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "package_unknown"),
        (b"hello", "package_unknown"),
        (b"-----BEGIN PGP MESSAGE-----", "package_encrypted"),
        (b"\x85\x01\x0c", "package_encrypted"),
        (b"PK\x03\x04 and then nothing", "archive_damaged"),
        (b"%PDF-1.7 and then nothing", "pdf_damaged"),
        (sealed({"a.json": b"{}"}), "archive_strange"),
    ],
)
def test_what_is_no_package_gets_a_clear_word(data: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_bytes(data)
    exit_code, answer = verify(path)
    assert (exit_code, answer["error"]) == (1, code)


def test_a_folder_with_something_else_in_it_is_refused(files: Mapping[str, bytes], tmp_path: Path) -> None:
    path = in_folder(tmp_path / "package", files)
    (path / "visits.json").unlink()
    (path / "visits.json").symlink_to("/etc/hostname")
    assert verify(path)[1]["error"] == "package_strange"


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("nowhere", (), "package_missing"),
        (".", ("--key", "nonsense"), "verifier_key_malformed"),
        (".", ("--passphrase-file", "nowhere"), "passphrase_missing"),
    ],
)
def test_wrong_use_is_told(path: str, options: tuple[str, ...], error: str, tmp_path: Path) -> None:
    exit_code, answer = verify(tmp_path / path, *options)
    assert (exit_code, answer["error"]) == (2, error)


def test_a_person_reads_lines(files: Mapping[str, bytes], tmp_path: Path) -> None:
    path = in_folder(tmp_path / "package", files)
    good = CliRunner().invoke(package, ["verify", str(path)])
    (path / "visits.json").write_bytes(b"{}")
    bad = CliRunner().invoke(package, ["verify", str(path)])
    assert (good.exit_code, good.output) == (0, f"{CASE}: 3 files, all as the manifest says\n")
    assert (bad.exit_code, bad.output) == (1, "file_changed: visits.json\n")
