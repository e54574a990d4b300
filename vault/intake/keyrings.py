"""Public keys that gpg cleaned and checked once, read from memory in each run after that.

gpg's old key ring format keeps whether a self-signature was found good; a keybox doesn't, so gpg computes each of
them again several times a run. The ring is made by gpg alone; what is read out of it here are whole packets
(RFC 9580 section 4.2) of a ring that holds one key.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.intake.armour import public_key_armour
from vault.intake.gpgstatus import primary_fingerprint

RING = "gnupg-ring:"  # in front of a path: gpg is to make a ring of the old format there
_FILES = ("pubring.kbx", "pubring.gpg")
_PACKET, _NEW_FORMAT = 0x80, 0x40
_PRIMARY, _TRUST = 6, 12  # packets' types; a trust packet is gpg's own note and never leaves a ring
_TWO_OCTETS, _FOUR_OCTETS = range(192, 224), 255  # first length octets of the new format


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
            kept = [(kind, packet) for kind, packet in _packets(self.packets) if kind != _TRUST]
        except ValueError:
            return None
        if [kind for kind, _ in kept].count(_PRIMARY) != 1:
            return None
        return public_key_armour(b"".join(packet for _, packet in kept))


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


def _packets(ring: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a ring into packets.

    :raises ValueError: it is cut off, or a packet's length is left open; gpg writes no such ring.
    """
    at = 0
    while at < len(ring):
        kind, head, length = _header(ring[at : at + 6])
        if at + head + length > len(ring):
            raise ValueError("a packet is cut off")
        yield kind, ring[at : at + head + length]
        at += head + length


def _header(octets: bytes) -> tuple[int, int, int]:
    """Return a packet's type, and the lengths of its header and of its body (RFC 9580 section 4.2)."""
    octets = octets.ljust(6, b"\0")
    first, length = octets[0], octets[1]
    if not first & _PACKET:
        raise ValueError("this is no packet")
    if not first & _NEW_FORMAT:
        size = (1, 2, 4, 0)[first & 3]
        if not size:
            raise ValueError("a packet's length is left open")
        return first >> 2 & 15, 1 + size, int.from_bytes(octets[1 : 1 + size], "big")
    kind = first & 63
    if length in _TWO_OCTETS:
        return kind, 3, (length - 192 << 8) + octets[2] + 192
    if length == _FOUR_OCTETS:
        return kind, 6, int.from_bytes(octets[2:6], "big")
    if length > _TWO_OCTETS[0]:
        raise ValueError("a packet's length is left open")
    return kind, 2, length
