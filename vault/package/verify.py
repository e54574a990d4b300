"""Checking a package: every file that the manifest lists is there, whole and unchanged, and nothing else is.

All faults are told, not only the first. A manifest alone proves that the files belong together; who
made them is proved by its signature, or by the seal around the package.
"""

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pikepdf

from vault.accesslog.notes import VerifierKey
from vault.errors import TamperedError, UnknownFormatError, UnreadableError
from vault.package.canonical import sha256_hex
from vault.package.container import Opened, open_container, page_digests
from vault.package.manifest import MANIFEST, SIGNATURE, Manifest, read_manifest, verify_signature


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: a stable code, and the file that it is about, if it is about one.

    Codes: ``manifest_missing``, ``manifest_malformed``, ``manifest_format``, ``file_missing``,
    ``file_changed``, ``file_unlisted``, ``file_twice``, ``pages_differ``, ``signature_missing``,
    ``signature_wrong``.
    """

    code: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; ``ok`` when there is no fault."""

    manifest: Manifest | None
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Tell whether the package is whole."""
        return not self.faults


def verify_package(path: Path, key: VerifierKey | None = None, passphrase: str | None = None) -> Verdict:
    """Check a package.

    :param path: a folder, a ZIP archive or a PDF.
    :param key: whose signature the manifest must bear; None asks for none.
    :param passphrase: of an encrypted PDF.
    :raises WrongUseError: no such file, or a wrong passphrase.
    :raises UnreadableError: it can't be read as a package at all.
    """
    return verify_files(open_container(path, passphrase), key)


def verify_files(opened: Opened, key: VerifierKey | None = None) -> Verdict:
    """Check the files of an opened package; the same as :func:`verify_package`."""
    written = opened.files.get(MANIFEST)
    if written is None:
        return Verdict(None, (Fault("manifest_missing", MANIFEST),))
    try:
        manifest = read_manifest(written)
    except (UnreadableError, UnknownFormatError) as error:
        return Verdict(None, (Fault(error.code, MANIFEST),))
    faults = [Fault("file_twice", name) for name in opened.twice]
    faults += _file_faults(manifest, opened.files)
    if opened.pages is not None and Counter(opened.pages) != _pages(opened.files):
        faults.append(Fault("pages_differ"))
    if key is not None:
        faults += _signature_faults(written, opened.files.get(SIGNATURE), key)
    return Verdict(manifest, tuple(faults))


def _file_faults(manifest: Manifest, files: Mapping[str, bytes]) -> list[Fault]:
    faults = []
    for name, (sha256, size) in manifest.files.items():
        if name not in files:
            faults.append(Fault("file_missing", name))
        elif (len(files[name]), sha256_hex(files[name])) != (size, sha256):
            faults.append(Fault("file_changed", name))
    unlisted = files.keys() - manifest.files.keys() - {MANIFEST, SIGNATURE}
    return faults + [Fault("file_unlisted", name) for name in sorted(unlisted)]


def _pages(files: Mapping[str, bytes]) -> Counter[bytes]:
    """Count the pages of the attached PDFs by their content; a file that is no PDF has none."""
    counted: Counter[bytes] = Counter()
    for name, data in files.items():
        if name.endswith(".pdf"):
            try:
                with pikepdf.open(io.BytesIO(data)) as pdf:
                    counted.update(page_digests(pdf))
            except (pikepdf.PdfError, ValueError):
                continue
    return counted


def _signature_faults(manifest: bytes, note: bytes | None, key: VerifierKey) -> list[Fault]:
    if note is None:
        return [Fault("signature_missing", SIGNATURE)]
    try:
        verify_signature(manifest, note, key)
    except TamperedError:
        return [Fault("signature_wrong", SIGNATURE)]
    return []
