"""A database with a row of every kind and the key service beside it, for those who try to break in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from vault.accesslog.log import AccessLog
from vault.crypto.boxes import seal_key
from vault.crypto.envelope import Context, new_key, seal
from vault.crypto.keyring import KeyRing
from vault.domain.alarms import AlarmCode
from vault.domain.case import Case, Channel, Event, Stage
from vault.domain.records import IDENTITY_KINDS, RecordKind
from vault.settings import DatabaseSettings
from vault.steps.casefile import case_owner, item_context, print_owner
from vault.storage.cases import open_cases
from vault.storage.database import Connection, Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable, add_sealed_key, put_items
from vault.storage.migrate import migrate
from vault.testing.accesslog import SUBJECT, look
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.postgres import PostgresServer, postgres
from vault.testing.thief import KINDS_OF_ROWS

REF = "DSR-2026-7K3QXM"
_WORDS = b"words"


@dataclass(frozen=True, slots=True)
class House:
    """A database with at least one row of every kind, the key service, and what is sealed there."""

    server: PostgresServer
    settings: DatabaseSettings
    service: RunningKeyService
    columns: Mapping[str, list[str]]


@contextmanager
def burgled(keys: Path) -> Iterator[House]:
    """Run a furnished house while inside.

    :param keys: a folder for the key service's keys.
    """
    with postgres() as server, start_key_service(keys) as service:
        settings = server.create_vault("dsr_stolen")
        migrate(settings)
        _furnish(settings, service)
        with psycopg.connect(server.dsn(settings)) as connection:
            columns = _columns(connection)
        yield House(server, settings, service, columns)


def _columns(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        " and table_name <> 'alembic_version' order by table_name, ordinal_position"
    )
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found


def _furnish(settings: DatabaseSettings, service: RunningKeyService) -> None:
    """Store a row of every kind; what an office could open is truly sealed, the rest is filled up with nothing."""
    database = Database(settings)
    with database.connect() as connection:
        _cases(connection)
        _case_file(connection, service)
        for state in KINDS_OF_ROWS["outgoing"][1]:
            road = "post" if state in ("ready", "printed", "posted") else "mail"
            connection.execute("insert into outgoing values (%s, %s, 'code', %s, %s, now())", (state, REF, road, state))
        connection.execute("insert into subjects values (%s, '')", (SUBJECT,))
        for code in AlarmCode:
            connection.execute(
                "insert into alarms (ref, code, raised_at, last_at, actor, detail)"
                " values (%s, %s, now(), now(), 'office:keeper', '{}')",
                (code, code),
            )
    registry = KeyRing(service.client("registry"), WrappedKeyTable(database), SealedKeyTable(database))
    keys = {kind: registry.make_data_key(kind, SUBJECT) for kind in ("identity", "record")}
    with database.connect() as connection:
        for kind in RecordKind:
            key = keys["identity" if kind in IDENTITY_KINDS else "record"]
            envelope = seal(key, Context("records", kind.value, "body", SUBJECT, 1), _WORDS)
            connection.execute("insert into records values (%s, %s, %s, 1, %s)", (SUBJECT, kind, kind, envelope))
    AccessLog(database, registry, service.client("registry")).record([look()])
    database.close()


def _cases(connection: Connection) -> None:
    """Open a case in each stage; to the first one everything has happened."""
    for number, stage in enumerate(Stage):
        ref = f"{REF[:-1]}{number}" if number else REF
        case = Case(ref, Channel.MAIL, datetime.now(UTC), stage, 1, "fi")
        open_cases(connection, [case], actor="office:intake", at=case.received_at)
    later = [event for event in Event if event is not Event.ARRIVED]
    for version, event in enumerate(later, start=2):
        connection.execute(
            "insert into case_events (case_ref, version, at, event, stage, actor, detail)"
            " values (%s, %s, now(), %s, 'received', 'office:intake', '{}')",
            (REF, version, event),
        )


def _case_file(connection: Connection, service: RunningKeyService) -> None:
    """Seal a case's items, its decision and a letter of it under one key, in both boxes."""
    key, owner = new_key(), case_owner(REF)
    for place, box in ((owner, "case"), (print_owner(REF), "print")):
        add_sealed_key(connection, place, box, seal_key(service.client("intake").public(box), place, key))
    for name in KINDS_OF_ROWS["sealed_items"][1]:
        put_items(connection, [(owner, name, 1, seal(key, item_context(owner, name, 1), _WORDS))])
    connection.execute("insert into drafts values (%s, 1, '', now())", (REF,))
    decision = seal(key, Context("decisions", REF, "envelope", "", 1), _WORDS)
    connection.execute("insert into decisions values (%s, 1, '', now(), 'staff:7', %s)", (REF, decision))
