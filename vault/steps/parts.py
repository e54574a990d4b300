"""What a step works with: the parts that one office may use, handed in by ``vault.office``."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vault.accesslog.log import AccessLog
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.domain.roles import OfficeName
from vault.settings import Settings
from vault.storage.database import Database
from vault.storage.objects import Objects

if TYPE_CHECKING:
    from vault.register.port import Register


@dataclass(frozen=True, slots=True)
class Parts(Private, shows=("office",)):
    """One office's parts.

    :param register: None for an office that never reads the register.
    :param now: the clock, in UTC.
    """

    office: OfficeName
    settings: Settings
    database: Database
    objects: Objects
    service: KeyService
    keys: KeyRing
    log: AccessLog
    now: Callable[[], datetime]
    register: "Register | None" = None

    @property
    def actor(self) -> str:
        """Name the office as an event's actor."""
        return f"office:{self.office.value}"


@dataclass(frozen=True, slots=True)
class Staff(Private, shows=("ref",)):
    """A person at the desk, as Airflow's user management vouched for her.

    :param ref: her unique id there, such as ``7``; names stay out of events.
    """

    ref: str
    name: str
    roles: frozenset[str]

    @property
    def actor(self) -> str:
        """Name the person as an event's actor."""
        return f"staff:{self.ref}"
