"""The `pkcs11` holder: roots, MAC keys and signers stay in the token; the boxes' private halves can't.

A data key is wrapped with AES-256-GCM (NIST SP 800-38D). The token draws the IV, 96 random bits (s. 8.2.2):
its generator stands on the same side as the key, so that no copied or restored machine can repeat one.
Boxes are libsodium's, whose HSalsa20 no token has, so their halves stand in a bundle under the root and are
opened in this process.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final, TypeVar

from vault.crypto.holder import Roots
from vault.crypto.holder_bundle import BundleKind, Halves, bundle_roots, make_bundle, open_bundle, rewrap_bundle
from vault.crypto.holder_wrapping import KEY_BYTES, OutsideHolder, Place, tampered
from vault.crypto.keyservice import LABELS, SIGNERS, name_unknown
from vault.crypto.pkcs11_token import Token, TokenKeys
from vault.crypto.signers import base_of, slot
from vault.settings_keys import Pkcs11Settings

_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_BYTES = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_Value = TypeVar("_Value")
_BUNDLED: Final[tuple[BundleKind, ...]] = ("box",)


class Pkcs11Holder(OutsideHolder):
    """Keys in a PKCS#11 token (:class:`vault.crypto.holder.Holder`).

    :raises OutOfReachError: the token doesn't answer.
    :raises WrongUseError: library, PIN, keys or bundle are unfit.
    """

    mark: ClassVar[bytes] = b"\x03"

    def __init__(self, settings: Pkcs11Settings) -> None:
        self._token = Token(settings)
        self._bundle_file = settings.bundle_file
        self._signing = {"log": settings.log_signer}
        self._opened: Halves | None = None
        self._token.use(lambda _keys: None)

    def roots(self) -> Roots:
        """Tell which roots stand in the token."""
        return self._token.roots()

    def mac(self, label: str, data: bytes) -> bytes:
        """Give HMAC-SHA-256 under the label's key, made in the token."""
        if label not in LABELS:
            raise name_unknown()
        mechanism = self._token.module.api.Mechanism.SHA256_HMAC
        return self._token.use(lambda keys: bytes(keys.macs[label].sign(data, mechanism=mechanism)))

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the signer's Ed25519 signature, made in the token."""
        mechanism, place = self._token.module.api.Mechanism.EDDSA, slot(name, self._signing)
        return self._token.use(lambda keys: bytes(_held(keys.signers, place).sign(data, mechanism=mechanism)))

    def public(self, name: str) -> bytes:
        """Give the public half of a box or signer."""
        if base_of(name) not in SIGNERS:
            return super().public(name)
        place = slot(name, self._signing)
        return self._token.use(lambda keys: bytes(_held(keys.publics, place)))

    def _signer_slots(self) -> Collection[str]:
        return self._token.use(lambda keys: list(keys.publics))

    def unseal(self, box: str, owner: str, sealed: bytes) -> bytes:
        """Open a sealed key with the box's private half; only while the token is there."""
        self.mac(LABELS[0], b"")  # whoever takes the token away shuts the boxes too
        return super().unseal(box, owner, sealed)

    def make_bundle(self) -> bool:
        """Make the boxes where their file is missing; False where it stands."""
        return make_bundle(self._bundle_file, _BUNDLED, self)

    def rewrap_bundle(self) -> bool:
        """Wrap the boxes' halves anew under the primary root; False where they stand there already."""
        return rewrap_bundle(self._bundle_file, _BUNDLED, self)

    def bundle_roots(self) -> set[int]:
        """Tell under which roots the boxes' halves stand."""
        return bundle_roots(self._bundle_file, _BUNDLED)

    def _halves(self) -> Halves:
        if self._opened is None:
            self._opened = open_bundle(self._bundle_file, _BUNDLED, self)
        return self._opened

    def _seal(self, place: Place, key: bytes) -> bytes:
        return self._token.use(lambda keys: self._encrypt(keys, place, key))

    def _open(self, place: Place, sealed: bytes) -> bytes:
        if len(sealed) != _SEALED_BYTES:
            raise tampered()
        return self._token.use(lambda keys: self._decrypt(keys, place, sealed))

    def _move(self, old: Place, new: Place, sealed: bytes) -> bytes:
        key = self._open(old, sealed)  # through this process's memory, as an unwrap: GCM can't wrap handles
        return sealed if old == new else self._seal(new, key)

    def _encrypt(self, keys: TokenKeys, place: Place, key: bytes) -> bytes:
        nonce = bytes(keys.session.generate_random(_NONCE_BYTES * 8))
        return nonce + bytes(keys.roots[place.root].encrypt(key, **self._gcm(nonce, place)))

    def _decrypt(self, keys: TokenKeys, place: Place, sealed: bytes) -> bytes:
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        root = keys.roots.get(place.root)
        if root is None:  # gone since it was listed
            raise tampered()
        try:
            return bytes(root.decrypt(ciphertext, **self._gcm(nonce, place)))
        except self._token.module.failure:
            if self._works(keys, place):
                raise tampered() from None
            raise

    def _works(self, keys: TokenKeys, place: Place) -> bool:
        """Tell whether the root opens what it sealed: then bytes that it refused are to blame, not the token.

        It seals one sample a session: whoever sends rubbish must not use up the root's IVs.
        """
        known = Place(self.mark, place.root, "sample", "-")
        try:
            sealed = keys.samples.get(place.root) or self._encrypt(keys, known, bytes(KEY_BYTES))
            keys.samples[place.root] = sealed
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return bytes(keys.roots[place.root].decrypt(ciphertext, **self._gcm(nonce, known))) == bytes(KEY_BYTES)
        except self._token.module.failure:
            return False

    def _gcm(self, nonce: bytes, place: Place) -> dict[str, Any]:
        api = self._token.module.api
        parameters = api.GCMParams(nonce, aad=place.binding, tag_bits=_TAG_BYTES * 8)
        return {"mechanism": api.Mechanism.AES_GCM, "mechanism_param": parameters}


def _held(values: Mapping[str, _Value], place: str) -> _Value:
    if place not in values:
        raise name_unknown()
    return values[place]
