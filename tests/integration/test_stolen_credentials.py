"""A stolen credential opens what docs/threat-model.md says, no more and no less, with psql and from Python."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from vault.accesslog.entries import key_ref
from vault.accesslog.leaves import parse_leaf
from vault.crypto.envelope import Context, unseal
from vault.crypto.keyring import KeyRing
from vault.domain.records import RecordKind
from vault.domain.roles import OfficeName
from vault.errors import KeyMissingError, NotAllowedError, TamperedError, WrongUseError
from vault.steps.casefile import case_owner, item_context, print_owner
from vault.storage.database import Connection, Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.testing.accesslog import SUBJECT
from vault.testing.burgled import REF, House, burgled
from vault.testing.thief import Attempt, attempts, by_psql, by_python, loot, told

PAGE = (Path(__file__).parents[2] / "docs/threat-model.md").read_text(encoding="utf-8")
VERBS = ("select", "insert", "update", "delete")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with burgled(tmp_path_factory.mktemp("stolen") / "keys") as house:
        yield house


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


_CALLS = {
    "log_append` and `log_grow": "select log_grow('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    "log_close": "select log_close('no day')",
    "log_extend": "select log_extend('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
}


@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("office", OfficeName)
def test_only_who_logs_may_call_the_log_s_functions(house: House, office: OfficeName, name: str) -> None:
    named = re.search(rf"`{name}`: ((?:`\w+`(?:, )?)+|nobody)", PAGE)
    assert named
    database = Database(house.settings.for_office(office))
    try:
        with suppress(psycopg.errors.InvalidParameterValue), database.connect() as connection:
            connection.execute(_CALLS[name].encode())
        called = True
    except WrongUseError:
        called = False
    finally:
        database.close()

    assert called is (f"`{office.value}`" in named[1])


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
