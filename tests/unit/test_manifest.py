"""The manifest: strict to read, canonical to write, signed with a note that others' tools know."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.notes import VerifierKey
from vault.errors import RefusedError, TamperedError, UnknownFormatError, UnreadableError
from vault.package.contents import ManifestSigner, package_files
from vault.package.documents import Document
from vault.package.draft import digest
from vault.package.manifest import make_manifest, read_manifest, sign_manifest, verify_signature
from vault.testing.answers import CASE

DRAFT = bytes(range(32))
FILES = {"visits.pdf": b"%PDF", "visits.json": b"{}"}
WRITTEN = (
    b'{"case":"DSR-2026-7K3QXM","draft":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"files":[{"media_type":"application/json","name":"visits.json",'
    b'"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},'
    b'{"media_type":"application/pdf","name":"visits.pdf",'
    b'"sha256":"3fb9a9d2f5e7b2b5f0a1b7f9b0c1a1a2","size":4}],"format":"dsr-manifest/1","version":3}'
)


def signer() -> tuple[Ed25519PrivateKey, VerifierKey]:
    private = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    return private, VerifierKey("clinic.example/packages", private.public_key().public_bytes_raw())


def test_the_manifest_is_written_as_the_format_says() -> None:
    expected = WRITTEN.replace(b"3fb9a9d2f5e7b2b5f0a1b7f9b0c1a1a2", sha256(b"%PDF").hexdigest().encode())
    assert make_manifest(CASE, 3, DRAFT, FILES) == expected


def test_the_order_of_files_does_not_matter() -> None:
    assert make_manifest(CASE, 3, DRAFT, FILES) == make_manifest(CASE, 3, DRAFT, dict(reversed(FILES.items())))


@pytest.mark.parametrize(
    "name", ["Eeva Kääriäinen.pdf", "../x.pdf", "x.exe", "manifest.json", "", "a/b.json", "-x.pdf", "x.pdf\n"]
)
def test_a_name_that_may_say_too_much_is_refused(name: str) -> None:
    with pytest.raises(UnreadableError, match="manifest_malformed"):
        make_manifest(CASE, 1, DRAFT, {name: b""})


def changed(**changes: object) -> bytes:
    value = json.loads(make_manifest(CASE, 3, DRAFT, FILES)) | changes
    return json.dumps(
        {key: inner for key, inner in value.items() if inner is not None}, separators=(",", ":"), sort_keys=True
    ).encode()


def file_entry(**changes: object) -> list[dict[str, object]]:
    entry = {"media_type": "application/pdf", "name": "a.pdf", "sha256": "0" * 64, "size": 1}
    return [{**entry, **changes}]


def test_an_unchanged_manifest_is_read() -> None:
    read = read_manifest(changed())
    assert (read.case_ref, read.version, read.draft) == (CASE, 3, DRAFT.hex())
    assert read.files["visits.json"] == (sha256(b"{}").hexdigest(), 2)
    assert read_manifest(changed(files=file_entry())).files == {"a.pdf": ("0" * 64, 1)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"null",
        b"[" * 100_000,
        b" " + changed(),
        changed() + b"\n",
        changed(extra=1),
        changed(case=None),
        changed(case="DSR-2026-7K3QXI"),
        changed(case=["x"]),
        changed(version=0),
        changed(version=True),
        changed(version="1"),
        changed(draft="00"),
        changed(draft=DRAFT.hex().upper()),
        changed(files={}),
        changed(files=[1]),
        changed(files=file_entry() * 2),
        changed(files=file_entry(size=-1)),
        changed(files=file_entry(size=1.5)),
        changed(files=file_entry(sha256="0" * 63)),
        changed(files=file_entry(name="A.pdf")),
        changed(files=file_entry(name="manifest.json")),
        changed(files=file_entry(media_type="text/html")),
        changed(files=file_entry(more=1)),
    ],
)
def test_what_the_program_would_not_write_is_not_read(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="manifest_malformed"):
        read_manifest(data)


def test_an_unknown_version_is_named_as_such() -> None:
    with pytest.raises(UnknownFormatError, match="manifest_format"):
        read_manifest(changed(format="dsr-manifest/2"))


def test_a_signature_is_a_note_over_case_and_hash() -> None:
    private, key = signer()
    manifest = make_manifest(CASE, 3, DRAFT, FILES)
    note = sign_manifest(manifest, key, private.sign)
    text, _, line = note.decode().partition("\n\n")
    assert text == f"dsr-package/v1\n{CASE}\n{sha256(manifest).hexdigest()}"
    assert line.startswith("\u2014 clinic.example/packages ")
    private.public_key().verify(base64.b64decode(line.split(" ")[2])[4:], f"{text}\n".encode())
    verify_signature(manifest, note, key)


def test_a_signature_of_another_manifest_or_key_is_refused() -> None:
    private, key = signer()
    manifest, other = make_manifest(CASE, 3, DRAFT, FILES), make_manifest(CASE, 4, DRAFT, FILES)
    note = sign_manifest(manifest, key, private.sign)
    with pytest.raises(TamperedError, match="note_for_another"):
        verify_signature(other, note, key)
    with pytest.raises(TamperedError, match="note_not_signed"):
        verify_signature(manifest, note, VerifierKey("clinic.example/packages", bytes(32)))
    with pytest.raises(TamperedError):
        verify_signature(manifest, note.replace(CASE.encode(), b"DSR-2026-7K3QXN"), key)


def test_a_package_lists_letter_decision_released_log_manifest_in_this_order() -> None:
    private, key = signer()
    log = Document("log", "Lokiote", (), b"%PDF-log", {"uses": []})
    files = package_files(
        CASE, 3, DRAFT, letter=b"L", released=FILES, refusal=b"R", log=log, signer=ManifestSigner(key, private.sign)
    )
    assert list(files) == [
        *("00-letter.pdf", "01-decision.pdf", "visits.pdf", "visits.json"),
        *("log.pdf", "log.json", "manifest.json", "manifest.note"),
    ]
    assert {name: files[name] for name in FILES} == FILES
    manifest = read_manifest(files["manifest.json"])
    assert set(manifest.files) == set(files) - {"manifest.json", "manifest.note"}
    verify_signature(files["manifest.json"], files["manifest.note"], key)


def test_without_refusal_log_and_signer_there_is_less() -> None:
    assert list(package_files(CASE, 3, DRAFT, letter=b"L", released={})) == ["00-letter.pdf", "manifest.json"]


@pytest.mark.parametrize("name", ["00-letter.pdf", "01-decision.pdf", "log.json"])
def test_a_document_can_not_take_the_place_of_another_file(name: str) -> None:
    log = Document("log", "Lokiote", (), b"%PDF-log", {})
    with pytest.raises(RefusedError, match="file_name_taken"):
        package_files(CASE, 3, DRAFT, letter=b"L", released={name: b"x"}, refusal=b"R", log=log)


def test_the_digest_is_the_hash_of_the_canonical_listing() -> None:
    listed = f'[{{"id":"visits.pdf","sha256":"{"0" * 64}"}}]'
    text = f'{{"case":"{CASE}","documents":{listed},"format":"dsr-draft/1","version":2}}'
    assert digest(CASE, 2, [("visits.pdf", "0" * 64)]) == sha256(text.encode()).digest()


@pytest.mark.parametrize(
    "other",
    [
        ("DSR-2026-7K3QXN", 2, [("a", "0" * 64), ("b", "1" * 64)]),
        (CASE, 3, [("a", "0" * 64), ("b", "1" * 64)]),
        (CASE, 2, [("a", "0" * 64), ("b", "2" * 64)]),
        (CASE, 2, [("a", "0" * 64), ("c", "1" * 64)]),
        (CASE, 2, [("b", "1" * 64), ("a", "0" * 64)]),
        (CASE, 2, [("a", "0" * 64)]),
    ],
)
def test_any_other_case_version_or_document_has_another_digest(other: tuple[str, int, list[tuple[str, str]]]) -> None:
    assert digest(CASE, 2, [("a", "0" * 64), ("b", "1" * 64)]) != digest(*other)
