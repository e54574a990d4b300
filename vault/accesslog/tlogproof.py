"""C2SP tlog-proof: one text that proves, offline, that one leaf stands in the log (c2sp.org/tlog-proof).

Our ``extra`` is the leaf itself. The format does not authenticate it; the proof does, because nothing but
these bytes hashes to what is proved. A map-proof is the same for a line of a closed day's map; what it leads to
stands in that day's leaf, so it ends where a checkpoint would follow.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vault.accesslog.completeness import ProvedLine, map_line, parse_map_line
from vault.accesslog.leaves import LONGEST_LEAF
from vault.accesslog.merkle import HASH_BYTES, LARGEST, leaf_hash, verify_inclusion
from vault.accesslog.notes import LONGEST_NOTE, Checkpoint, VerifierKey, open_checkpoint
from vault.errors import TamperedError

SUFFIX: Final = ".tlog-proof"
MAP_SUFFIX: Final = ".map-proof"
_HEAD: Final = "c2sp.org/tlog-proof@v1"
_MAP_HEAD: Final = "dsr-vault/map-proof@v1"
_EXTRA, _INDEX = "extra ", "index "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_MOST_STEPS = 63  # of a path in the largest tree
LONGEST_PROOF: Final = LONGEST_NOTE + 8 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof as it stands in its file.

    :param extra: the leaf, where the proof is one of ours; None where the file has no such line.
    :param index: the leaf's place, from 0.
    :param path: from the leaf's sibling to the root's child (RFC 6962 section 2.1.1).
    :param checkpoint: the signed note, with its cosignatures, as it was published.
    """

    extra: bytes | None
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


def render_proof(proof: TlogProof) -> bytes:
    """Write a proof; the inverse of :func:`parse_proof`."""
    return _render(_HEAD, proof)


def parse_proof(data: bytes) -> TlogProof:
    """Read a proof; nothing is verified yet.

    :raises TamperedError: it is no canonical tlog-proof.
    """
    return _parse(_HEAD, data)


def render_map_proof(proof: ProvedLine) -> bytes:
    """Write the proof of a map's line; the inverse of :func:`parse_map_proof`."""
    line = map_line(proof.line.tag, proof.line.count, proof.line.last)
    return _render(_MAP_HEAD, TlogProof(line, proof.index, proof.path, b""))


def parse_map_proof(data: bytes) -> ProvedLine:
    """Read the proof of a map's line; nothing is verified yet.

    :raises TamperedError: it is no canonical map-proof.
    """
    found = _parse(_MAP_HEAD, data)
    if found.extra is None or found.checkpoint:
        raise _malformed()
    return ProvedLine(found.index, parse_map_line(found.extra), found.path)


def verify_proof(proof: TlogProof, keys: VerifierKey | Sequence[VerifierKey], leaf: bytes | None = None) -> Checkpoint:
    """Check that a leaf stands in the log at the proof's index; give the checkpoint that says so.

    :param keys: the log's public keys.
    :param leaf: the leaf's bytes; else the proof's own ``extra``.
    :raises TamperedError: no leaf, not the log's checkpoint, or the leaf is not proved to stand there.
    """
    data = leaf if leaf is not None else proof.extra
    if data is None or len(data) > LONGEST_LEAF:
        raise TamperedError("proof_without_leaf", "the proof does not hold its leaf; give the leaf beside it")
    checkpoint = open_checkpoint(proof.checkpoint, keys)
    verify_inclusion(leaf_hash(data), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint


def _render(head: str, proof: TlogProof) -> bytes:
    extra = [] if proof.extra is None else [_EXTRA + _base(proof.extra)]
    lines = [head, *extra, f"{_INDEX}{proof.index}", *map(_base, proof.path), "", ""]
    return "\n".join(lines).encode("ascii") + proof.checkpoint


def _parse(expected: str, data: bytes) -> TlogProof:
    if len(data) > LONGEST_PROOF:
        raise _malformed()
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise _malformed() from None
    extra = _debase(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else None
    index = lines.pop(0) if lines else ""
    path = [_debase(line) for line in lines]
    if not blank or first != expected or not index.startswith(_INDEX) or len(path) > _MOST_STEPS:
        raise _malformed()
    proof = TlogProof(extra, _number(index.removeprefix(_INDEX)), tuple(path), checkpoint)
    if any(len(step) != HASH_BYTES for step in path) or _render(expected, proof) != data:
        raise _malformed()
    return proof


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= LARGEST:
        raise _malformed()
    return int(text)


def _base(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _debase(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None


def _malformed() -> TamperedError:
    return TamperedError("proof_malformed", "this is no proof of a log (c2sp.org/tlog-proof); ask for it again")
