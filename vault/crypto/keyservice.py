"""The key service's port: keys are used by name and never leave it.

Kinds name what a wrapped key opens, boxes what intake seals to, labels what is indexed, signers
who vouches. Whoever implements the port checks the office, keeps its own audit and answers, or raises.
"""

from typing import Final, Protocol

KINDS: Final = ("identity", "record", "log")
BOXES: Final = ("case", "print")
LABELS: Final = ("subject", "arrival", "log-tag")
SIGNERS: Final = ("log", "desk")


class KeyService(Protocol):
    """What a process may ask of the keys in custody.

    Every verb raises :class:`vault.errors.NotAllowedError` where the office may not use it,
    :class:`vault.errors.LimitError` above its rate and :class:`vault.errors.OutOfReachError` when the
    service does not answer.
    """

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the root, bound to its kind and reference."""
        ...

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key.

        :raises TamperedError: another kind or reference, or changed bytes.
        :raises UnknownFormatError: an unknown format byte.
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
