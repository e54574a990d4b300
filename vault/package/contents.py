"""A package's files: the letter first, then what is withheld and why, the released bytes, the log, the manifest.

The files of released documents are exactly the bytes that were decided on. Names say what a file is
and nothing about anybody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vault.accesslog.notes import VerifierKey
from vault.errors import RefusedError
from vault.package.documents import Document
from vault.package.manifest import MANIFEST, SIGNATURE, make_manifest, sign_manifest

LETTER = "00-letter.pdf"
REFUSAL = "01-decision.pdf"
LOG_PDF, LOG_DATA = "log.pdf", "log.json"


@dataclass(frozen=True, slots=True)
class ManifestSigner:
    """Who signs manifests: the public half under its name, and what makes an Ed25519 signature of 64 bytes."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]


def package_files(
    case_ref: str,
    version: int,
    draft: bytes,
    *,
    letter: bytes,
    released: Mapping[str, bytes],
    refusal: bytes | None = None,
    log: Document | None = None,
    proofs: Mapping[str, bytes] | None = None,
    signer: ManifestSigner | None = None,
) -> dict[str, bytes]:
    """Gather a package's files in reading order, with their manifest.

    :param version: of the decided draft; ``draft`` is its digest, 32 bytes.
    :param letter: the answer letter, PDF; ``refusal`` the refusal document, where something is withheld.
    :param released: name -> bytes of the released documents' files, as they were decided on.
    :param log: the log extract; ``proofs`` are the files that prove it (:mod:`vault.package.logproofs`).
    :raises RefusedError: a released file takes the name of another file of the package.
    """
    files = {LETTER: letter}
    parts = [{REFUSAL: refusal} if refusal is not None else {}, released, files_of(log) if log else {}, proofs or {}]
    for part in parts:
        if files.keys() & part.keys():
            raise RefusedError("file_name_taken", "a document's name is taken in the package; draft anew", ref=case_ref)
        files |= part
    manifest = make_manifest(case_ref, version, draft, files)
    files[MANIFEST] = manifest
    if signer is not None:
        files[SIGNATURE] = sign_manifest(manifest, signer.key, signer.sign)
    return files


def files_of(document: Document) -> dict[str, bytes]:
    """Name a document's two files: as PDF and as data."""
    return {f"{document.id}.pdf": document.pdf, f"{document.id}.json": document.json()}
