"""The manifest: every file of a package with its size and SHA-256, as canonical JSON (RFC 8785), and its signature.

Names of files say what they are and nothing about anybody. ``docs/formats/package.md`` describes
every member. The signature is a C2SP signed note beside the manifest, so that others' tools can check it.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vault.accesslog.notes import Note, Signature, VerifierKey, parse_note, render_note, verify_note
from vault.domain.case import REFERENCE
from vault.domain.records import Json
from vault.errors import TamperedError, UnknownFormatError, UnreadableError
from vault.package.canonical import canonical, sha256_hex

FORMAT = "dsr-manifest/1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.note"
LONGEST = 1_000_000  # bytes of a manifest
_NOTE = "dsr-package/v1"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.(pdf|json|tlog-proof|map-proof)")
_HEX = re.compile(r"[0-9a-f]{64}")
_TYPES = {
    "pdf": "application/pdf",
    "json": "application/json",
    "tlog-proof": "text/plain",
    "map-proof": "text/plain",
}
_MEMBERS = frozenset({"format", "case", "version", "draft", "files"})
_FILE_MEMBERS = frozenset({"name", "sha256", "size", "media_type"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package holds.

    :param version: of the draft that was decided on; ``draft`` is its digest in hex.
    :param files: name -> (SHA-256 in hex, size in bytes).
    """

    case_ref: str
    version: int
    draft: str
    files: Mapping[str, tuple[str, int]]


def make_manifest(case_ref: str, version: int, draft: bytes, files: Mapping[str, bytes]) -> bytes:
    """Write the manifest of a package.

    :param draft: the digest of the decided draft, 32 bytes.
    :param files: name -> bytes; everything that goes into the package besides the manifest and its signature.
    :raises UnreadableError: a file's name is not of the form ``visits.pdf``.
    """
    listed = {name: (sha256_hex(data), len(data)) for name, data in sorted(files.items())}
    written = render_manifest(Manifest(case_ref, version, draft.hex(), listed))
    read_manifest(written)
    return written


def render_manifest(manifest: Manifest) -> bytes:
    """Write a manifest; the inverse of :func:`read_manifest`."""
    listed: list[Json] = [
        {"name": name, "sha256": sha256, "size": size, "media_type": media_type(name)}
        for name, (sha256, size) in sorted(manifest.files.items())
    ]
    value: dict[str, Json] = {"format": FORMAT, "case": manifest.case_ref, "version": manifest.version}
    return canonical(value | {"draft": manifest.draft, "files": listed})


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest, strictly: what is read renders to the same bytes.

    :raises UnknownFormatError: another version of the format.
    :raises UnreadableError: it is no canonical manifest.
    """
    try:
        value = json.loads(data) if len(data) <= LONGEST else None
    except (ValueError, RecursionError):
        value = None
    if (
        isinstance(value, dict)
        and str(value.get("format", "")).startswith("dsr-manifest/")
        and value["format"] != FORMAT
    ):
        raise UnknownFormatError("manifest_format", "this release doesn't know this manifest's format; use a newer one")
    manifest = _parsed(value)
    if manifest is None or render_manifest(manifest) != data:
        raise UnreadableError(
            "manifest_malformed", "the manifest is not as the program writes it; ask for a new package"
        )
    return manifest


def media_type(name: str) -> str:
    """Give the media type of a file in a package, by its name's end."""
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def sign_manifest(manifest: bytes, key: VerifierKey, sign: Callable[[bytes], bytes]) -> bytes:
    """Write the signed note that stands beside a manifest.

    :param key: the signer's name and public half.
    :param sign: makes an Ed25519 signature of 64 bytes.
    """
    text = _note_text(manifest)
    return render_note(Note(text, (Signature(key.name, key.identifier, sign(text.encode())),)))


def verify_signature(manifest: bytes, note: bytes, key: VerifierKey) -> None:
    """Check that this key signed this manifest.

    :raises TamperedError: it did not, or the note is about another manifest.
    """
    read = parse_note(note)
    verify_note(read, key)
    if read.text != _note_text(manifest):
        raise TamperedError("note_for_another", "the signature is about another manifest; ask for a new package")


def _note_text(manifest: bytes) -> str:
    return f"{_NOTE}\n{read_manifest(manifest).case_ref}\n{sha256_hex(manifest)}\n"


def _parsed(value: object) -> Manifest | None:
    if not isinstance(value, dict) or value.keys() != _MEMBERS or not _plain_types(value):
        return None
    files = {}
    for entry in value["files"]:
        if not _file_fits(entry) or entry["name"] in files:
            return None
        files[entry["name"]] = (entry["sha256"], entry["size"])
    return Manifest(value["case"], value["version"], value["draft"], files)


def _plain_types(value: Mapping[str, object]) -> bool:
    case, version, draft = value["case"], value["version"], value["draft"]
    return (
        isinstance(case, str)
        and REFERENCE.fullmatch(case) is not None
        and type(version) is int
        and version > 0
        and isinstance(draft, str)
        and _HEX.fullmatch(draft) is not None
        and isinstance(value["files"], list)
    )


def _file_fits(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.keys() != _FILE_MEMBERS:
        return False
    name, sha256, size = entry["name"], entry["sha256"], entry["size"]
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and name not in (MANIFEST, SIGNATURE)
        and isinstance(sha256, str)
        and _HEX.fullmatch(sha256) is not None
        and type(size) is int
        and size >= 0
    )
