"""Import into our own register, PostgreSQL and key daemon real: once, again, killed, and out of bad files."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from vault.accesslog.entries import Access
from vault.accesslog.log import AccessLog
from vault.crypto.keyring import KeyRing
from vault.domain.records import Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import ConflictError
from vault.register.imports.fhir import FhirRecipe
from vault.register.imports.inputs import Files
from vault.register.imports.people import People
from vault.register.imports.refs import KeyedRefs
from vault.register.imports.run import Import, Outcome, report
from vault.register.own import OwnRegister
from vault.settings import DatabaseSettings
from vault.storage.database import Database
from vault.storage.imports import ImportTable
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.testing.crashes import killed_at
from vault.testing.fhir_export import Resource, bundle, export, patient_id, patient_resource, resource_of, write_ndjson
from vault.testing.fill import fill
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.patients import Patient, patients
from vault.testing.postgres import PostgresServer, postgres

PEOPLE: list[Patient] = list(patients(11, 4))  # the last of them is no heavy one


NUMBERS = count()


@dataclass(frozen=True, slots=True)
class House:
    """A database of its own and the key service."""

    settings: DatabaseSettings
    service: RunningKeyService

    def run(self, path: Path, *, again: bool = False, base: str | None = None, batch: int = 6000) -> Outcome:
        database = Database(self.settings.for_office("registry"))
        try:
            return self.job(database, path, base, batch).run(again=again)
        finally:
            database.close()

    def job(self, database: Database, path: Path, base: str | None = None, batch: int = 6000) -> Import:
        client = self.service.client("registry")
        refs = KeyedRefs(client, base or "")
        recipe = FhirRecipe(refs, base)
        files = Files(path, recipe.form)
        people = People(database, client, refs)
        return Import(files, recipe, people, now=lambda: datetime.now(UTC), progress=lambda *_: None, batch=batch)

    def refusals(self, path: Path) -> list[tuple[int, str]]:
        database = Database(self.settings.for_office("registry"))
        try:
            return [(item.number, item.code) for item in self.job(database, path).table.refusals()]
        finally:
            database.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = Database(self.settings)
        try:
            with database.connect() as connection:
                return connection.execute(query.encode()).fetchall()
        finally:
            database.close()

    def read(self, code: str) -> list[Record]:
        """Find and read somebody as the registry may."""
        database, client = Database(self.settings.for_office("registry")), self.service.client("registry")
        keys = KeyRing(client, WrappedKeyTable(database), SealedKeyTable(database))
        log = AccessLog(database, keys, client)
        register = OwnRegister(database, keys, client, log)
        try:
            subject = register.find(code, log.record([_look(None, [RecordKind.IDENTITY])])[0])
            if subject is None:
                return []
            return register.read(log.record([_look(subject, RecordKind)])[0], subject, RecordKind, case=None)
        finally:
            database.close()


def _look(subject: str | None, kinds: Iterable[RecordKind]) -> Access:
    return Access(
        at=datetime.now(UTC),
        actor="office:registry",
        actor_name="registry",
        role="office",
        purpose=Purpose.REGISTER_KEEPING,
        legal_ground="GDPR Article 15",
        case=None,
        subject=subject,
        kinds=tuple(kind.value for kind in kinds),
    )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, RunningKeyService]]:
    with postgres() as server, start_key_service(tmp_path_factory.mktemp("keys") / "k") as service:
        yield server, service


@pytest.fixture
def house(servers: tuple[PostgresServer, RunningKeyService]) -> House:
    settings = servers[0].create_vault(f"dsr_import_{next(NUMBERS)}")
    migrate(settings)
    return House(settings, servers[1])


def strings(value: object) -> Iterator[str]:
    """Yield every simple value in words, numbers as JSON writes them."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif value is not None and value != "":
        yield value if isinstance(value, str) else json.dumps(value)


def told(record: Record) -> str:
    return " ".join(" ".join(strings(dict(record.body))).split())


def test_a_whole_register_comes_back_as_it_was_written(house: House, tmp_path: Path) -> None:
    write_ndjson(tmp_path / "in", PEOPLE)

    outcome = house.run(tmp_path / "in")

    assert outcome.refused == {}
    for patient in PEOPLE:
        found = house.read(patient.code)
        assert len(found) == len(patient.records) + 2
        for record in patient.records:
            same = [other for other in found if (other.kind, other.at) == (record.kind, record.at)]
            words = [" ".join(part.split()) for part in strings({**record.body, "visit": None, "status": None})]
            assert any(
                all(word in told(other) for word in words if word not in ("in_person", "true", "disclosure"))
                for other in same
            ), record.kind
            assert record.author in {other.author for other in same} or record.kind in (
                RecordKind.REPRESENTATIVE,
                RecordKind.CORRESPONDENCE,
            )
        corrections = [record for record in patient.records if record.corrects]
        assert len([record for record in found if record.corrects]) == len(corrections)


def test_the_same_again_changes_nothing(house: House, tmp_path: Path) -> None:
    write_ndjson(tmp_path / "in", PEOPLE[:2])
    first = house.run(tmp_path / "in")
    rows = house.rows("select subject, ref, envelope from records order by 1, 2")

    second, third = house.run(tmp_path / "in"), house.run(tmp_path / "in", again=True)

    assert (first.before, second.before, third.before) == (False, True, False)
    assert first.tally.to_json() == second.tally.to_json()
    assert not third.tally.written
    assert house.rows("select subject, ref, envelope from records order by 1, 2") == rows
    assert house.rows("select count(*) from import_items") == [(0,)]


def test_order_form_and_kind_of_reference_make_no_difference(house: House, tmp_path: Path) -> None:
    resources = list(export(PEOPLE[:1]))
    write(tmp_path / "one.ndjson", resources)
    write(tmp_path / "two.ndjson", reversed(resources))
    (tmp_path / "three.json").write_text(json.dumps(bundle(resources), indent=2), encoding="utf-8")
    (tmp_path / "five").write_text(json.dumps(bundle(resources)), encoding="utf-8")  # one line, no ending
    write(tmp_path / "six.json", resources)  # NDJSON under a bundle's name
    care = [resource for resource in resources if resource["resourceType"] != "Practitioner"]
    for number, resource in enumerate(care[:3]):  # a folder of single resources, one of them a patient's
        (tmp_path / "seven").mkdir(exist_ok=True)
        (tmp_path / "seven" / f"{number}.json").write_text(json.dumps(resource, indent=1), encoding="utf-8")
    base = "https://ehr.example/fhir"
    absolute = json.loads(json.dumps(resources).replace('"Patient/', f'"{base}/Patient/'))
    write(tmp_path / "four.ndjson", absolute)

    house.run(tmp_path / "one.ndjson")
    rows = house.rows("select subject, ref from records order by 1, 2")
    for name in ("two.ndjson", "three.json", "five", "six.json", "seven"):
        outcome = house.run(tmp_path / name, again=True)
        assert (outcome.refused, dict(outcome.tally.written)) == ({}, {}), name
        assert outcome.tally.read, name
    assert house.rows("select subject, ref from records order by 1, 2") == rows

    lost = house.run(tmp_path / "four.ndjson")
    assert lost.refused["patient_unknown"] == len(PEOPLE[0].records)  # another server's Patient/1 is somebody else
    assert house.run(tmp_path / "four.ndjson", base=base).refused == {}


def write(path: Path, resources: Iterable[Resource]) -> Path:
    path.write_text("\n".join(json.dumps(resource) for resource in resources) + "\n", encoding="utf-8")
    return path


def test_a_bundle_with_urns_and_contained_patients(house: House, tmp_path: Path) -> None:
    who = PEOPLE[1]
    entries = [
        {"fullUrl": "urn:uuid:aa", "resource": {**patient_resource(who), "id": "x"}},
        {
            "fullUrl": "urn:uuid:bb",
            "resource": {
                "resourceType": "Condition",
                "subject": {"reference": "urn:uuid:aa"},
                "code": {"text": "uniongelma"},
                "recorder": {"reference": "urn:uuid:cc"},
            },
        },
        {"fullUrl": "urn:uuid:cc", "resource": {"resourceType": "Practitioner", "name": [{"text": "Tohtori"}]}},
        {
            "resource": {
                "resourceType": "Condition",
                "id": "inside",
                "contained": [{**patient_resource(who), "id": "p"}],
                "subject": {"reference": "#p"},
                "code": {"text": "selkäkipu"},
            },
        },
    ]
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"entry": entries, "type": "collection", "resourceType": "Bundle"}), encoding="utf-8")

    outcome = house.run(path)

    assert outcome.refused == {}
    problems = {str(record.body["problems"]): record for record in house.read(who.code) if "problems" in record.body}
    assert set(problems) == {"uniongelma", "selkäkipu"}
    assert problems["uniongelma"].author.name == "Tohtori"
    assert house.rows("select count(*) from subjects") == [(1,)]


def test_a_known_subject_is_extended_and_not_doubled(house: House, tmp_path: Path) -> None:
    who = PEOPLE[2]
    database, client = Database(house.settings), house.service.client("registry")
    keys = KeyRing(client, WrappedKeyTable(database), SealedKeyTable(database))
    fill(OwnRegister(database, keys, client, AccessLog(database, keys, client)), [who])
    database.close()
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": f"Patient/{patient_id(who.subject)}"},
        "code": {"text": "uusi"},
    }

    outcome = house.run(write(tmp_path / "in.ndjson", [patient_resource(who), condition]))

    assert outcome.refused == {}
    assert house.rows("select ref from subjects") == [(who.subject,)]
    found = house.read(who.code)
    assert len(found) == len(who.records) + 5
    assert {record.ref for record in who.records} < {record.ref for record in found}


def test_a_newer_version_corrects_the_older_one(house: House, tmp_path: Path) -> None:
    who = PEOPLE[3]
    session = next(record for record in who.records if record.kind is RecordKind.SESSION_ENTRY)
    old = resource_of(session)
    new = json.loads(json.dumps(old))
    new["meta"] = {"versionId": "2", "lastUpdated": "2026-10-30T10:00:00+02:00"}
    new["section"][0]["text"]["div"] = "<div>korjattu</div>"

    house.run(write(tmp_path / "a.ndjson", [patient_resource(who), old]))
    house.run(write(tmp_path / "b.ndjson", [patient_resource(who), new]))
    house.run(write(tmp_path / "c.ndjson", [patient_resource(who), new, old]))

    first, second = sorted(
        (record for record in house.read(who.code) if record.kind is RecordKind.SESSION_ENTRY),
        key=lambda record: record.corrects is not None,
    )
    assert second.corrects == first.ref
    assert "korjattu" in told(second)
    assert "korjattu" not in told(first)


def test_what_cannot_be_stored_is_told_by_its_place_and_the_rest_goes_on(house: House, tmp_path: Path) -> None:
    good, bad = patient_resource(PEOPLE[0]), patient_resource(PEOPLE[1])
    bad["identifier"] = bad["identifier"][1:]
    wrong = json.loads(json.dumps(good).replace(PEOPLE[0].code, PEOPLE[0].code[:-1] + "!"))
    other = {**patient_resource(PEOPLE[2]), "birthDate": "1900-01-01"}
    about = {"resourceType": "Condition", "code": {"text": "kipu"}}
    lines = [
        json.dumps(good),
        '{"resourceType": "Condition", ',
        "[]",
        "",
        json.dumps(bad),
        json.dumps({**about, "id": "1", "subject": {"reference": f"Patient/{bad['id']}"}}),
        json.dumps({**wrong, "id": "w"}),
        json.dumps(other),
        json.dumps({**about, "id": "2", "subject": {"reference": "Patient/nobody"}}),
        json.dumps({**about, "id": "3"}),
        json.dumps(bundle([])),
        json.dumps({**about, "id": "4", "subject": {"reference": f"Patient/{good['id']}"}}),
        '{"resourceType": "Condition", "note": NaN}',
    ]
    path = tmp_path / "in.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")

    outcome = house.run(path)

    assert house.refusals(path) == [
        (2, "json_malformed"),
        (3, "json_malformed"),
        (5, "code_missing"),
        (6, "patient_refused"),
        (7, "hetu_shape"),
        (8, "identity_conflict"),
        (9, "patient_unknown"),
        (10, "no_patient"),
        (11, "bundle_within"),
        (13, "json_malformed"),
    ]
    assert sum(outcome.refused.values()) == 10
    assert len(house.read(PEOPLE[0].code)) == 3


def test_two_codes_under_one_id_refuse_both_and_all_that_hangs_on_them(house: House, tmp_path: Path) -> None:
    one, two = patient_resource(PEOPLE[0]), patient_resource(PEOPLE[1])
    about = {"resourceType": "Condition", "id": "1", "subject": {"reference": f"Patient/{one['id']}"}}

    outcome = house.run(write(tmp_path / "in.ndjson", [one, about, {**two, "id": one["id"]}]))

    assert outcome.refused == {"identity_conflict": 2, "patient_refused": 1}
    assert house.rows("select count(*) from subjects") == [(0,)]


def test_only_one_import_runs_at_a_time(house: House, tmp_path: Path) -> None:
    path = write(tmp_path / "in.ndjson", export(PEOPLE[:1]))
    database = Database(house.settings)
    with ImportTable(database, b"another").alone(), pytest.raises(ConflictError, match="import_running"):
        house.run(path)
    database.close()
    assert house.run(path).refused == {}


def test_a_destroyed_key_is_not_made_anew(house: House, tmp_path: Path) -> None:
    people = write(tmp_path / "a.ndjson", export(PEOPLE[:1]))
    house.run(people)
    database = Database(house.settings)
    with database.connect() as connection:
        connection.execute("delete from wrapped_keys where kind = 'record'")
    database.close()

    outcome = house.run(people, again=True)

    assert set(outcome.refused) == {"data_key_missing"}
    assert house.rows("select count(*) from wrapped_keys where kind = 'record'") == [(0,)]


# every call in `make fuzz`, a sample of them in `make test`
PLACES = range(1, 70) if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else (2, 9, 38)


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_the_next_run_ends_as_if_nothing_had_happened(house: House, tmp_path: Path, place: int) -> None:
    write_ndjson(tmp_path / "in", PEOPLE[:3])
    killed = killed_at(place, _go, house, tmp_path / "in")
    outcome = house.run(tmp_path / "in")

    assert killed or place > 38
    assert outcome.refused == {}
    assert sum(outcome.tally.written.values()) == sum(len(who.records) + 2 for who in PEOPLE[:3])
    assert house.rows("select count(*) from records") == [(sum(outcome.tally.written.values()),)]
    assert house.rows("select count(*) from wrapped_keys where kind <> 'log'") == [(6,)]
    for who in PEOPLE[:3]:
        assert len(house.read(who.code)) == len(who.records) + 2


def _go(house: House, path: Path) -> None:
    house.run(path, batch=50)


def test_the_report_holds_counts_and_places_and_no_value(house: House, tmp_path: Path) -> None:
    path = write(tmp_path / "in.ndjson", [*export(PEOPLE[:1]), {"resourceType": "Condition"}])
    outcome = house.run(path)

    database = Database(house.settings)
    parts = dict(report(outcome, house.job(database, path).table.refusals(), 1))
    places = list(parts.pop("places"))
    database.close()

    assert parts["ok"] is False
    assert len(places) == 1
    assert places[0]["code"] == "no_patient"
    assert parts["kept"]["RelatedPerson.extension.valueString"] > 0
    assert parts["missing"]["Patient.author"] == 2
