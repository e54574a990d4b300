"""The key service's port: keys are used by name and never leave it.

Kinds name what a wrapped key opens, boxes what intake seals to, labels what is indexed, signers
who vouches. Whoever implements the port checks the office, keeps its own audit and answers, or raises.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from vault.crypto.auditlines import AuditPage
from vault.crypto.holder import Versions
from vault.errors import NotAllowedError, RefusedError

KINDS: Final = ("identity", "record", "log")
BOXES: Final = ("case", "print")
LABELS: Final = ("subject", "arrival", "log-tag")
SIGNERS: Final = ("log", "desk")
LONGEST_REF: Final = 200  # characters
WRITE: Final = "write"  # the use of keys that are opened to write under them, not to read
_USE: Final = re.compile(rf"(?:[0-9a-f]{{32}}|{WRITE})?")


def check_reference(kind: str, ref: str) -> None:
    """Let pass a kind and a reference that a key can be wrapped for.

    :raises NotAllowedError: there is no such kind.
    :raises RefusedError: the reference is not 1 to 200 printable ASCII characters without ``|``.
    """
    if kind not in KINDS:
        raise name_unknown()
    if not (0 < len(ref) <= LONGEST_REF and ref.isascii() and ref.isprintable()) or "|" in ref:
        raise RefusedError("ref_malformed", f"a reference is 1-{LONGEST_REF} printable ASCII characters without '|'")


def check_use(use: str) -> None:
    """Let pass the name of a use: a log receipt's, :data:`WRITE`, or none.

    :raises RefusedError: anything else.
    """
    if not _USE.fullmatch(use):
        raise RefusedError("use_malformed", "a use of keys is named by its log receipt's id, or is a write")


def owner_of(ref: str) -> str:
    """Give the owner of a log key: its reference without the year.

    :raises RefusedError: the reference is no owner's year.
    """
    owner, slash, year = ref.rpartition("/")
    if not (owner and slash and year.isdecimal()):
        raise RefusedError("ref_malformed", "a log key is named by its owner and a year, such as P-1/2026")
    return owner


def name_unknown() -> NotAllowedError:
    """Give the one refusal for a name that no key has."""
    return NotAllowedError("key_name_unknown", "the key service holds no such kind, box, label or signer")


class KeyService(Protocol):
    """What a process may ask of the keys in custody; none of it shows a root, a MAC key or a private half.

    Every verb raises :class:`vault.errors.NotAllowedError` where the office may not use it,
    :class:`vault.errors.LimitError` above its rate and :class:`vault.errors.OutOfReachError` when the
    service does not answer.
    """

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        """Wrap a 32-byte key under the primary root, bound to its kind and reference.

        :raises KeyMissingError: ``key_destroyed``: this reference's key was destroyed and is never made anew.
        """
        ...

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Open a wrapped key.

        :raises KeyMissingError: ``key_destroyed``: it was destroyed.
        :raises TamperedError: another kind or reference, or changed bytes.
        :raises UnknownFormatError: an unknown format byte.
        """
        ...

    def rotate(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        """Wrap the same key anew under the primary root; unchanged bytes when it stands there already.

        :raises TamperedError: as :meth:`unwrap` does, also where the bytes would stay as they are.
        :raises UnknownFormatError: an unknown format byte.
        """
        ...

    def destroy(self, kind: str, ref: str) -> None:
        """Note for good that this reference's key is destroyed; again changes nothing.

        From now on wrapping, unwrapping and rotating it raise :class:`vault.errors.KeyMissingError`
        (``key_destroyed``), whatever database is put back from a backup.
        """
        ...

    def unseal(self, box: str, owner: str, sealed: bytes, use: str = "") -> bytes:
        """Open a key that :func:`vault.crypto.boxes.seal_key` sealed for this owner.

        :param use: the id of the log receipt that allowed it, for the audit.
        :raises TamperedError: another box or owner, or changed bytes.
        :raises UnknownFormatError: an unknown format byte.
        """
        ...

    def mac(self, label: str, data: bytes) -> bytes:
        """Give 32 bytes of HMAC-SHA-256 under the label's key (RFC 2104)."""
        ...

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        """Use ``wrap``, ``unwrap``, ``unwrap_tagged`` or ``mac`` for many, each with its own line in the audit.

        ``unwrap_tagged`` opens a log key and gives, behind its 32 bytes, the MAC of its owner under ``log-tag``:
        who seals an entry needs both, and one use of the service costs half of two.

        :param items: reference and data of each; a MAC's reference is empty.
        :param uses: for each item the id of the log receipt that allowed it, :data:`WRITE` or ``""``; else none.
        :raises VaultError: what the verb raises, for the first that is refused; no value is given then.
        """
        ...

    def audit(self, position: int) -> AuditPage:
        """Give a page of the service's own audit, from a place on; the look is itself a line in it.

        :param position: bytes; 0, or where an earlier page ended.
        :raises RefusedError: ``key_audit_cut``: the audit no longer holds what an earlier page showed.
        """
        ...

    def sign(self, name: str, data: bytes) -> bytes:
        """Give a signer's 64-byte Ed25519 signature over the data (RFC 8032)."""
        ...

    def signers(self, name: str) -> Versions:
        """Tell which versions of a signer are held; ``NAME-2`` is then fit for ``sign`` and ``public``."""
        ...

    def public(self, name: str) -> bytes:
        """Give a public half, 32 raw bytes: X25519 of a box, Ed25519 of a signer."""
        ...
