"""Key services for tests and the demo: the verbs in this process, or the real daemon as a child on a private socket."""

from vault.crypto.custody import Custody, make_keys
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService


class MemoryKeys:
    """Wrapped keys in memory (:class:`vault.crypto.keyring.WrappedKeys`)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[int, bytes]] = {}

    def get(self, kind: str, ref: str) -> tuple[int, bytes] | None:
        """Give the newest version and its wrapped key, or None."""
        versions = self.rows.get((kind, ref))
        return max(versions.items()) if versions else None

    def put(self, kind: str, ref: str, version: int, wrapped: bytes) -> bool:
        """Add a version; False when somebody was first."""
        return self.rows.setdefault((kind, ref), {}).setdefault(version, wrapped) is wrapped


class MemorySealedKeys:
    """Sealed keys in memory (:class:`vault.crypto.keyring.SealedKeys`)."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, bytes]] = {}

    def get(self, owner: str) -> tuple[str, bytes] | None:
        """Give the box's name and the sealed key, or None."""
        return self.rows.get(owner)

    def put(self, owner: str, box: str, sealed: bytes) -> None:
        """Keep a sealed key."""
        self.rows[owner] = (box, sealed)


def memory_service() -> KeyService:
    """Make a key service in this process with fresh keys: every verb, no policy, no audit."""
    return Custody(make_keys())


def memory_ring(service: KeyService | None = None) -> KeyRing:
    """Make a key ring over tables in memory."""
    return KeyRing(service or memory_service(), MemoryKeys(), MemorySealedKeys())
