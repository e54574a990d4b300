"""A line of a day's map with its path, as a file of its own: the text of a tlog-proof without a checkpoint.

Whoever has the proof of the day's leaf has the map's root and size, and needs no more (docs/formats/access-log.md).
"""

import base64
import binascii
import re
from typing import Final

from vault.accesslog.completeness import LINE_BYTES, ProvedLine, map_line, parse_map_line
from vault.accesslog.merkle import HASH_BYTES
from vault.errors import TamperedError

SUFFIX: Final = ".map-proof"
LONGEST_MAP_PROOF: Final = 8 * 1024  # bytes
_HEAD: Final = "dsr-vault/map-proof@v1"
_TEXT = re.compile(
    rf"{_HEAD}\nextra ([A-Za-z0-9+/]+=*)\nindex (0|[1-9][0-9]{{0,18}})((?:\n[A-Za-z0-9+/]{{43}}=){{0,63}})\n\n"
)


def render_map_proof(proof: ProvedLine) -> bytes:
    """Write a proved line; the inverse of :func:`parse_map_proof`."""
    line = map_line(proof.line.tag, proof.line.count, proof.line.last)
    steps = "".join(f"\n{_base(step)}" for step in proof.path)
    return f"{_HEAD}\nextra {_base(line)}\nindex {proof.index}{steps}\n\n".encode("ascii")


def parse_map_proof(data: bytes) -> ProvedLine:
    """Read a proved line; nothing is verified yet.

    :raises TamperedError: it is no canonical map proof.
    """
    found = _TEXT.fullmatch(data.decode("latin-1")) if len(data) <= LONGEST_MAP_PROOF else None
    try:
        line = base64.b64decode(found[1], validate=True) if found else b""
        path = tuple(base64.b64decode(step, validate=True) for step in found[3].split()) if found else ()
    except binascii.Error:
        raise _malformed() from None
    if found is None or len(line) != LINE_BYTES or any(len(step) != HASH_BYTES for step in path):
        raise _malformed()
    proof = ProvedLine(int(found[2]), parse_map_line(line), path)
    if render_map_proof(proof) != data:
        raise _malformed()
    return proof


def _base(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _malformed() -> TamperedError:
    return TamperedError("map_malformed", "this is no map proof of an access log; ask for it again")
