"""Wrapped keys, sealed keys and key files of every release stay readable; each faulty one gives its one refusal."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from vault.crypto.boxes import open_key
from vault.crypto.custody import Custody, Keys, make_keys
from vault.crypto.keyfile import unseal_keys
from vault.errors import TamperedError, UnknownFormatError, VaultError

Fields = dict[str, str]

VECTORS = sorted(Path(__file__).with_name("keys").glob("*.txt"))
REFUSALS: dict[str, type[VaultError]] = {"tampered": TamperedError, "unknown format": UnknownFormatError}


def read_vector(path: Path) -> tuple[Fields, bytes]:
    head, _, body = path.read_text(encoding="ascii").partition("\n\n")
    return dict(line.split(": ", 1) for line in head.splitlines()), base64.b64decode(body)


def open_wrapped(fields: Fields, body: bytes) -> None:
    roots = dict(pair.split("=") for pair in fields["roots"].split())
    others = make_keys()
    keys = Keys(
        1, {int(n): bytes.fromhex(root) for n, root in roots.items()}, others.boxes, others.macs, others.signers
    )

    assert Custody(keys).unwrap(fields["name"], fields["ref"], body).hex() == fields["key"]


def open_sealed(fields: Fields, body: bytes) -> None:
    assert open_key(bytes.fromhex(fields["private"]), fields["owner"], body).hex() == fields["key"]


def open_file(fields: Fields, body: bytes) -> None:
    keys = unseal_keys(body, fields["passphrase"])

    assert (keys.primary, set(keys.roots)) == (2, {1, 2})
    assert keys.signers["log"] == hashlib.sha256(b"signer log").digest()
    assert keys.macs["log-tag"] == hashlib.sha256(b"mac log-tag").digest()


OPENERS: dict[str, Callable[[Fields, bytes], None]] = {
    "wrapped": open_wrapped,
    "sealed": open_sealed,
    "file": open_file,
}


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 30


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector_opens_or_is_refused(path: Path) -> None:
    fields, body = read_vector(path)
    opener = OPENERS[fields["kind"]]

    if fields["expect"] == "success":
        opener(fields, body)
    else:
        with pytest.raises(REFUSALS[fields["expect"]]):
            opener(fields, body)
