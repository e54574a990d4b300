"""CSV into our own register by the command, under the office's own database role; and what stays out of reports."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vault.accesslog.entries import Access
from vault.accesslog.log import AccessLog
from vault.cli import main
from vault.crypto.keyring import KeyRing
from vault.domain.records import Record, RecordKind
from vault.domain.roles import Purpose
from vault.register.own import OwnRegister
from vault.settings import DatabaseSettings, RegisterSettings
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.testing.canaries import draw_canary, search
from vault.testing.fhir_export import patient_id, patient_resource
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.patients import patients
from vault.testing.postgres import PostgresServer, postgres

CODE, OTHER = "131052-308T", "010594-9032"
MAPPING = """
delimiter = ";"
date_format = "%d.%m.%Y %H:%M"
[[table]]
files = "people*.csv"
kind = "identity"
person = "Nro"
code = "Hetu"
key = ["Nro"]
fields = { given_names = "Etunimet", family_name = "Sukunimi", customer_number = "Nro" }
contacts = { street = "Osoite" }
[[table]]
files = "notes*.csv"
kind = "session_entry"
person = "Asiakas"
key = ["Id"]
corrects = "Korjaa"
at = "Aika"
author = "Kirjaaja"
fields = { observations = "Teksti", state = "Tila" }
values = { state = { "1" = "vakaa" } }
constants = { reason = "tuotu" }
"""
PEOPLE = "Nro;Hetu;Etunimet;Sukunimi;Osoite;Muu\n1;{code};Matti;Meikäläinen;Katu 1;lisä\n2;;Ei;Koodia;;\n"
NOTES = (
    "Id;Asiakas;Korjaa;Aika;Kirjaaja;Teksti;Tila\n"
    'a;1;;02.05.2024 10:00;Anna;"Eka rivi\ntoka ""rivi""; puolipiste";1\n'
    "b;1;a;03.05.2024 10:00;Anna;korjattu;2\n"
    "c;1;;eilen;;ilman aikaa;\n"
    "d;2;;04.05.2024 10:00;Anna;kuka;\n"
    "e;;;04.05.2024 10:00;Anna;kenen;\n"
    "f;1;x\n"
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, RunningKeyService]]:
    with postgres() as server, start_key_service(tmp_path_factory.mktemp("keys") / "k") as service:
        yield server, service


NUMBERS = count()


@pytest.fixture
def settings(servers: tuple[PostgresServer, RunningKeyService]) -> DatabaseSettings:
    made = servers[0].create_vault(f"dsr_csv_{next(NUMBERS)}")
    migrate(made)
    return made


@pytest.fixture(autouse=True)
def office(
    servers: tuple[PostgresServer, RunningKeyService], settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def open_office(name: str) -> Iterator[Any]:
        database = Database(settings.for_office(name))
        parts = SimpleNamespace(
            database=database,
            service=servers[1].client(name),
            settings=SimpleNamespace(register=RegisterSettings()),
            now=lambda: datetime.now(UTC),
        )
        try:
            yield parts
        finally:
            database.close()

    monkeypatch.setattr("vault.office.open_office", open_office)


def read(servers: tuple[PostgresServer, RunningKeyService], settings: DatabaseSettings, code: str) -> list[Record]:
    database, client = Database(settings.for_office("registry")), servers[1].client("registry")
    keys = KeyRing(client, WrappedKeyTable(database), SealedKeyTable(database))
    log = AccessLog(database, keys, client)
    register = OwnRegister(database, keys, client, log)
    try:
        subject = register.find(code, log.record([_look(None, "identity")])[0])
        kinds = [kind.value for kind in RecordKind]
        receipt = log.record([_look(subject, *kinds)])[0]
        return register.read(receipt, subject or "", RecordKind, case=None)
    finally:
        database.close()


def _look(subject: str | None, *kinds: str) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:registry",
        actor_name="registry",
        role="office",
        purpose=Purpose.REGISTER_KEEPING,
        legal_ground="Act 703/2023 s. 10",
        case=None,
        subject=subject,
        kinds=kinds,
    )


def write(folder: Path, people: str = PEOPLE.format(code=CODE), notes: str = NOTES) -> list[str]:
    (folder / "in").mkdir()
    (folder / "in" / "people.csv").write_text(people, encoding="utf-8")
    (folder / "in" / "notes 2024.csv").write_text(notes, encoding="utf-8")
    (folder / "map.toml").write_text(MAPPING, encoding="utf-8")
    return ["register", "import", str(folder / "in"), "--format", "csv", "--mapping", str(folder / "map.toml")]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_rows_become_records_and_gaps_are_told(
    servers: tuple[PostgresServer, RunningKeyService], settings: DatabaseSettings, tmp_path: Path
) -> None:
    command = write(tmp_path)

    done = invoke(*command, "--json", "--report", str(tmp_path / "report.json"))

    assert done.exit_code == 1, done.output
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["places"] == [
        {"file": 1, "number": 4, "code": "patient_refused"},
        {"file": 1, "number": 5, "code": "no_patient"},
        {"file": 1, "number": 6, "code": "row_malformed"},
        {"file": 2, "number": 2, "code": "code_missing"},
    ]
    assert told["kept"] == {"table1.column6": 1}
    assert told["missing"]["table2.time"] == 1
    identity, contacts, *notes = sorted(
        read(servers, settings, CODE), key=lambda r: (r.kind != "identity", r.kind, r.at)
    )
    assert identity.body["family_name"] == "Meikäläinen"
    assert identity.body["other"] == {"Muu": "lisä"}
    assert contacts.body["street"] == "Katu 1"
    undated, first, second = notes
    assert first.body == {"reason": "tuotu", "observations": 'Eka rivi\ntoka "rivi"; puolipiste', "state": "vakaa"}
    assert (first.at, first.author.name) == (datetime(2024, 5, 2, 7, tzinfo=UTC), "Anna")
    assert (second.corrects, second.body["state"]) == (first.ref, "2")
    assert undated.body["written"] == "unknown"


def test_the_same_command_twice_stores_once(settings: DatabaseSettings, tmp_path: Path) -> None:
    command = write(tmp_path)
    invoke(*command)
    second, third = invoke(*command, "--json"), invoke(*command, "--json", "--again")

    assert json.loads(second.output)["before"] is True
    assert json.loads(third.output)["written"] == {}
    database = Database(settings)
    with database.connect() as connection:
        assert connection.execute("select count(*) from records").fetchone() == (5,)
    database.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ('files = "people*.csv"', "file_unmapped"),
        ('"Osoite"', "column_missing"),
        ('kind = "identity"', "mapping_code"),
        ('delimiter = ";"', "mapping_invalid"),
    ],
)
def test_a_mapping_that_does_not_fit_stops_before_anything_is_stored(
    settings: DatabaseSettings, tmp_path: Path, change: str, code: str
) -> None:
    command = write(tmp_path)
    changed = {"files": 'files = "x"', '"Osoi': '"Katu"', "kind ": 'kind = "visit"', "delim": "delimiters = 3"}[
        change[:5]
    ]
    (tmp_path / "map.toml").write_text(MAPPING.replace(change, changed, 1), encoding="utf-8")

    done = invoke(*command)

    assert done.exit_code == 2
    assert code in done.output
    database = Database(settings)
    with database.connect() as connection:
        assert connection.execute("select count(*) from records").fetchone() == (0,)
    database.close()


def test_no_value_and_no_strange_name_stands_in_report_or_output(settings: DatabaseSettings, tmp_path: Path) -> None:
    canary = draw_canary()
    who = next(patients(9, 1))
    about = {"subject": {"reference": f"Patient/{patient_id(who.subject)}", "display": canary}}
    lines: list[dict[str, Any]] = [
        {**patient_resource(who), "maidenName": canary, canary: canary},
        {"resourceType": "Condition", "id": canary, "code": {"text": canary}, canary: {canary: [canary]}, **about},
        {"resourceType": canary, "id": "x", canary: canary, **about},
        {"resourceType": "Condition", "subject": {"reference": f"Patient/{canary}"}},
        {**patient_resource(who), "id": canary, "identifier": [{"system": "urn:oid:1.2.246.21", "value": canary}]},
    ]
    folder = tmp_path / canary
    folder.mkdir()
    text = "\n".join(json.dumps(line) for line in lines) + f'\n{{"{canary}": \n'
    (folder / f"{canary}.ndjson").write_text(text, encoding="utf-8")

    done = invoke("register", "import", str(folder), "--json", "--report", str(tmp_path / "report.json"))
    shown = invoke("register", "import", str(folder), "--again")

    assert done.exit_code == 1
    report = (tmp_path / "report.json").read_bytes()
    assert b'"Condition.?.?": 1' in report
    database = Database(settings)
    with database.connect() as connection:
        tables = [
            json.dumps(connection.execute(query.encode()).fetchall(), default=bytes.hex).encode()
            for query in (
                "select source, phase, tally from imports",
                "select source, file, number, code from import_refusals",
                "select subject, ref, kind from records",
                "select ref from subjects",
            )
        ]
    database.close()
    outputs = [done.output.encode(), shown.output.encode(), report, *tables]
    assert search([(str(number), data) for number, data in enumerate(outputs)], {"canary": canary}) == []
    assert search([("control", canary.encode())], {"canary": canary})
