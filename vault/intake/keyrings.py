"""Public keys that gpg cleaned and checked once, read from memory in each run after that.

gpg's old key ring format keeps whether a self-signature was found good; a keybox doesn't, so gpg computes each of
them again several times a run. The ring is made by gpg alone; what is read out of it here are whole packets
(RFC 9580 section 4.2) of a ring that holds one key.
"""

import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.intake.armour import public_key_armour
from vault.intake.gpgstatus import fingerprints, primary_fingerprint
from vault.intake.packets import UnsureError, walk

RING = "gnupg-ring:"  # in front of a path: gpg is to make a ring of the old format there
_FILES = ("pubring.kbx", "pubring.gpg")
_PRIMARY, _TRUST = 6, 12  # packets' types; a trust packet is gpg's own note and never leaves a ring
_ID = 16  # digits of a key id: the end of a fingerprint, and of a version 5 key its beginning


@dataclass(frozen=True, slots=True)
class KeyRing(Private):
    """Keys, and gpg's list of them (``--with-colons``)."""

    packets: bytes = b""
    listing: bytes = b""

    def only_key(self, fingerprint: str) -> str | None:
        """Return the key, armoured, when the ring holds this one and no other; else None."""
        if primary_fingerprint(self.listing) != fingerprint:
            return None
        try:
            kept = [packet for packet in walk(self.packets) if packet.tag != _TRUST]
        except UnsureError:
            return None
        if [packet.tag for packet in kept].count(_PRIMARY) != 1:
            return None
        return public_key_armour(b"".join(packet.whole for packet in kept))

    @property
    def key_ids(self) -> frozenset[str] | None:
        """The key ids of all keys and subkeys; None when the list doesn't name them."""
        ids = _key_ids(self.listing)
        return None if self.packets and not ids else ids


@dataclass(frozen=True, slots=True)
class HomeState:
    """Which version of its public keys a home holds: inode, size in bytes and time in nanoseconds of each file."""

    files: tuple[tuple[str, int, int, int], ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, _, size, _ in self.files)


def home_state(home: Path) -> HomeState:
    """Look at a home's files; it holds none when its keys are kept elsewhere, such as by gpg's own daemon."""
    found = []
    for name in _FILES:
        with contextlib.suppress(FileNotFoundError):
            one = os.stat(f"{home}/{name}")  # noqa: PTH116 - asked for each mail, and a Path takes longer than the kernel
            found.append((name, one.st_ino, one.st_size, one.st_mtime_ns))
    return HomeState(tuple(found))


@functools.lru_cache(maxsize=1)
def _key_ids(listing: bytes) -> frozenset[str]:
    """Read a list once, for our own ring is asked for each mail."""
    return frozenset(digits for one in fingerprints(listing) for digits in (one[:_ID], one[-_ID:]))
