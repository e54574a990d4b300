"""What a thief of an office's password can't write: another office's word, a person's, or a larger room for himself."""

from collections.abc import Iterator

import psycopg
import pytest

from vault.domain.roles import OfficeName
from vault.testing.burgled import REF, House, burgled

LOGGING = frozenset(OfficeName) - {OfficeName.INTAKE, OfficeName.OPERATOR}
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
    "a log key before its time": ("insert into wrapped_keys values ('log', 'x', 1, '')", LOGGING),
    "a newer key in another's place": ("insert into wrapped_keys values ('log', 'x', 2, '')", frozenset()),
    "a record's key": ("insert into wrapped_keys values ('record', 'x', 1, '')", frozenset({OfficeName.REGISTRY})),
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
LARGER = (
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
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with burgled(tmp_path_factory.mktemp("stolen") / "keys") as house:
        yield house


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


@pytest.mark.parametrize("office", OfficeName)
def test_no_office_makes_its_room_larger(house: House, office: OfficeName) -> None:
    with psycopg.connect(house.server.dsn(house.settings.for_office(office)), autocommit=True) as connection:
        for statement in LARGER:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_row_security_can_not_be_set_aside(house: House) -> None:
    with psycopg.connect(house.server.dsn(house.settings.for_office("sealer")), autocommit=True) as connection:
        connection.execute("set row_security to off")
        for statement in ("select * from records", "update cases set version = version - 1"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_an_office_comes_into_no_other_database(house: House) -> None:
    house.server.create_database("other")
    for office in OfficeName:
        for name in ("other", "postgres", "template1"):
            elsewhere = house.settings.for_office(office).model_copy(update={"name": name})
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(house.server.dsn(elsewhere)).close()
