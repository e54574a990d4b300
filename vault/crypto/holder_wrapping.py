"""Wrapped keys of holders outside this process: one header, one order of checks, whatever does the sealing.

A wrapped key is a format byte, the root's number (4 bytes, big-endian) and what the holder made of the key;
what it made is bound to format, root, kind and reference (``docs/formats/keys.md``).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from vault.crypto.boxes import open_key
from vault.crypto.holder import Roots, Versions
from vault.crypto.holder_bundle import BundleKind, Halves
from vault.crypto.keyservice import BOXES, check_reference, name_unknown
from vault.crypto.signers import slot, versions_of
from vault.domain.private import Private
from vault.errors import RefusedError, TamperedError, UnknownFormatError

KEY_BYTES: Final = 32
_ROOT_BYTES = 4
HEADER_BYTES: Final = 1 + _ROOT_BYTES
_DOMAIN = b"dsr-vault/wrapped-key|"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a wrapped key belongs: under which root, of which kind, of which reference.

    :param kind: one of :data:`vault.crypto.keyservice.KINDS`, or of the bundle's own kinds.
    """

    mark: bytes
    root: int
    kind: str
    ref: str

    @property
    def header(self) -> bytes:
        """The first five bytes of what is wrapped there."""
        return self.mark + self.root.to_bytes(_ROOT_BYTES, "big")

    @property
    def binding(self) -> bytes:
        """Everything that a wrapped key is bound to, in one unambiguous string of bytes."""
        return self.header + _DOMAIN + f"{self.kind}|{self.ref}".encode("ascii")


class OutsideHolder(Private, ABC):
    """The verbs of a :class:`vault.crypto.holder.Holder` whose roots can't be had, in terms of what it can do."""

    mark: ClassVar[bytes]
    _signing: Mapping[str, int]  # the primary version of each signer that has several

    @abstractmethod
    def roots(self) -> Roots:
        """Tell which roots can be used now."""

    @abstractmethod
    def _seal(self, place: Place, key: bytes) -> bytes:
        """Seal 32 bytes under the place's root, bound to the place."""

    @abstractmethod
    def _open(self, place: Place, sealed: bytes) -> bytes:
        """Open what was sealed there.

        :raises TamperedError: it was not sealed there, or was changed.
        """

    @abstractmethod
    def _move(self, old: Place, new: Place, sealed: bytes) -> bytes:
        """Seal the same 32 bytes in another place.

        :raises TamperedError: they were not sealed in the old one, or were changed.
        """

    @abstractmethod
    def _halves(self) -> Halves:
        """Give the private halves that this process holds itself."""

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the primary root, bound to its kind and reference."""
        check_reference(kind, ref)
        return self._wrap(kind, ref, key)

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key under the root that its header names."""
        check_reference(kind, ref)
        return self._unwrap(kind, ref, wrapped)

    def rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Wrap the same key anew under the primary root; bytes that stand there already are proved and given back."""
        check_reference(kind, ref)
        return self._rotate(kind, ref, wrapped)

    def unseal(self, box: str, owner: str, sealed: bytes) -> bytes:
        """Open a sealed key with the box's private half."""
        if box not in BOXES:
            raise name_unknown()
        return open_key(self._halves().boxes[box], owner, sealed)

    def public(self, name: str) -> bytes:
        """Give the public half of a box or signer."""
        publics = self._halves().publics
        place = slot(name, self._signing)
        if place not in publics:
            raise name_unknown()
        return publics[place]

    def signers(self, name: str) -> Versions:
        """Tell which versions of a signer are held."""
        return versions_of(name, [place for place in self._signer_slots() if place not in BOXES], self._signing)

    def _signer_slots(self) -> Collection[str]:
        """Name the places of all signers' versions."""
        return self._halves().publics

    def wrap_half(self, kind: BundleKind, name: str, half: bytes) -> bytes:
        """Wrap a private half for the bundle; no request can ask for these kinds."""
        return self._wrap(kind, name, half)

    def unwrap_half(self, kind: BundleKind, name: str, wrapped: bytes) -> bytes:
        """Open a private half of the bundle."""
        return self._unwrap(kind, name, wrapped)

    def rotate_half(self, kind: BundleKind, name: str, wrapped: bytes) -> bytes:
        """Wrap a private half of the bundle anew under the primary root."""
        return self._rotate(kind, name, wrapped)

    def _wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        if len(key) != KEY_BYTES:
            raise RefusedError("key_malformed", f"a data key has {KEY_BYTES} bytes; make it with new_key()")
        place = Place(self.mark, self.roots().primary, kind, ref)
        return place.header + self._seal(place, key)

    def _unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        key = self._open(self._place_of(kind, ref, wrapped), wrapped[HEADER_BYTES:])
        if len(key) != KEY_BYTES:
            raise tampered()
        return key

    def _rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        old = self._place_of(kind, ref, wrapped)
        new = Place(self.mark, self.roots().primary, kind, ref)
        moved = self._move(old, new, wrapped[HEADER_BYTES:])
        return wrapped if old == new else new.header + moved

    def _place_of(self, kind: str, ref: str, wrapped: bytes) -> Place:
        if wrapped[:1] != self.mark:
            raise UnknownFormatError("wrapped_key_format", "what holds the root keys here doesn't know this format")
        root = int.from_bytes(wrapped[1:HEADER_BYTES], "big")
        if len(wrapped) <= HEADER_BYTES or root not in self.roots().held:
            raise tampered()
        return Place(self.mark, root, kind, ref)


def tampered() -> TamperedError:
    """Give the one refusal for a wrapped key that doesn't open here; why stays untold."""
    return TamperedError("wrapped_key_tampered", "the wrapped key doesn't open in this place; restore it from a backup")
