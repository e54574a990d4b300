"""Builds, from settings, the parts that one office may use, and only those.

What an office may ask of the keys is decided by the key service, which knows it by its token, and of the
tables by the database, which knows it by its role; this module decides what it is handed at all.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial

from vault.accesslog.log import AccessLog
from vault.crypto.keyring import KeyRing
from vault.crypto.local import LocalKeyService
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.register.own import OwnRegister
from vault.register.watched import WatchedRegister
from vault.settings import Settings, load, read_secret
from vault.steps.parts import Parts
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.objects import Objects

_PEOPLE, _MACHINE = 16, 4  # connections: many pages at once at the desk, one case at a time elsewhere
READS_REGISTER = frozenset({OfficeName.COLLECTOR, OfficeName.SEALER, OfficeName.REGISTRY})


def key_service(settings: Settings, office: OfficeName) -> LocalKeyService:
    """Return the key service as this office may use it.

    :raises WrongUseError: this machine holds no token of the office.
    """
    token_file = settings.keys.token_files.get(office.value)
    if token_file is None:
        raise WrongUseError("no_token", f"this machine holds no key service token of the office {office.value}")
    return LocalKeyService(settings.keys.socket, read_secret(token_file))


def holds(settings: Settings, office: OfficeName) -> bool:
    """Tell whether this machine holds what an office works with: its token and its database password."""
    named = (settings.keys.token_files.get(office.value), settings.database.password_files.get(office.value))
    return all(file is not None and file.exists() for file in named)


@contextmanager
def open_office(name: OfficeName | str, settings: Settings | None = None) -> Iterator[Parts]:
    """Yield an office's parts and close them at the end.

    :param settings: else those of the file that ``DSR_CONFIG`` names.
    :raises WrongUseError: a setting or secret is missing, empty or a default.
    """
    office = OfficeName(name)
    settings = settings or load()
    service = key_service(settings, office)
    objects = Objects(settings.objects)
    database = Database(settings.database.for_office(office), size=_PEOPLE if office is OfficeName.DESK else _MACHINE)
    keys = KeyRing(service, WrappedKeyTable(database), SealedKeyTable(database))
    log = AccessLog(database, keys, service)
    with ExitStack() as opened:
        opened.callback(database.close)
        yield Parts(
            office=office,
            settings=settings,
            database=database,
            objects=objects,
            service=service,
            keys=keys,
            log=log,
            now=partial(datetime.now, UTC),
            register=_register(opened, settings, OwnRegister(database, keys, service, log), log)
            if office in READS_REGISTER
            else None,
        )


def _register(opened: ExitStack, settings: Settings, own: OwnRegister, log: AccessLog) -> WatchedRegister:
    """Return the register that the settings name."""
    if settings.register.kind == "own":
        return WatchedRegister(own, log)
    from vault.register.fhir.client import FhirClient  # noqa: PLC0415 - a web client where one is needed only
    from vault.register.fhir.register import FhirRegister  # noqa: PLC0415 - likewise

    return WatchedRegister(FhirRegister(opened.enter_context(FhirClient(settings.register)), log), log)
