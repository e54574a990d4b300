"""A second reader of wrapped and sealed keys and of key files, from `docs/formats/keys.md` alone, not from the product.

With :mod:`vault.testing.secondreader` it leads from a passphrase to a record: key file, root, wrapped key, envelope.
"""

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from nacl.bindings import crypto_box_open, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from vault.testing.secondreader import UnreadableEnvelopeError, read_envelope

MAGIC: Final = b"dsr-vault key file 1\n"
KEY, NONCE, SALT, HEADER, TAG = 32, 12, 16, 5, 16
VERSION: Final = re.compile(r"log-([2-9]|[1-9]\d{1,3})")
NAMES: Final = {"boxes": {"case", "print"}, "macs": {"subject", "arrival", "log-tag"}, "signers": {"log", "desk"}}


class UnreadableKeyError(Exception):
    """The key does not open here."""


class UnknownKeyFormatError(Exception):
    """The first bytes name no format that the page knows."""


def read_wrapped_key(roots: Mapping[int, bytes], kind: str, ref: str, wrapped: bytes) -> bytes:
    """Open a wrapped key of format 1 under the root that its header names.

    :raises UnknownKeyFormatError: another format byte.
    :raises UnreadableKeyError: it does not open.
    """
    _known(wrapped[:1] == b"\x01")
    header, sealed = wrapped[:HEADER], wrapped[HEADER:]
    root = roots.get(int.from_bytes(header[1:], "big"))
    _demand(root is not None and len(sealed) == NONCE + KEY + TAG)
    place = header + f"dsr-vault/wrapped-key|{kind}|{ref}".encode("ascii")
    try:
        return AESGCM(root or b"").decrypt(sealed[:NONCE], sealed[NONCE:], place)
    except InvalidTag:
        raise UnreadableKeyError from None


def read_sealed_key(private: bytes, owner: str, sealed: bytes) -> bytes:
    """Open a sealed key: libsodium's sealed box, put together from its parts.

    :param private: the box's private half, 32 bytes.
    :raises UnknownKeyFormatError: another format byte.
    :raises UnreadableKeyError: it does not open.
    """
    _known(sealed[:1] == b"\x01")
    ephemeral, box = sealed[1 : 1 + KEY], sealed[1 + KEY :]
    _demand(len(ephemeral) == KEY and len(box) > TAG)
    nonce = blake2b(ephemeral + crypto_scalarmult_base(private), digest_size=24).digest()
    try:
        opened = bytes(crypto_box_open(box, nonce, ephemeral, private))
    except CryptoError:
        raise UnreadableKeyError from None
    frame = len(owner).to_bytes(2, "big") + owner.encode("ascii")
    _demand(opened.startswith(frame) and len(opened) == len(frame) + KEY)
    return opened[len(frame) :]


def read_key_file(passphrase: str, file: bytes) -> dict[str, Any]:
    """Open a key file: its JSON, with every key as 32 bytes.

    :raises UnknownKeyFormatError: another first line.
    :raises UnreadableKeyError: it does not open, or holds something else.
    """
    _known(file.startswith(MAGIC))
    salt, envelope = file[len(MAGIC) : len(MAGIC) + SALT], file[len(MAGIC) + SALT :]
    _demand(len(salt) == SALT)
    kdf = Argon2id(salt=salt, length=KEY, iterations=3, lanes=4, memory_cost=64 * 1024)
    try:
        told = json.loads(read_envelope(kdf.derive(passphrase.encode("utf-8")), "key-file|keys|sealed||1", envelope))
    except (UnreadableEnvelopeError, ValueError):
        raise UnreadableKeyError from None
    return _checked(told)


def _checked(told: Any) -> dict[str, Any]:
    _demand(isinstance(told, dict) and set(told) - {"signing"} == {"primary", "roots", *NAMES})
    first = f"log-{told['signing']['log']}" if "signing" in told else "log"
    signers = {"log" if VERSION.fullmatch(name) else name for name in told["signers"]}
    _demand(first in told["signers"] and signers == NAMES["signers"])
    _demand(all(set(told[part]) == NAMES[part] for part in ("boxes", "macs")))
    _demand(str(told["primary"]) in told["roots"])
    opened = {part: {name: bytes.fromhex(key) for name, key in told[part].items()} for part in ("roots", *NAMES)}
    _demand(all(len(key) == KEY for part in opened.values() for key in part.values()))
    roots = {int(number): key for number, key in opened["roots"].items()}
    return {**opened, "roots": roots, "primary": told["primary"]}


def _known(holds: bool) -> None:
    if not holds:
        raise UnknownKeyFormatError


def _demand(holds: bool) -> None:
    if not holds:
        raise UnreadableKeyError
