"""A register to measure on: a durable PostgreSQL, the real key daemon, and offices that work over both."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from vault.accesslog.log import AccessLog
from vault.crypto.keyring import KeyRing
from vault.crypto.local import LocalKeyService
from vault.domain.calendar import HELSINKI
from vault.domain.hetu import spell
from vault.domain.records import Author, Record, RecordKind
from vault.domain.roles import OfficeName
from vault.register.own import OwnRegister
from vault.settings import DatabaseSettings
from vault.storage.database import Database, conninfo
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.testing import postgres
from vault.testing.keyservice import RunningKeyService, start_key_service

_AUTHOR = Author("Marjatta Koivulehto", "A-10417", "psykoterapeutti")
_FIRST_DAY = date(1950, 1, 1)
_NUMBERS = range(900, 999)  # never a real person's (Decree 690/2022)


@dataclass(frozen=True, slots=True)
class Office:
    """One office's way to keys, log and register."""

    database: Database
    service: LocalKeyService
    keys: KeyRing
    log: AccessLog
    register: OwnRegister


@dataclass(slots=True)
class House:
    """The running servers."""

    settings: DatabaseSettings
    service: RunningKeyService
    opened: list[Database] = field(default_factory=list)

    def office(self, name: OfficeName) -> Office:
        """Open an office; the house closes it."""
        database, service = Database(self.settings.for_office(name), size=8), self.service.client(name.value)
        self.opened.append(database)
        keys = KeyRing(service, WrappedKeyTable(database), SealedKeyTable(database))
        log = AccessLog(database, keys, service)
        return Office(database, service, keys, log, OwnRegister(database, keys, service, log))


@contextmanager
def house() -> Iterator[House]:
    """Run the servers while inside; commits wait for the disk, as production's do."""
    with on_disk() as folder, start_key_service(folder / "keys") as service:
        settings = postgres.start(folder / "postgres", durable=True).create_vault("dsr_bench")
        made = House(settings, service)
        try:
            migrate(settings)
            yield made
        finally:
            for database in made.opened:
                database.close()
            postgres.destroy(folder / "postgres")


@contextmanager
def on_disk() -> Iterator[Path]:
    """Lend a folder that lies on a disk, not in memory: there alone a commit costs what it costs."""
    build = Path(__file__).parents[1] / "build"
    build.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=build) as name:
        yield Path(name)


def case_of(index: int) -> str:
    """Give the reference of a patient's case."""
    return f"DSR-2026-{index:06d}"


def prove(made: House, subjects: Sequence[str]) -> None:
    """Open a case for each subject, in which her identity has been proved."""
    rows = [(case_of(index), subject) for index, subject in enumerate(subjects)]
    with psycopg.connect(conninfo(made.settings)) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into cases (ref, channel, received_at, stage, version, language, subject) "
            "values (%s, 'mail', now(), 'identified', 2, 'fi', %s)",
            rows,
        )
        cursor.executemany(
            "insert into case_events (case_ref, version, at, event, stage, actor, detail) "
            "values (%s, 2, now(), 'identity_proved', 'identified', 'bench', '{}')",
            [(ref,) for ref, _ in rows],
        )


def code_of(index: int) -> str:
    """Spell an artificial personal identity code; another for each index."""
    born = _FIRST_DAY + timedelta(days=index // len(_NUMBERS))
    return spell(born, _NUMBERS[index % len(_NUMBERS)], "-")


def people(count: int, entries: int) -> Iterator[tuple[str, Record, Record, list[Record]]]:
    """Invent patients: code, identity, contact details and some short entries each."""
    at = datetime(2026, 1, 5, 9, tzinfo=HELSINKI)
    for index in range(count):
        subject, code = f"P-{index:07d}", code_of(index)
        names = {"given_names": "Aino", "family_name": "Jokikivi", "personal_identity_code": code}
        identity = Record(f"R-{index}-i", subject, RecordKind.IDENTITY, at, _AUTHOR, {**names, "language": "fi"})
        place = {"street": "Satupolku 1", "postal_code": "99901", "city": "Satukylä", "country": "FI"}
        contacts = Record(f"R-{index}-c", subject, RecordKind.CONTACT_DETAILS, at, _AUTHOR, {**place})
        care = [
            Record(f"R-{index}-{n}", subject, RecordKind.SESSION_ENTRY, at, _AUTHOR, {"state": "kertomus " * 20})
            for n in range(entries)
        ]
        yield code, identity, contacts, care
