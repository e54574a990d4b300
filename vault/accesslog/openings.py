"""Checks that what each entry of a bundle says is what was sealed when the look was made; this one file is enough.

    python openings.py [DIR]

It needs Python 3.11 and the package `cryptography`, and imports nothing of the program that wrote the bundle. First
let standalone.py prove that the leaves stand in the log. A leaf holds the hashes of two envelopes, what was looked
at and who looked; each comes with a key that opens it and no other. Exit code 0: all agrees; 1: it does not.
The envelope is c2sp.org/chunked-encryption with AES-256-GCM and one chunk, behind a format byte.
"""

import base64
import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEAD = 1 + 24 + 32  # the envelope's format, salt and commitment
PROOF = re.compile(rb"c2sp\.org/tlog-proof@v1\nextra ([A-Za-z0-9+/]+=*)\nindex (0|[1-9][0-9]{0,18})\n")
LARGEST = 1 << 20  # bytes of a file


class WrongError(Exception):
    """What does not agree."""


def read(path: Path) -> bytes:
    """Read a file that is not too large."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise WrongError("the file is too large")
    return data


def opened(part: dict[str, Any], committed: str) -> dict[str, Any]:
    """Open an envelope with its own key, if it is the one that the leaf holds the hash of."""
    envelope = base64.b64decode(part["envelope"], validate=True)
    if sha256(envelope + bytes.fromhex(part.get("mark", ""))).hexdigest() != committed:
        raise WrongError("this is not the envelope that the leaf holds the hash of")
    try:
        plain = AESGCM(bytes.fromhex(part["key"])).decrypt(bytes.fromhex(part["nonce"]), envelope[HEAD:], None)
    except InvalidTag:
        raise WrongError("the key does not open the envelope") from None
    said: dict[str, Any] = json.loads(plain)
    if said != part["says"]:
        raise WrongError("what stands here is not what was sealed")
    return said


def check(path: Path) -> str:
    """Check one entry; tell it in a line."""
    found = PROOF.match(read(path.with_suffix(".tlog-proof")))
    entry = json.loads(read(path))
    if found is None or int(found[2]) != entry["index"]:
        raise WrongError("there is no proof of this entry's leaf")
    leaf = json.loads(base64.b64decode(found[1], validate=True))
    said = opened(entry["entry"], leaf["entry"])
    if said["case"] != leaf["case"] or said["at"][:19] + "Z" != leaf["time"]:
        raise WrongError("time or case are not those of the leaf")
    who = opened(entry["staff"], leaf["staff"]) if "staff" in entry else None
    reader = f"{who['actor_name']} ({who['actor']})" if who else said["role"]
    return f"{said['at']}  {said['purpose']}  {reader}  {', '.join(said['kinds'])}  {said['outcome']}"


def main() -> int:
    """Check every entry of a bundle."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "entries"
    lines = []
    for path in sorted(folder.glob("*.json")):
        try:
            lines.append(check(path))
        except (WrongError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            sys.stderr.write(f"THIS DOES NOT AGREE: {path.name}: {error}\n")
            return 1
    sys.stdout.write("\n".join([*lines, f"{len(lines)} entries say what was sealed", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
