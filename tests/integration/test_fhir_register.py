"""The register behind a FHIR R4 server, over real TLS and OAuth2, with HAPI's pages, errors and faults."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from vault.accesslog.entries import Access
from vault.accesslog.receipts import LogReceipt, ReceiptBook
from vault.domain.records import IDENTITY_KINDS, Author, Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import (
    LimitError,
    NoReceiptError,
    NotAllowedError,
    OutOfReachError,
    RefusedError,
    TamperedError,
    VaultError,
)
from vault.register.fhir.client import FhirClient
from vault.register.fhir.register import FhirRegister
from vault.register.port import Look, Register
from vault.testing.fhir_export import export, patient_id
from vault.testing.fhir_server import FhirServer, fhir_server
from vault.testing.patients import Patient, patients
from vault.testing.places import private_directory, write_private

CASE = "DSR-2026-7K3QXM"
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PEOPLE: list[Patient] = list(patients(7, 4))
WHO = PEOPLE[0]
SUBJECT = f"F-{patient_id(WHO.subject)}"
STRANGER = "131052-308T"


class Log:
    """An access log that remembers its receipts and writes nothing."""

    def __init__(self) -> None:
        self.book = ReceiptBook()

    def receipt(self, subject: str | None, kinds: Iterable[RecordKind]) -> LogReceipt:
        look = Access(
            at=NOW,
            actor="office:collector",
            actor_name="collector",
            role="office",
            purpose=Purpose.COLLECT,
            legal_ground="GDPR 15",
            case=CASE,
            subject=subject,
            kinds=tuple(kind.value for kind in kinds),
        )
        return self.book.issue(look, 0, bytes(16), NOW, timedelta(minutes=5))

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        self.book.spend(receipt, case=case, subject=subject, kinds=kinds, now=NOW)


LOG = Log()


@pytest.fixture(scope="module")
def server() -> Iterator[FhirServer]:
    with fhir_server(list(export(PEOPLE))) as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def register(server: FhirServer, slept: list[float]) -> Iterator[FhirRegister]:
    with FhirClient(server.settings(), sleep=slept.append) as client:
        yield FhirRegister(client, LOG)
    server.fault("none", 0)


def find(register: Register, code: str) -> str | None:
    return register.find(code, LOG.receipt(None, [RecordKind.IDENTITY]))


def read(register: Register, subject: str, kinds: Iterable[RecordKind] = tuple(RecordKind)) -> list[Record]:
    wanted = list(kinds)
    return register.read(LOG.receipt(subject, wanted), subject, wanted, case=CASE)


def test_a_patient_is_found_by_a_code_that_stands_in_no_address(server: FhirServer, register: FhirRegister) -> None:
    assert find(register, WHO.code.lower()) == SUBJECT
    assert find(register, STRANGER) is None
    asked = server.requests()
    assert any(WHO.code.split("-")[0] in request["body"] for request in asked)
    assert not [request for request in asked if WHO.code in request["path"] or WHO.code[:6] in request["path"]]


def test_everything_of_one_patient_comes_over_all_pages(register: FhirRegister) -> None:
    records = read(register, SUBJECT)

    kinds = [record.kind for record in records]
    assert len(WHO.records) > 40  # more than two pages
    assert len(records) == len(WHO.records) + 2
    assert sorted(kinds) == sorted([RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS, *(r.kind for r in WHO.records)])
    assert [record.at for record in records] == sorted(record.at for record in records)
    assert {record.subject for record in records} == {SUBJECT}
    assert {r.author for r in WHO.records} <= {record.author for record in records}


def test_many_patients_are_read_each_under_her_own_receipt(register: FhirRegister) -> None:
    subjects = [f"F-{patient_id(patient.subject)}" for patient in PEOPLE[:2]]
    kinds = [RecordKind.VISIT]

    found = register.read_many([Look(LOG.receipt(subject, kinds), subject, CASE) for subject in subjects], kinds)

    assert [{record.subject for record in records} for records in found] == [{subject} for subject in subjects]


def test_identity_alone_asks_for_the_patient_and_nothing_else(server: FhirServer, register: FhirRegister) -> None:
    before = len(server.requests())

    records = read(register, SUBJECT, IDENTITY_KINDS)

    assert {record.kind for record in records} == IDENTITY_KINDS
    assert [r["path"] for r in server.requests()[before:]] == ["/token", f"/fhir/Patient/{patient_id(WHO.subject)}"]


def test_without_a_receipt_nothing_leaves_the_house(server: FhirServer, register: FhirRegister) -> None:
    receipt = LOG.receipt(SUBJECT, [RecordKind.VISIT])
    before = len(server.requests())
    with pytest.raises(NoReceiptError):
        register.read(receipt, SUBJECT, list(RecordKind), case=CASE)  # more kinds than it names
    with pytest.raises(NoReceiptError):
        register.find(WHO.code, receipt)
    with pytest.raises(NoReceiptError):
        register.find(WHO.code, cast("LogReceipt", object()))
    assert len(server.requests()) == before


def test_a_receipt_is_spent_although_the_server_fails(server: FhirServer, register: FhirRegister) -> None:
    receipt = LOG.receipt(SUBJECT, IDENTITY_KINDS)
    server.fault("unwell")
    with pytest.raises(OutOfReachError):
        register.read(receipt, SUBJECT, IDENTITY_KINDS, case=CASE)
    with pytest.raises(NoReceiptError):
        register.read(receipt, SUBJECT, IDENTITY_KINDS, case=CASE)


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("forbidden", NotAllowedError, "fhir_refused"),
        ("gone", RefusedError, "fhir_patient_gone"),
        ("unwell", OutOfReachError, "fhir_unwell"),
        ("later", OutOfReachError, "fhir_unwell"),
        ("outcome", RefusedError, "fhir_outcome"),
        ("truncated", OutOfReachError, "fhir_answer_broken"),
        ("cut", OutOfReachError, "fhir_away"),
        ("redirect", RefusedError, "fhir_question_refused"),
        ("ring", OutOfReachError, "fhir_answer_broken"),
        ("elsewhere", OutOfReachError, "fhir_answer_broken"),
        ("short", OutOfReachError, "fhir_answer_short"),
        ("stranger", TamperedError, "fhir_other_patient"),
    ],
)
def test_a_fault_is_a_clear_error(
    server: FhirServer, register: FhirRegister, fault: str, kind: type[VaultError], code: str
) -> None:
    server.fault(fault)
    with pytest.raises(kind) as caught:
        read(register, SUBJECT)
    assert caught.value.code == code
    assert "HAPI" not in str(caught.value)
    assert patient_id(WHO.subject) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_silent_server_is_given_up(server: FhirServer) -> None:
    with FhirClient(server.settings(timeout_seconds=0.5)) as client:
        FhirRegister(client, LOG)
        client.get("Patient/nobody")  # a token first
        server.fault("silent")
        with pytest.raises(OutOfReachError, match="fhir_away"):
            client.get("Patient/nobody")


def test_a_token_that_is_refused_is_fetched_anew_once(server: FhirServer, register: FhirRegister) -> None:
    find(register, WHO.code)
    before = len(server.requests())
    server.fault("unauthorized")
    assert find(register, WHO.code) == SUBJECT
    assert [r["path"] for r in server.requests()[before:]].count("/token") == 1
    server.fault("unauthorized", 3)
    with pytest.raises(NotAllowedError, match="fhir_refused"):
        find(register, WHO.code)


def test_a_busy_server_is_given_the_time_that_it_asks_for(
    server: FhirServer, register: FhirRegister, slept: list[float]
) -> None:
    server.fault("busy", 2)
    assert find(register, WHO.code) == SUBJECT
    assert slept == [1.0, 1.0]


def test_pages_that_repeat_entries_double_nothing(server: FhirServer, register: FhirRegister) -> None:
    whole = read(register, SUBJECT)
    find(register, WHO.code)
    server.fault("none", 1)
    server.fault("repeated", 2)
    assert {record.ref for record in read(register, SUBJECT)} == {record.ref for record in whole}


def test_a_server_that_ignores_the_search_finds_nobody(server: FhirServer, register: FhirRegister) -> None:
    server.fault("ignored_search")
    with pytest.raises(TamperedError, match="fhir_search_ignored"):
        find(register, WHO.code)


@pytest.mark.parametrize(("limit", "code"), [("pages", "fhir_too_many_pages"), ("answer_bytes", "fhir_too_large")])
def test_an_answer_without_end_is_stopped(server: FhirServer, limit: str, code: str) -> None:
    with FhirClient(server.settings(**{limit: 2})) as client, pytest.raises(LimitError, match=code):
        read(FhirRegister(client, LOG), SUBJECT)


@pytest.mark.parametrize("subject", ["P-7K3QXM2RVB", "F-", "F-a/b", "F-..%2f", f"F-{WHO.code}"])
def test_a_reference_that_is_none_of_the_server_asks_nothing(
    server: FhirServer, register: FhirRegister, subject: str
) -> None:
    before = len(server.requests())
    with pytest.raises(RefusedError, match="subject_unknown"):
        read(register, subject)
    assert len(server.requests()) == before


def test_a_patient_who_is_gone_is_said_to_be(register: FhirRegister) -> None:
    with pytest.raises(RefusedError, match="fhir_patient_gone"):
        read(register, "F-nobody")


def test_an_unknown_authority_and_a_wrong_secret_are_refused(server: FhirServer) -> None:
    other = private_directory("dsrf-")
    write_private(other / "secret", "a-secret-of-nobody-here")
    with FhirClient(server.settings(ca_file=None)) as client, pytest.raises(OutOfReachError, match="fhir_away"):
        client.get("Patient/x")
    with (
        FhirClient(server.settings(client_secret_file=other / "secret")) as client,
        pytest.raises(NotAllowedError, match="fhir_token_refused"),
    ):
        client.get("Patient/x")
    (other / "secret").unlink()
    other.rmdir()


def test_the_right_of_access_is_noted_once_a_case(server: FhirServer, register: FhirRegister) -> None:
    author = Author("DSR Vault", "dsr-vault", "system")
    for _ in range(2):
        register.note_inspection(SUBJECT, CASE, NOW, author)
    (note,) = server.created()
    assert note["identifier"][0]["value"] == CASE
    assert note["subject"]["reference"] == f"Patient/{patient_id(WHO.subject)}"
    server.fault("forbidden")
    with pytest.raises(RefusedError, match="fhir_note_refused"):
        register.note_inspection(SUBJECT, "DSR-2026-AAAAAA", NOW, author)


def test_nothing_else_is_written_there(register: FhirRegister) -> None:
    register.write([])
    with pytest.raises(NotAllowedError, match="register_elsewhere"):
        register.write(WHO.records[:1])
    with pytest.raises(NotAllowedError, match="register_elsewhere"):
        register.add_subject(WHO.code, WHO.identity, WHO.contacts)
