"""A stolen credential opens what docs/threat-model.md says, no more and no less, with psql and from Python."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from vault.accesslog.entries import key_ref
from vault.accesslog.leaves import parse_leaf
from vault.accesslog.log import AccessLog
from vault.crypto.boxes import seal_key
from vault.crypto.envelope import Context, new_key, seal, unseal
from vault.crypto.keyring import KeyRing
from vault.domain.case import Case, Channel, Event, Stage
from vault.domain.records import RecordKind
from vault.domain.roles import OfficeName
from vault.errors import KeyMissingError, NotAllowedError, TamperedError, WrongUseError
from vault.settings import DatabaseSettings
from vault.steps.casefile import case_owner, item_context, print_owner
from vault.storage.cases import open_case
from vault.storage.database import Connection, Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable, add_sealed_key, put_item
from vault.storage.migrate import migrate
from vault.testing.accesslog import SUBJECT, look
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.postgres import PostgresServer, postgres
from vault.testing.thief import KINDS_OF_ROWS, Attempt, attempts, by_psql, by_python, loot, told

PAGE = (Path(__file__).parents[2] / "docs/threat-model.md").read_text(encoding="utf-8")
REF = "DSR-2026-7K3QXM"
VERBS = ("select", "insert", "update", "delete")
Query = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class House:
    """A database with at least one row of every kind, the key service, and what is sealed there."""

    server: PostgresServer
    settings: DatabaseSettings
    service: RunningKeyService
    columns: Mapping[str, list[str]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("stolen") / "keys"
    with postgres() as server, start_key_service(folder) as service:
        settings = server.create_vault("dsr_stolen")
        migrate(settings)
        _furnish(settings, service)
        with psycopg.connect(server.dsn(settings)) as connection:
            yield House(server, settings, service, _columns(connection))


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
    """Store one row of every kind; what an office could open is truly sealed, the rest is filled up with nothing."""
    database = Database(settings)
    key = new_key()
    with database.connect() as connection:
        for number, stage in enumerate(Stage):
            case = Case(f"{REF[:-1]}{number}" if number else REF, Channel.MAIL, datetime.now(UTC), stage, 1, "fi")
            open_case(connection, case, actor="office:intake", at=case.received_at)
        events = enumerate([event for event in Event if event is not Event.ARRIVED], start=2)
        rows = [(REF, version, event.value) for version, event in events]
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into case_events (case_ref, version, at, event, stage, actor, detail)"
                " values (%s, %s, now(), %s, 'received', 'office:intake', '{}')",
                rows,
            )
        for owner, box in ((case_owner(REF), "case"), (print_owner(REF), "print")):
            add_sealed_key(connection, owner, box, seal_key(service.client("intake").public(box), owner, key))
        for name in KINDS_OF_ROWS["sealed_items"][1]:
            owner = case_owner(REF)
            put_item(connection, owner, name, 1, seal(key, item_context(owner, name, 1), b"words"))
        connection.execute("insert into drafts values (%s, 1, '', now())", (REF,))
        decision = seal(key, Context("decisions", REF, "envelope", "", 1), b"words")
        connection.execute("insert into decisions values (%s, 1, '', now(), 'staff:7', %s)", (REF, decision))
        for state in KINDS_OF_ROWS["outgoing"][1]:
            road = "post" if state in ("ready", "printed", "posted") else "mail"
            connection.execute("insert into outgoing values (%s, %s, 'code', %s, %s, now())", (state, REF, road, state))
        connection.execute("insert into subjects values (%s, '')", (SUBJECT,))
    registry = KeyRing(service.client("registry"), WrappedKeyTable(database), SealedKeyTable(database))
    keys = {kind: registry.make_data_key(kind, SUBJECT) for kind in ("identity", "record")}
    with database.connect() as connection:
        for record in RecordKind:
            kind = "identity" if record in (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS) else "record"
            envelope = seal(keys[kind], Context("records", record.value, "body", SUBJECT, 1), b"words")
            connection.execute("insert into records values (%s, %s, %s, 1, %s)", (SUBJECT, record, record, envelope))
    AccessLog(database, registry, service.client("registry")).record([look()])
    database.close()


# --- what the page says


def _section(heading: str) -> list[list[str]]:
    """Read a table of the page: its rows as cells."""
    text = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def page_rooms() -> dict[str, dict[str, list[str]]]:
    rows = _section("Each office's room in the database")
    return {
        office.strip("`"): {
            verb: sorted(filter(None, cell.split("; "))) for verb, cell in zip(VERBS, cells, strict=True)
        }
        for office, *cells in rows
    }


def page_openings() -> dict[str, set[str]]:
    return {office.strip("`"): set(re.findall(r"`([\w ]+)`", cell)) for office, cell in _section("With its token too")}


# --- what the database says


Client = Callable[[House, OfficeName, list[Attempt]], list[tuple[str, int]]]
CLIENTS: dict[str, Client] = {
    "psql": lambda house, office, tried: by_psql(house.server, house.settings.for_office(office), tried),
    "python": lambda house, office, tried: by_python(house.settings.for_office(office), tried),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("office", OfficeName)
def test_a_stolen_password_opens_its_own_room(house: House, office: OfficeName, client: str) -> None:
    tried = list(attempts(house.columns, office))

    found = loot(tried, CLIENTS[client](house, office, tried))

    shown = {
        verb: sorted(told(table, loot, house.columns[table], verb=verb) for table, loot in found[verb].items())
        for verb in VERBS
    }
    assert shown == page_rooms()[office]


# --- with the key service's token too


def _case_item(connection: Connection, keys: KeyRing) -> bytes:
    row = _one(
        connection, "select envelope from sealed_items where owner = %s and name = 'particulars'", case_owner(REF)
    )
    return unseal(keys.owner_key(case_owner(REF)), item_context(case_owner(REF), "particulars", 1), row)


def _decision(connection: Connection, keys: KeyRing) -> bytes:
    row = _one(connection, "select envelope from decisions where case_ref = %s", REF)
    return unseal(keys.owner_key(case_owner(REF)), Context("decisions", REF, "envelope", "", 1), row)


def _letter(_: Connection, keys: KeyRing) -> bytes:
    return keys.owner_key(print_owner(REF))  # the letter itself lies in the bucket, under this key


def _record(connection: Connection, keys: KeyRing, key: str, kind: RecordKind) -> bytes:
    row = _one(connection, "select envelope from records where subject = %s and kind = %s", SUBJECT, kind)
    return unseal(keys.data_key(key, SUBJECT), Context("records", kind.value, "body", SUBJECT, 1), row)


def _log_entry(connection: Connection, keys: KeyRing) -> bytes:
    leaf = parse_leaf(_one(connection, "select leaf from log_leaves"))
    row = _one(connection, "select entry from log_leaves")
    assert row
    return keys.data_key("log", key_ref(SUBJECT, leaf.case, leaf.time))


def _one(connection: Connection, query: str, *values: str) -> bytes:
    row = connection.execute(query.encode(), values).fetchone()
    if row is None:
        raise KeyMissingError("no_row", "the database shows no such row")
    return bytes(row[0])


OPENINGS: dict[str, Callable[[Connection, KeyRing], bytes]] = {
    "case file": _case_item,
    "decision": _decision,
    "letter": _letter,
    "identity": lambda connection, keys: _record(connection, keys, "identity", RecordKind.IDENTITY),
    "care": lambda connection, keys: _record(connection, keys, "record", RecordKind.SESSION_ENTRY),
    "log entry": _log_entry,
}


def _opens(house: House, office: OfficeName, opening: Callable[[Connection, KeyRing], bytes]) -> bool:
    database = Database(house.settings.for_office(office))
    keys = KeyRing(house.service.client(office), WrappedKeyTable(database), SealedKeyTable(database))
    try:
        with database.connect() as connection:
            return bool(opening(connection, keys))
    except (WrongUseError, KeyMissingError, NotAllowedError, TamperedError):
        return False
    finally:
        database.close()


@pytest.mark.parametrize("office", OfficeName)
def test_a_stolen_password_and_token_open_what_the_page_says(house: House, office: OfficeName) -> None:
    opened = {name for name, opening in OPENINGS.items() if _opens(house, office, opening)}

    assert opened == page_openings()[office]


def test_the_owner_of_the_tables_with_every_token_opens_all_of_it(house: House) -> None:
    """Else the test above would prove nothing: each opening works for whom neither lock stops."""
    database = Database(house.settings)
    with database.connect() as connection:
        for name, opening in OPENINGS.items():
            office = {"letter": "print", "case file": "desk", "decision": "desk", "log entry": "audit"}.get(
                name, "registry"
            )
            keys = KeyRing(house.service.client(office), WrappedKeyTable(database), SealedKeyTable(database))
            assert opening(connection, keys), name
    database.close()


# --- what a thief would forge

OFFICES = frozenset(OfficeName)
WRITERS: dict[str, tuple[str, frozenset[OfficeName]]] = {
    "a decision": ("insert into decisions values ('{ref}', 1, '', now(), 'staff:7', '')", frozenset({OfficeName.DESK})),
    "a draft": ("insert into drafts values ('{ref}', 2, '', now())", frozenset({OfficeName.COLLECTOR})),
    "a package": (
        "insert into packages values ('{ref}', 'pdf', 'case/x', '', 1, now())",
        frozenset({OfficeName.SEALER}),
    ),
    "another patient for a case": (
        "update cases set version = version + 1, subject = 'P-OTHER' where ref = '{ref}'",
        frozenset({OfficeName.COLLECTOR, OfficeName.DESK}),
    ),
    "a decided stage": (
        "update cases set version = version + 1, stage = 'decided' where stage = 'drafted'",
        frozenset({OfficeName.DESK}),
    ),
    "a sealed stage": (
        "update cases set version = version + 1, stage = 'sealed' where stage = 'decided'",
        frozenset({OfficeName.SEALER}),
    ),
    "a version put back": ("update cases set version = version - 1 where ref = '{ref}'", frozenset()),
    "a person's word": (
        "insert into case_events values ('{ref}', 99, now(), 'identity_proved', 'identified', 'staff:7', null, '{{}}')",
        frozenset({OfficeName.DESK}),
    ),
    "another office's word": (
        "insert into case_events values ('{ref}', 99, now(), 'notice_sent', 'received', 'office:nobody', null, '{{}}')",
        frozenset(),
    ),
    "a key destroyed": ("delete from wrapped_keys", frozenset({OfficeName.KEEPER})),
    "a leaf changed": ("update log_leaves set entry = ''", frozenset()),
    "a leaf removed": ("delete from log_leaves", frozenset()),
    "a checkpoint": ("insert into log_checkpoints values (99, 'note')", frozenset({OfficeName.KEEPER})),
    "a checkpoint changed": ("update log_checkpoints set note = ''", frozenset()),
    "a session at the desk": ("insert into used_assertions values ('x', now())", frozenset({OfficeName.DESK})),
    "an alarm closed": ("update alarms set closed_at = now()", frozenset({OfficeName.DESK})),
    "an alarm removed": ("delete from alarms", frozenset()),
    "a honey mark removed": ("delete from honey", frozenset({OfficeName.REGISTRY})),
}


@pytest.mark.parametrize("forged", WRITERS)
def test_only_its_own_office_writes_it(house: House, forged: str) -> None:
    statement, writers = WRITERS[forged]

    done = {office for office in OfficeName if _does(house, office, statement.format(ref=REF))}

    assert done == writers


def _does(house: House, office: OfficeName, statement: str) -> bool:
    """Try a statement and roll it back; a change that finds no row to change is refused too."""
    with psycopg.connect(house.server.dsn(house.settings.for_office(office))) as connection:
        try:
            done = connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        except psycopg.errors.IntegrityError:
            return True
        finally:
            connection.rollback()
        return done.rowcount > 0 or not statement.startswith("update cases")


@pytest.mark.parametrize(
    "statement",
    [
        "update case_events set actor = 'staff:8'",
        "delete from case_events",
        "truncate case_events",
    ],
)
def test_what_happened_to_a_case_is_changed_by_nobody_not_by_the_owner_either(house: House, statement: str) -> None:
    for account in (house.settings, *(house.settings.for_office(office) for office in OfficeName)):
        with (
            psycopg.connect(house.server.dsn(account)) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (a integer)",
        "create temporary table mine (a integer)",
        "create function mine() returns integer language sql as 'select 1'",
        "create schema mine",
        "truncate cases",
        "drop table cases",
        "alter table cases add column mine text",
        "alter table cases disable row level security",
        "alter table cases disable trigger all",
        "create policy mine on records using (true)",
        "create rule mine as on insert to cases do instead nothing",
        "alter table cases owner to dsr_stolen_desk",
        "create role mine",
        "alter role dsr_stolen_desk superuser",
        "set role dsr_stolen",
        "set session authorization dsr_stolen",
        "copy cases to program 'true'",
        "copy cases from '/etc/passwd'",
        "select pg_read_file('/etc/passwd')",
        "select rolpassword from pg_authid",
        "alter system set fsync to off",
    ],
)
def test_no_office_makes_its_room_larger(house: House, statement: str) -> None:
    for office in OfficeName:
        with (
            psycopg.connect(house.server.dsn(house.settings.for_office(office)), autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


def test_row_security_can_not_be_set_aside(house: House) -> None:
    with psycopg.connect(house.server.dsn(house.settings.for_office("sealer"))) as connection:
        connection.execute("set row_security to off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from records")


def test_an_office_comes_into_no_other_database(house: House) -> None:
    house.server.create_database("other")
    for office in OfficeName:
        elsewhere = house.settings.for_office(office).model_copy(update={"name": "other"})
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(house.server.dsn(elsewhere)).close()
