"""Whatever holds the root keys answers these verbs, and knows nothing of offices, rates, the audit or the ledger.

A key file in memory, AWS KMS and a PKCS#11 token are holders; the daemon puts the same policy before each.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Roots:
    """The root keys that a holder can use now, by number.

    :param primary: the number of the root that wraps.
    :param held: every number that unwraps, ascending; the primary is one of them.
    """

    primary: int
    held: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a signer that a holder can use now, by number.

    :param primary: the number of the one that signs first.
    :param held: every number held, ascending; the primary is one of them.
    """

    primary: int
    held: tuple[int, ...]


class Holder(Protocol):
    """The verbs of :class:`vault.crypto.keyservice.KeyService` that need a key, and which roots there are.

    Every verb raises :class:`vault.errors.OutOfReachError` when what holds the keys does not answer, and
    :class:`vault.errors.NotAllowedError` for a kind, box, label or signer that it doesn't hold.
    """

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the primary root, bound to its kind and reference."""
        ...

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key under the root that its header names.

        :raises TamperedError: another kind or reference, a root that isn't held, or changed bytes.
        :raises UnknownFormatError: another holder's format byte.
        """
        ...

    def rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Wrap the same key anew under the primary root; unchanged bytes when it stands there already.

        :raises TamperedError: as :meth:`unwrap` does, also where the bytes would stay as they are.
        :raises UnknownFormatError: another holder's format byte.
        """
        ...

    def unseal(self, box: str, owner: str, sealed: bytes) -> bytes:
        """Open a key that :func:`vault.crypto.boxes.seal_key` sealed for this owner.

        :raises TamperedError: another box or owner, or changed bytes.
        :raises UnknownFormatError: an unknown format byte.
        """
        ...

    def mac(self, label: str, data: bytes) -> bytes:
        """Give 32 bytes of HMAC-SHA-256 under the label's key (RFC 2104)."""
        ...

    def sign(self, name: str, data: bytes) -> bytes:
        """Give a signer's 64-byte Ed25519 signature over the data (RFC 8032)."""
        ...

    def public(self, name: str) -> bytes:
        """Give a public half, 32 raw bytes: X25519 of a box, Ed25519 of a signer."""
        ...

    def signers(self, name: str) -> Versions:
        """Tell which versions of a signer can be used now; ``NAME-2`` is then fit for ``sign`` and ``public``."""
        ...

    def roots(self) -> Roots:
        """Tell which roots can be used now."""
        ...
