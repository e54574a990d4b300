"""The keys in custody and what can be done with them: the verbs themselves, without offices, rates or an audit.

The daemon puts the policy in front of this; tests may use it as a key service in their own process.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.crypto.auditlines import AuditPage
from vault.crypto.boxes import open_key
from vault.crypto.holder import Roots, Versions
from vault.crypto.keyservice import BOXES, LABELS, SIGNERS, check_reference, check_use, name_unknown, owner_of
from vault.crypto.ledger import key_destroyed
from vault.crypto.signers import slot, versions_of
from vault.domain.private import Private
from vault.errors import RefusedError, TamperedError, UnknownFormatError

KEY_BYTES = 32
_FORMAT = b"\x01"
_ROOT_BYTES = 4  # the root's number, big-endian
_NONCE_BYTES = 12
_HEADER = len(_FORMAT) + _ROOT_BYTES
_SEALED = _HEADER + _NONCE_BYTES
_WRAPPED_BYTES = _SEALED + KEY_BYTES + 16
_DOMAIN = b"dsr-vault/wrapped-key|"
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Keys(Private):
    """Everything the key file holds; never shown.

    :param primary: the number of the root that wraps; the others only unwrap.
    :param roots: root wrapping keys by number, 32 bytes each.
    :param boxes: X25519 private halves by box.
    :param macs: HMAC keys by label.
    :param signers: Ed25519 private halves (seeds) by signer, from the second version on with its number.
    :param signing: the primary version by signer, where it is not the first.
    """

    primary: int
    roots: Mapping[int, bytes]
    boxes: Mapping[str, bytes]
    macs: Mapping[str, bytes]
    signers: Mapping[str, bytes]
    signing: Mapping[str, int] = field(default_factory=dict)


def make_keys() -> Keys:
    """Make every key at random."""

    def fresh(names: tuple[str, ...]) -> dict[str, bytes]:
        return {name: os.urandom(KEY_BYTES) for name in names}

    return Keys(1, {1: os.urandom(KEY_BYTES)}, fresh(BOXES), fresh(LABELS), fresh(SIGNERS))


class Custody(Private):
    """Keys in memory: the `local` holder (:class:`vault.crypto.holder.Holder`), and a key service for tests.

    What it is told to destroy it remembers as long as it lives; the daemon keeps a ledger for that.
    """

    __slots__ = ("_boxes", "_destroyed", "_keys", "_publics", "_roots", "_signers")

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._destroyed: set[tuple[str, str]] = set()
        self._roots = {number: AESGCM(root) for number, root in keys.roots.items()}
        self._signers = {name: Ed25519PrivateKey.from_private_bytes(seed) for name, seed in keys.signers.items()}
        boxes = {name: X25519PrivateKey.from_private_bytes(half).public_key() for name, half in keys.boxes.items()}
        self._publics = {name: public.public_bytes_raw() for name, public in boxes.items()} | {
            name: signer.public_key().public_bytes_raw() for name, signer in self._signers.items()
        }

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the primary root with AES-256-GCM, bound to kind and reference."""
        place = self._standing(kind, ref)
        if len(key) != KEY_BYTES:
            raise RefusedError("key_malformed", f"a data key has {KEY_BYTES} bytes; make it with new_key()")
        header = _FORMAT + self._keys.primary.to_bytes(_ROOT_BYTES, "big")
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._roots[self._keys.primary].encrypt(nonce, key, header + place)

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key under the root that its header names."""
        place = self._standing(kind, ref)
        if wrapped[:1] != _FORMAT:
            raise UnknownFormatError("wrapped_key_format", "this release doesn't know this wrapped key's format")
        header, nonce = wrapped[:_HEADER], wrapped[_HEADER:_SEALED]
        root = self._roots.get(int.from_bytes(header[1:], "big"))
        if root is None or len(wrapped) != _WRAPPED_BYTES:
            raise _tampered()
        try:
            return root.decrypt(nonce, wrapped[_SEALED:], header + place)
        except InvalidTag:
            raise _tampered() from None

    def rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Wrap the same key anew under the primary root; bytes that stand there already are proved and given back."""
        key = self.unwrap(kind, ref, wrapped)
        at_home = wrapped[len(_FORMAT) : _HEADER] == self._keys.primary.to_bytes(_ROOT_BYTES, "big")
        return wrapped if at_home else self.wrap(kind, ref, key)

    def destroy(self, kind: str, ref: str) -> None:
        """Never wrap, unwrap or rotate this reference again."""
        check_reference(kind, ref)
        self._destroyed.add((kind, ref))

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        """Wrap, unwrap or MAC many, one after the other; nothing is audited here."""
        for use_name in uses:
            check_use(use_name)
        if verb == "mac":
            return [self.mac(name, data) for _, data in items]
        use = {"wrap": self.wrap, "unwrap": self.unwrap, "unwrap_tagged": self._unwrap_tagged}[verb]
        return [use(name, ref, data) for ref, data in items]

    def _unwrap_tagged(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        return self.unwrap(kind, ref, wrapped) + self.mac("log-tag", owner_of(ref).encode("ascii"))

    def audit(self, position: int) -> AuditPage:
        """Give an empty page: nothing is audited here."""
        return AuditPage(b"", position)

    def roots(self) -> Roots:
        """Tell which root wraps and which unwrap."""
        return Roots(self._keys.primary, tuple(sorted(self._keys.roots)))

    def unseal(self, box: str, owner: str, sealed: bytes, use: str = "") -> bytes:
        """Open a sealed key with the box's private half."""
        check_use(use)
        return open_key(_named(self._keys.boxes, box), owner, sealed)

    def mac(self, label: str, data: bytes) -> bytes:
        """Give HMAC-SHA-256 under the label's key."""
        return hmac.digest(_named(self._keys.macs, label), data, "sha256")

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the signer's Ed25519 signature."""
        return _named(self._signers, slot(name, self._keys.signing)).sign(data)

    def public(self, name: str) -> bytes:
        """Give the public half of a box or signer."""
        return _named(self._publics, slot(name, self._keys.signing))

    def signers(self, name: str) -> Versions:
        """Tell which versions of a signer are held."""
        return versions_of(name, self._signers, self._keys.signing)

    def _standing(self, kind: str, ref: str) -> bytes:
        place = _place(kind, ref)
        if (kind, ref) in self._destroyed:
            raise key_destroyed()
        return place


def _place(kind: str, ref: str) -> bytes:
    check_reference(kind, ref)
    return _DOMAIN + f"{kind}|{ref}".encode("ascii")


def _named(values: Mapping[str, _Value], name: str) -> _Value:
    if name not in values:
        raise name_unknown()
    return values[name]


def _tampered() -> TamperedError:
    return TamperedError("wrapped_key_tampered", "the wrapped key doesn't open in this place; restore it from a backup")
