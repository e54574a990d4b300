"""A draft's digest: what a decision is bound to, so that what was approved is what is sent."""

import hashlib
from collections.abc import Sequence

from vault.domain.records import Json
from vault.package.canonical import canonical

FORMAT = "dsr-draft/1"


def digest(case_ref: str, version: int, docs: Sequence[tuple[str, str]]) -> bytes:
    """Give the 32 bytes that name one version of a case's draft.

    SHA-256 over canonical JSON (RFC 8785) of case, version and each file's name and SHA-256, in the
    order given.

    :param version: 1 or more; a redaction makes the next.
    :param docs: name and SHA-256 in lower-case hex of each file of each document, sorted by name.
    """
    documents: list[Json] = [{"id": identifier, "sha256": sha256} for identifier, sha256 in docs]
    value = canonical({"format": FORMAT, "case": case_ref, "version": version, "documents": documents})
    return hashlib.sha256(value).digest()
