"""Wrapped keys, sealed keys and key files of every release stay readable; each faulty one gives its one refusal."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from vault.crypto.boxes import open_key, seal_key
from vault.crypto.custody import Custody, Keys, make_keys
from vault.crypto.envelope import Context, new_key, seal
from vault.crypto.keyfile import seal_keys, unseal_keys
from vault.errors import TamperedError, UnknownFormatError, VaultError
from vault.testing.secondkeys import (
    UnknownKeyFormatError,
    UnreadableKeyError,
    read_key_file,
    read_sealed_key,
    read_wrapped_key,
)
from vault.testing.secondreader import read_envelope

Fields = dict[str, str]

VECTORS = sorted(Path(__file__).with_name("keys").glob("*.txt"))
REFUSALS: dict[str, type[VaultError]] = {"tampered": TamperedError, "unknown format": UnknownFormatError}


SECOND_REFUSALS: dict[str, type[Exception]] = {
    "tampered": UnreadableKeyError,
    "unknown format": UnknownKeyFormatError,
}


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


def second_wrapped(fields: Fields, body: bytes) -> None:
    roots = {int(n): bytes.fromhex(root) for n, root in (pair.split("=") for pair in fields["roots"].split())}
    assert read_wrapped_key(roots, fields["name"], fields["ref"], body).hex() == fields["key"]


def second_sealed(fields: Fields, body: bytes) -> None:
    assert read_sealed_key(bytes.fromhex(fields["private"]), fields["owner"], body).hex() == fields["key"]


def second_file(fields: Fields, body: bytes) -> None:
    found = read_key_file(fields["passphrase"], body)

    assert (found["primary"], set(found["roots"])) == (2, {1, 2})
    assert found["signers"]["log"] == hashlib.sha256(b"signer log").digest()
    assert found["macs"]["log-tag"] == hashlib.sha256(b"mac log-tag").digest()


SECOND: dict[str, Callable[[Fields, bytes], None]] = {
    "wrapped": second_wrapped,
    "sealed": second_sealed,
    "file": second_file,
}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_second_reader_agrees(path: Path) -> None:
    fields, body = read_vector(path)
    reader = SECOND[fields["kind"]]

    if fields["expect"] == "success":
        reader(fields, body)
    else:
        with pytest.raises(SECOND_REFUSALS[fields["expect"]]):
            reader(fields, body)


def test_from_the_passphrase_to_a_record_without_the_product() -> None:
    keys, data_key, case_key = make_keys(), new_key(), new_key()
    custody, passphrase = Custody(keys), "one passphrase of many words"
    stored = {
        "file": seal_keys(keys, passphrase),
        "wrapped": custody.wrap("record", "P-1", data_key),
        "record": seal(data_key, Context("records", "R-1", "body", "P-1", 1), b"a visit"),
        "sealed": seal_key(custody.public("case"), "case:DSR-2026-7K3QXM", case_key),
        "item": seal(case_key, Context("sealed_items", "case:DSR-2026-7K3QXM", "identity", "", 1), b"a request"),
    }

    found = read_key_file(passphrase, stored["file"])
    record_key = read_wrapped_key(found["roots"], "record", "P-1", stored["wrapped"])
    item_key = read_sealed_key(found["boxes"]["case"], "case:DSR-2026-7K3QXM", stored["sealed"])

    assert read_envelope(record_key, "records|R-1|body|P-1|1", stored["record"]) == b"a visit"
    assert read_envelope(item_key, "sealed_items|case:DSR-2026-7K3QXM|identity||1", stored["item"]) == b"a request"
