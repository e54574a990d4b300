"""The home's public keys in a form that gpg reads in half the time, for as long as the home stays as it is."""

import threading
from contextlib import suppress

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.gpg import Gpg, empty_home
from vault.intake.gpgstatus import dead_keys, fingerprints
from vault.intake.keyrings import HomeState, KeyRing, home_state

_LARGEST = 1_000_000  # bytes of a home's key ring; a larger one is read where it is
_ALL = ("--export-options", "export-local-sigs", "--export")


class OwnRing(Private):
    """Copies the key ring of one home into memory, and again when the home changed."""

    def __init__(self) -> None:
        self._state: HomeState | None = None
        self._ring: KeyRing | None = None
        self._dead: dict[str, str] = {}
        self._turn = threading.Lock()

    @property
    def dead(self) -> dict[str, str]:
        """The home's expired and revoked keys and subkeys, by fingerprint, as the last look found them."""
        return self._dead

    def of(self, gpg: Gpg) -> KeyRing | None:
        """Return the copy; None when it would not hold each key of the home, with the same state.

        :param gpg: of a private directory, on the home.
        """
        with self._turn:
            state = home_state(gpg.home)
            if state != self._state:
                self._ring = self._copied(gpg, state)
                self._state = state
            return self._ring

    def _copied(self, gpg: Gpg, state: HomeState) -> KeyRing | None:
        listing = gpg.run(["--no-autostart", "--with-colons", "--list-keys"]).output
        self._dead = dead_keys(listing)
        if not 0 < state.size <= _LARGEST:
            return None
        copy = KeyRing()
        with suppress(UnreadableError):
            exported = gpg.run(["--no-autostart", *_ALL]).output
            aside = Gpg(gpg.place, empty_home(gpg.place), gpg.limits)  # an import changes a home's trust database
            copy = aside.import_ring(gpg.place / "own.gpg", "import-local-sigs", [], exported)
        same = fingerprints(copy.listing) == fingerprints(listing) and dead_keys(copy.listing) == self._dead
        return copy if same and copy.packets else None
