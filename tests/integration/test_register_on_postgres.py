"""The register on a real PostgreSQL, with the real key daemon and the real access log."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from vault.accesslog.entries import Access
from vault.accesslog.log import AccessLog
from vault.accesslog.receipts import LogReceipt
from vault.crypto.keyring import KeyRing
from vault.domain.records import IDENTITY_KINDS, Author, Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import ConflictError, NoReceiptError, NotAllowedError, RefusedError, TamperedError, WrongUseError
from vault.register.own import OwnRegister
from vault.register.port import Register, current
from vault.settings import DatabaseSettings
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.migrate import migrate
from vault.testing.fill import fill
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.patients import Patient, patients
from vault.testing.postgres import postgres

CASE = "DSR-2026-7K3QXM"
AUTHOR = Author("Marjatta Koivulehto", "A-1", "psykoterapeutti")


@dataclass(frozen=True, slots=True)
class Office:
    """One office's register, log and keys over the shared database."""

    database: Database
    keys: KeyRing
    log: AccessLog
    register: Register

    def receipt(self, subject: str | None, kinds: Iterable[RecordKind]) -> LogReceipt:
        look = Access(
            at=datetime.now(UTC),
            actor="collector",
            actor_name="collector",
            role="office",
            purpose=Purpose.REGISTER_KEEPING,
            legal_ground="GDPR Article 15",
            case=CASE,
            subject=subject,
            kinds=tuple(kind.value for kind in kinds),
        )
        return self.log.record([look])[0]

    def find(self, code: str) -> str | None:
        return self.register.find(code, self.receipt(None, [RecordKind.IDENTITY]))

    def read(self, subject: str, *kinds: RecordKind) -> list[Record]:
        wanted = kinds or tuple(RecordKind)
        return self.register.read(self.receipt(subject, wanted), subject, wanted, case=CASE)


@dataclass(frozen=True, slots=True)
class House:
    """A filled register: who is in it, how long filling took, and the way in for each office."""

    settings: DatabaseSettings
    service: RunningKeyService
    people: list[Patient]
    progress: list[int]
    seconds: float

    def office(self, name: str, *, owner: bool = False) -> Office:
        return office(self.settings, self.service, name, owner=owner)

    def uses(self) -> list[str]:
        """What the key daemon's audit says was opened or indexed, log keys and tags left out."""
        return [
            line for line in self.service.audit_lines() if '"identity' in line or '"record' in line or "subject" in line
        ]


OPEN: list[Database] = []


def office(settings: DatabaseSettings, service: RunningKeyService, name: str, *, owner: bool = False) -> Office:
    """Open an office under its own role; as the database's owner, to see what the key service alone refuses."""
    database, client = Database(settings if owner else settings.for_office(name)), service.client(name)
    OPEN.append(database)
    keys = KeyRing(client, WrappedKeyTable(database), SealedKeyTable(database))
    log = AccessLog(database, keys, client)
    return Office(database, keys, log, OwnRegister(database, keys, client, log))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with postgres() as server, start_key_service(tmp_path_factory.mktemp("keys") / "k") as service:
        settings = server.create_vault("dsr_register")
        migrate(settings)
        people, progress = list(patients(1, bound_keys={0: ["armoured"]})), list[int]()
        began = time.monotonic()
        fill(office(settings, service, "registry").register, people, progress.append)
        yield House(settings, service, people, progress, time.monotonic() - began)
        while OPEN:
            OPEN.pop().close()


@pytest.fixture
def collector(house: House) -> Office:
    return house.office("collector")


@pytest.fixture
def registry(house: House) -> Office:
    return house.office("registry")


def test_two_hundred_patients_are_filled_in_ten_seconds_with_progress(house: House) -> None:
    assert house.progress == list(range(1, 201))
    assert house.seconds < 10


@pytest.mark.parametrize("place", [0, 4, 20, 21, 199])
def test_everybody_is_found_and_read_as_written(house: House, collector: Office, place: int) -> None:
    patient = house.people[place]

    subject = collector.find(patient.code)

    assert subject == patient.subject
    written = [patient.identity, patient.contacts, *patient.records]
    assert collector.read(subject) == sorted(written, key=lambda record: (record.at, record.ref))


def test_filling_again_changes_nothing(house: House, registry: Office) -> None:
    def rows() -> list[tuple[Any, ...]]:
        with registry.database.connect() as connection:
            return connection.execute("select subject, ref, envelope from records order by 1, 2").fetchall()

    before = rows()
    fill(registry.register, house.people[:20])
    assert rows() == before


def test_half_a_megabyte_is_read_with_one_query_and_one_unwrap_per_key_kind(
    house: House, collector: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = collector.receipt(house.people[4].subject, RecordKind)
    before, asked, ask = house.uses(), list[int](), Database.ask

    def counted(database: Database, *words: Any, **more: Any) -> Any:
        asked.append(1)
        return ask(database, *words, **more)

    monkeypatch.setattr(Database, "ask", counted)
    records = collector.register.read(receipt, house.people[4].subject, RecordKind, case=CASE)

    assert len(records) > 600
    assert len(house.uses()) - len(before) == 2
    assert len(asked) == 3  # the rows, and each wrapped key


@pytest.mark.parametrize("misfit", ["nothing", "forged", "spent", "expired", "case", "subject", "kinds"])
def test_without_a_fitting_receipt_the_key_daemon_is_not_asked(house: House, misfit: str) -> None:
    late = datetime.now(UTC)
    desk = house.office("collector")
    object.__setattr__(desk.log, "_now", lambda: late)
    subject, other = house.people[0].subject, house.people[1].subject
    good = desk.receipt(subject, [RecordKind.VISIT])
    if misfit == "spent":
        desk.register.read(good, subject, [RecordKind.VISIT], case=CASE)
    if misfit == "expired":
        late = late.replace(year=late.year + 1)
    receipts: dict[str, Any] = {
        "nothing": None,
        "forged": SimpleNamespace(**{name: getattr(good, name) for name in LogReceipt.__slots__}),
        "subject": desk.receipt(other, [RecordKind.VISIT]),
        "kinds": desk.receipt(subject, IDENTITY_KINDS),
    }
    before = house.uses()

    with pytest.raises(NoReceiptError):
        desk.register.read(
            receipts.get(misfit, good),
            subject,
            [RecordKind.VISIT],
            case="DSR-2026-000000" if misfit == "case" else CASE,
        )

    assert house.uses() == before


def test_the_tables_hold_nothing_that_can_be_read(house: House, registry: Office) -> None:
    with registry.database.connect() as connection:
        stored = b"".join(
            bytes(cell) if isinstance(cell, bytes) else str(cell).encode()
            for table in ("subjects", "records")
            for row in connection.execute(f"select * from {table}").fetchall()  # noqa: S608 - two fixed names
            for cell in row
        )

    assert house.people[4].records[0].ref.encode() in stored  # what is plain is found this way
    for patient in house.people[::10]:
        secrets = [patient.code, patient.identity.body["family_name"], patient.contacts.body["email"]]
        assert not [secret for secret in secrets if str(secret).encode() in stored]


def test_an_inspection_is_noted_once_by_the_sealer(house: House, collector: Office) -> None:
    subject, sealer = house.people[2].subject, house.office("sealer")
    before = len(collector.read(subject, RecordKind.INSPECTION))
    at = datetime(2026, 11, 3, 9, tzinfo=UTC)

    for _ in range(2):
        sealer.register.note_inspection(subject, CASE, at, AUTHOR)

    noted = collector.read(subject, RecordKind.INSPECTION)
    assert len(noted) == before + 1
    assert (noted[-1].at, noted[-1].body["case_ref"]) == (at, CASE)


def test_a_corrected_address_stands_beside_the_old_one(house: House, registry: Office, collector: Office) -> None:
    patient = house.people[3]
    moved = replace(
        patient.contacts,
        ref="R-MOVED",
        at=datetime(2026, 11, 3, 9, tzinfo=UTC),
        body={**patient.contacts.body, "street": "Uusikatu 1"},
        corrects=patient.contacts.ref,
    )
    registry.register.write([moved])

    records = collector.read(patient.subject, RecordKind.CONTACT_DETAILS)

    assert records == [patient.contacts, moved]
    assert current(records, RecordKind.CONTACT_DETAILS) == moved


def test_a_correction_of_another_subjects_record_is_refused(house: House, registry: Office) -> None:
    one, other = house.people[5], house.people[6]

    with pytest.raises(RefusedError) as caught:
        registry.register.write([replace(one.records[0], ref="R-WRONG", corrects=other.records[0].ref)])

    assert caught.value.code == "corrects_unknown"


def test_a_batch_with_an_unknown_subject_stores_nothing(house: House, registry: Office) -> None:
    registry.keys.make_data_key("record", "P-NOBODY")
    known = replace(house.people[7].records[0], ref="R-FIRST")

    with pytest.raises(RefusedError) as caught:
        registry.register.write([known, replace(known, subject="P-NOBODY")])

    assert caught.value.code == "subject_unknown"
    assert known not in registry.read(known.subject)


@pytest.mark.parametrize(("place", "code_of"), [(8, 9), (9, 8)])
def test_a_code_belongs_to_one_subject(house: House, registry: Office, place: int, code_of: int) -> None:
    patient, code = house.people[place], house.people[code_of].code
    identity = replace(patient.identity, body={**patient.identity.body, "personal_identity_code": code})

    with pytest.raises(ConflictError):
        registry.register.add_subject(code, identity, patient.contacts)

    assert registry.find(code) == house.people[code_of].subject


def test_two_who_add_the_same_subject_at_once_both_succeed(house: House) -> None:
    newcomers = list(patients(99, 6))
    registers = [house.office("registry").register for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda register: fill(register, newcomers), registers))

    assert done == [newcomers, newcomers]
    reader = house.office("collector")
    assert [len(reader.read(one.subject)) for one in newcomers] == [len(one.records) + 2 for one in newcomers]


def test_a_record_moved_to_another_patient_does_not_open(house: House, collector: Office) -> None:
    one, other = house.people[11], house.people[12]
    with house.office("collector", owner=True).database.connect() as connection:
        connection.execute(
            "insert into records select %s, ref, kind, version, envelope from records where subject = %s and ref = %s",
            (other.subject, one.subject, one.records[0].ref),
        )

    with pytest.raises(TamperedError):
        collector.read(other.subject)


@pytest.mark.parametrize("name", ["intake", "operator"])
def test_other_offices_find_nobody(house: House, collector: Office, name: str) -> None:
    stranger = OwnRegister(collector.database, collector.keys, house.service.client(name), collector.log)

    with pytest.raises(NotAllowedError):
        stranger.find(house.people[0].code, collector.receipt(None, [RecordKind.IDENTITY]))


def test_the_desk_opens_no_record(house: House) -> None:
    desk = house.office("desk", owner=True)

    for kind in (*IDENTITY_KINDS, RecordKind.SESSION_ENTRY):
        with pytest.raises(NotAllowedError):  # so says the key service, had it the rows
            desk.read(house.people[0].subject, kind)
    with pytest.raises(WrongUseError, match="permission denied for table records"):  # and it has not
        house.office("desk").read(house.people[0].subject, RecordKind.SESSION_ENTRY)
