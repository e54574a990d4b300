import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from vault.accesslog.entries import Access
from vault.accesslog.receipts import LogReceipt, ReceiptBook
from vault.crypto.envelope import Context, unseal
from vault.crypto.keyring import KeyRing
from vault.domain.records import CARE_KINDS, IDENTITY_KINDS, Author, Json, Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import ConflictError, KeyMissingError, NoReceiptError, RefusedError, TamperedError
from vault.register.own import OwnRegister
from vault.register.port import Look, Register, current
from vault.storage.database import Database
from vault.storage.register import SealedRecord
from vault.testing.keyservice import MemoryKeys, MemorySealedKeys, memory_service

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
AUTHOR = Author("Marjatta Koivulehto", "A-1", "psykoterapeutti")
CODE, TWIN = "010594-9032", "010594Y9032"
CASE = "DSR-2026-7K3QXM"


class Log:
    """An access log that remembers its receipts and writes nothing."""

    def __init__(self) -> None:
        self.book = ReceiptBook()
        self.now = NOW

    def receipt(self, subject: str | None, kinds: Iterable[RecordKind], case: str | None = CASE) -> LogReceipt:
        look = Access(
            at=NOW,
            actor="3",
            actor_name="n",
            role="dpo",
            purpose=Purpose.COLLECT,
            legal_ground="GDPR 15",
            case=case,
            subject=subject,
            kinds=tuple(kind.value for kind in kinds),
        )
        return self.book.issue(look, 0, os.urandom(16), NOW, timedelta(minutes=5))

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        self.book.spend(receipt, case=case, subject=subject, kinds=kinds, now=self.now)


class Table:
    """The register's tables in memory; ``looks`` counts what was asked of them."""

    def __init__(self) -> None:
        self.subjects: dict[str, bytes] = {}
        self.rows: dict[tuple[str, str], SealedRecord] = {}
        self.looks: list[str] = []

    def add_subject(self, ref: str, code_index: bytes, rows: Sequence[SealedRecord]) -> None:
        owner = self.find(code_index) or ref
        if owner != ref or self.subjects.setdefault(ref, code_index) != code_index:
            raise ConflictError("subject_differs", "another")
        self.add(rows)

    def find(self, code_index: bytes) -> str | None:
        self.looks.append("find")
        return next((ref for ref, index in self.subjects.items() if index == code_index), None)

    def add(self, rows: Sequence[SealedRecord]) -> None:
        for row in rows:
            self.rows.setdefault((row.subject, row.ref), row)

    def fetch(self, subjects: Collection[str], kinds: Collection[str]) -> list[SealedRecord]:
        self.looks.append("fetch")
        return [row for row in self.rows.values() if row.subject in subjects and row.kind in kinds]

    def present(self, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        return set(wanted) & set(self.rows)


class Service:
    """A key service in memory; ``uses`` notes what was opened and indexed."""

    def __init__(self) -> None:
        self.inner = memory_service()
        self.uses: list[str] = []
        self.named: list[tuple[str, str, str, str]] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def use(*arguments: Any) -> Any:
            if verb != "wrap":
                self.uses.append(f"{verb} {arguments[0]}")
            return getattr(self.inner, verb)(*arguments)

        return use

    def many(self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()) -> list[bytes]:
        self.uses += [f"{verb} {name}"] * len(items)
        self.named += [(verb, name, ref, use) for (ref, _), use in zip(items, uses, strict=True)]
        return self.inner.many(verb, name, items, uses)


class House:
    """A register with everything around it in memory."""

    def __init__(self) -> None:
        self.log, self.table, self.wrapped, service = Log(), Table(), MemoryKeys(), Service()
        self.service: Any = service
        self.keys = KeyRing(self.service, self.wrapped, MemorySealedKeys())
        own = OwnRegister(Database("host=nowhere.invalid"), self.keys, self.service, self.log)
        object.__setattr__(own, "_table", self.table)
        self.register: Register = own

    def read(self, subject: str, *kinds: RecordKind) -> list[Record]:
        wanted = kinds or tuple(RecordKind)
        return self.register.read(self.log.receipt(subject, wanted), subject, wanted, case=CASE)

    def forget_looks(self) -> None:
        self.table.looks.clear()
        self.service.uses.clear()


def record(ref: str, kind: RecordKind, subject: str = "P-1", body: dict[str, Json] | None = None) -> Record:
    return Record(ref, subject, kind, NOW, AUTHOR, body or {"text": f"of {ref}"})


def first(subject: str, code: str) -> tuple[Record, Record]:
    identity: dict[str, Json] = {"given_names": "Aino", "personal_identity_code": code}
    return record(f"{subject}i", RecordKind.IDENTITY, subject, identity), record(
        f"{subject}c", RecordKind.CONTACT_DETAILS, subject
    )


CARE = [record(f"R-{kind.value}", kind) for kind in sorted(CARE_KINDS)]


@pytest.fixture
def house() -> House:
    house = House()
    house.register.add_subject(CODE, *first("P-1", CODE))
    house.register.write(CARE)
    house.forget_looks()
    return house


def spent(house: House) -> LogReceipt:
    receipt = house.log.receipt("P-1", RecordKind)
    house.log.spend(receipt, case=CASE, subject="P-1", kinds=["invoice"])
    return receipt


def expired(house: House) -> LogReceipt:
    receipt = house.log.receipt("P-1", RecordKind)
    house.log.now = NOW + timedelta(minutes=5)
    return receipt


def look_alike(house: House) -> SimpleNamespace:
    receipt = house.log.receipt("P-1", RecordKind)
    return SimpleNamespace(**{name: getattr(receipt, name) for name in LogReceipt.__slots__})


MISFITS: dict[str, Callable[[House], Any]] = {
    "nothing": lambda _: None,
    "text": lambda _: "receipt",
    "forged": look_alike,
    "forged of its class": lambda _: object.__new__(LogReceipt),
    "spent": spent,
    "expired": expired,
    "of another case": lambda house: house.log.receipt("P-1", RecordKind, case="DSR-2026-000000"),
    "of no case": lambda house: house.log.receipt("P-1", RecordKind, case=None),
    "of another subject": lambda house: house.log.receipt("P-2", RecordKind),
    "of no subject": lambda house: house.log.receipt(None, RecordKind),
    "of other kinds": lambda house: house.log.receipt("P-1", [RecordKind.VISIT]),
    "of another log": lambda _: Log().receipt("P-1", RecordKind),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_without_a_fitting_receipt_no_key_is_unwrapped_and_no_row_is_fetched(house: House, misfit: str) -> None:
    receipt = MISFITS[misfit](house)

    with pytest.raises(NoReceiptError):
        house.register.read(receipt, "P-1", [RecordKind.SESSION_ENTRY, RecordKind.VISIT], case=CASE)

    assert house.table.looks == []
    assert house.service.uses == []


@pytest.mark.parametrize(
    "misfit", ["nothing", "text", "forged", "forged of its class", "expired", "of another subject", "of another log"]
)
def test_without_a_fitting_receipt_no_code_is_indexed(house: House, misfit: str) -> None:
    receipt = MISFITS[misfit](house)

    with pytest.raises(NoReceiptError):
        house.register.find(CODE, receipt)

    assert house.table.looks == []
    assert house.service.uses == []


def test_a_receipt_for_other_kinds_finds_nobody(house: House) -> None:
    with pytest.raises(NoReceiptError):
        house.register.find(CODE, house.log.receipt(None, [RecordKind.CONTACT_DETAILS]))


def test_a_receipt_reads_once(house: House) -> None:
    receipt = house.log.receipt("P-1", [RecordKind.VISIT])
    house.register.read(receipt, "P-1", [RecordKind.VISIT], case=CASE)

    with pytest.raises(NoReceiptError):
        house.register.read(receipt, "P-1", [RecordKind.VISIT], case=CASE)


def test_a_receipt_finds_once(house: House) -> None:
    receipt = house.log.receipt(None, [RecordKind.IDENTITY])
    assert house.register.find(CODE, receipt) == "P-1"

    with pytest.raises(NoReceiptError):
        house.register.find(CODE, receipt)


def test_each_receipt_names_the_use_of_the_keys_that_it_opens(house: House) -> None:
    house.register.add_subject(TWIN, *first("P-2", TWIN))
    house.service.named.clear()
    wanted = [RecordKind.IDENTITY, RecordKind.VISIT]
    receipts = [house.log.receipt(subject, wanted) for subject in ("P-1", "P-2", "P-1")]

    house.register.read_many([Look(receipt, str(receipt.subject), CASE) for receipt in receipts], wanted)

    assert sorted(house.service.named) == sorted(
        ("unwrap", kind, str(receipt.subject), receipt.id) for receipt in receipts for kind in ("identity", "record")
    )


def test_a_search_for_a_code_names_its_receipt(house: House) -> None:
    receipt = house.log.receipt(None, [RecordKind.IDENTITY])
    house.service.named.clear()

    house.register.find(CODE, receipt)

    assert house.service.named == [("mac", "subject", "", receipt.id)]


def test_keys_that_are_opened_to_write_are_so_named(house: House) -> None:
    house.service.named.clear()
    house.register.add_subject(TWIN, *first("P-2", TWIN))
    house.register.write([record("R-2", RecordKind.STATEMENT)])

    assert {(verb, use) for verb, _, _, use in house.service.named} == {("wrap", "write"), ("unwrap", "write")}


def test_reading_no_kinds_is_no_way_round(house: House) -> None:
    with pytest.raises(NoReceiptError):
        house.register.read(house.log.receipt("P-1", RecordKind), "P-1", [], case=CASE)


def test_everything_of_a_subject_is_one_fetch_and_one_unwrap_per_key_kind(house: House) -> None:
    records = house.read("P-1")

    assert {item.kind for item in records} == set(RecordKind)
    assert house.table.looks == ["fetch"]
    assert house.service.uses == ["unwrap identity", "unwrap record"]


def test_reading_who_somebody_is_leaves_the_record_key_alone(house: House) -> None:
    house.read("P-1", *IDENTITY_KINDS)

    assert house.service.uses == ["unwrap identity"]


def test_a_subject_without_keys_is_no_subject_without_records(house: House) -> None:
    with pytest.raises(KeyMissingError, match="data_key_missing"):
        house.read("P-9")
    assert house.service.uses == []


@pytest.mark.parametrize("kind", RecordKind)
def test_each_kind_is_sealed_under_its_own_key_and_in_its_own_place(house: House, kind: RecordKind) -> None:
    row = next(row for row in house.table.rows.values() if row.kind == kind.value)
    key = house.keys.data_key("identity" if kind in IDENTITY_KINDS else "record", "P-1")

    plain = unseal(key, Context("records", row.ref, "body", "P-1", row.version), row.envelope)

    assert f'"kind":"{kind.value}"'.encode() in plain


def test_records_come_back_oldest_first(house: House) -> None:
    late, early = (
        replace(record(ref, RecordKind.VISIT), at=NOW + timedelta(days=days)) for ref, days in (("A", 2), ("B", -2))
    )
    house.register.write([late, early])

    assert [item.ref for item in house.read("P-1", RecordKind.VISIT)] == ["B", "R-visit", "A"]


def test_codes_that_differ_in_the_sign_are_two_persons(house: House) -> None:
    house.register.add_subject(TWIN, *first("P-2", TWIN))

    found = [house.register.find(code, house.log.receipt(None, [RecordKind.IDENTITY])) for code in (CODE, TWIN)]

    assert found == ["P-1", "P-2"]


def test_a_code_is_found_in_small_letters_and_with_blanks(house: House) -> None:
    house.register.add_subject("010594Y9021", *first("P-3", "010594Y9021"))

    assert house.register.find(" 010594y9021\n", house.log.receipt(None, [RecordKind.IDENTITY])) == "P-3"


def test_a_stranger_is_not_found(house: House) -> None:
    assert house.register.find(TWIN, house.log.receipt(None, [RecordKind.IDENTITY])) is None


@pytest.mark.parametrize("code", ["", "010594-9033", "010594–9032", "010594-903２", "310299-9032", "0105949032"])
def test_what_is_no_code_is_refused_without_showing_it(house: House, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        house.register.find(code, house.log.receipt(None, [RecordKind.IDENTITY]))
    assert not code or code not in str(caught.value)


def test_writing_again_keeps_what_was_first(house: House) -> None:
    house.register.write([record("R-visit", RecordKind.VISIT, body={"text": "another"}), record("N", RecordKind.VISIT)])

    visits = house.read("P-1", RecordKind.VISIT)

    assert [(item.ref, item.body["text"]) for item in visits] == [("N", "of N"), ("R-visit", "of R-visit")]


def test_a_correction_leaves_the_original_readable(house: House) -> None:
    correction = replace(record("K", RecordKind.VISIT, body={"text": "right"}), corrects="R-visit")
    house.register.write([correction])

    visits = house.read("P-1", RecordKind.VISIT)

    assert {item.ref: item.corrects for item in visits} == {"K": "R-visit", "R-visit": None}
    assert current(visits, RecordKind.VISIT) == correction


def test_a_correction_may_come_with_what_it_corrects(house: House) -> None:
    house.register.write(
        [record("N", RecordKind.VISIT), replace(record("K", RecordKind.VISIT), corrects="N")],
    )

    assert len(house.read("P-1", RecordKind.VISIT)) == 3


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([replace(record("K", RecordKind.VISIT), corrects="unknown")], "corrects_unknown"),
        ([replace(record("K", RecordKind.VISIT), corrects="K")], "corrects_itself"),
        ([replace(record("K", RecordKind.VISIT, "P-2"), corrects="R-visit")], "corrects_unknown"),
        ([record("K", RecordKind.VISIT), record("K", RecordKind.INVOICE)], "record_twice"),
        ([record("K|x", RecordKind.VISIT)], "context_malformed"),
        ([record("Kä", RecordKind.VISIT)], "context_malformed"),
        ([record("K", RecordKind.IDENTITY)], "code_missing"),
        ([record("K", RecordKind.IDENTITY, body={"personal_identity_code": TWIN})], "code_differs"),
        ([replace(record("K", RecordKind.VISIT), at=datetime(2026, 1, 1))], "record_malformed"),  # noqa: DTZ001 - no zone
    ],
)
def test_a_malformed_batch_is_refused_whole(house: House, records: list[Record], code: str) -> None:
    before = dict(house.table.rows)

    with pytest.raises(RefusedError) as caught:
        house.register.write([record("fine", RecordKind.VISIT), *records])

    assert caught.value.code == code
    assert house.table.rows == before


def test_the_newest_address_that_nobody_corrected_is_current(house: House) -> None:
    moved = replace(record("moved", RecordKind.CONTACT_DETAILS), corrects="P-1c", at=NOW + timedelta(days=1))
    house.register.write([moved])

    records = house.read("P-1", RecordKind.CONTACT_DETAILS)

    assert current(records, RecordKind.CONTACT_DETAILS) == moved
    assert current(records, RecordKind.VISIT) is None


def test_an_inspection_is_noted_once_a_case(house: House) -> None:
    for case in (CASE, CASE, "DSR-2026-000000"):
        house.register.note_inspection("P-1", case, NOW, AUTHOR)

    noted = [item for item in house.read("P-1", RecordKind.INSPECTION) if item.ref != "R-inspection"]

    assert [item.body["case_ref"] for item in noted] == ["DSR-2026-000000", CASE]


def test_a_shredded_record_key_is_never_made_anew(house: House) -> None:
    del house.wrapped.rows["record", "P-1"]

    with pytest.raises(KeyMissingError):
        house.read("P-1", RecordKind.VISIT)
    with pytest.raises(KeyMissingError):
        house.register.note_inspection("P-1", CASE, NOW, AUTHOR)
    assert len(house.read("P-1", *IDENTITY_KINDS)) == 2


def test_an_unknown_subject_takes_no_records(house: House) -> None:
    with pytest.raises(KeyMissingError):
        house.register.write([record("N", RecordKind.VISIT, "P-9")])
    assert ("record", "P-9") not in house.wrapped.rows


def test_adding_a_subject_again_changes_nothing(house: House) -> None:
    before = dict(house.table.rows)

    assert house.register.add_subject(CODE, *first("P-1", CODE)) == "P-1"
    assert house.table.rows == before


@pytest.mark.parametrize(("subject", "code"), [("P-2", CODE), ("P-1", TWIN)])
def test_a_code_and_a_reference_belong_together(house: House, subject: str, code: str) -> None:
    with pytest.raises(ConflictError):
        house.register.add_subject(code, *first(subject, code))


@pytest.mark.parametrize(
    ("code", "identity", "contacts"),
    [
        (TWIN, *first("P-5", CODE)),
        (CODE, *reversed(first("P-5", CODE))),
        (CODE, first("P-5", CODE)[0], first("P-6", CODE)[1]),
        (CODE, first("P-5", CODE)[0], replace(first("P-5", CODE)[1], ref="P-5i")),
        ("010594-9033", *first("P-5", "010594-9033")),
        (CODE, record("i", RecordKind.IDENTITY, "P-5"), first("P-5", CODE)[1]),
    ],
    ids=["another code", "swapped", "two subjects", "one reference", "no code", "nameless"],
)
def test_first_records_that_do_not_agree_are_refused(code: str, identity: Record, contacts: Record) -> None:
    house = House()

    with pytest.raises(RefusedError):
        house.register.add_subject(code, identity, contacts)

    assert not house.table.subjects
    assert not house.wrapped.rows


def change(house: House, which: str, **parts: Any) -> None:
    row = replace(house.table.rows.pop(("P-1", which)), **parts)
    house.table.rows[row.subject, row.ref] = row


@pytest.mark.parametrize(
    "parts",
    [
        {"kind": "session_entry"},
        {"kind": "identity"},
        {"ref": "R-other"},
        {"version": 2},
        {"envelope": b"\x01" + bytes(100)},
        {"envelope": b""},
    ],
    ids=["kind", "key kind", "reference", "version", "bytes", "empty"],
)
def test_a_row_that_was_changed_is_found(house: House, parts: dict[str, Any]) -> None:
    change(house, "R-visit", **parts)

    with pytest.raises(RefusedError) as caught:
        house.read("P-1")

    assert caught.value.code in {"envelope_tampered", "envelope_format", "record_kind"}


def test_a_record_does_not_open_under_another_subject(house: House) -> None:
    house.register.add_subject(TWIN, *first("P-2", TWIN))
    change(house, "R-visit", subject="P-2")

    with pytest.raises(TamperedError):
        house.read("P-2")


def test_a_row_shows_no_more_than_its_reference() -> None:
    assert repr(SealedRecord("P-1", "R-1", "visit", 1, b"bytes")) == "SealedRecord(ref='R-1', kind='visit')"


def test_many_subjects_are_read_with_one_look_at_the_table_each_under_its_own_receipt(house: House) -> None:
    house.register.add_subject(TWIN, *first("P-2", TWIN))
    house.register.write([record("R-other", RecordKind.VISIT, "P-2")])
    house.forget_looks()
    looks = [Look(house.log.receipt(subject, [RecordKind.VISIT]), subject, CASE) for subject in ("P-2", "P-1", "P-2")]

    found = house.register.read_many(looks, [RecordKind.VISIT])

    assert [[item.ref for item in records] for records in found] == [["R-other"], ["R-visit"], ["R-other"]]
    assert (house.table.looks, house.service.uses) == (["fetch"], ["unwrap record"] * 3)


def test_one_unfit_receipt_among_many_opens_nothing(house: House) -> None:
    fit, unfit = house.log.receipt("P-1", RecordKind), house.log.receipt("P-1", [RecordKind.INVOICE])

    with pytest.raises(NoReceiptError):
        house.register.read_many([Look(fit, "P-1", CASE), Look(unfit, "P-1", CASE)], [RecordKind.VISIT])
    with pytest.raises(NoReceiptError):
        house.register.read_many([Look(fit, "P-1", CASE), Look(fit, "P-1", CASE)], [RecordKind.VISIT])

    assert (house.table.looks, house.service.uses) == ([], [])
