"""The key service's audit and the access log are held against each other on a real installation."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from vault.accesslog.leaves import parse_leaf
from vault.crypto.boxes import seal_key
from vault.crypto.envelope import new_key
from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.errors import ConflictError, RefusedError
from vault.steps.attachments import attachment_owner, read_attachment
from vault.steps.casefile import CaseFile, access, case_owner, record
from vault.steps.parts import Parts
from vault.steps.receive import PARTICULARS
from vault.steps.reconcile import USES, WINDOW, reconcile
from vault.storage.alarms import Alarm, open_alarms
from vault.storage.keys import SealedKeyTable, WrappedKeyTable, add_sealed_key
from vault.storage.progress import advance, position
from vault.testing.crashes import killed_at
from vault.testing.installation import Installation
from vault.testing.road import CLINICIAN, Road, run_on, travelled

STRIDE = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 5
SOON, LATER = timedelta(minutes=1), timedelta(hours=2)
CODES = ("unwrap_without_entry", "entry_without_unwrap")


@pytest.fixture(scope="module")
def travelling() -> Iterator[Road]:
    with travelled() as road:
        yield road


@pytest.fixture(scope="module")
def ref(travelling: Road) -> str:
    """A case whose requester is known."""
    return travelling.bring(Stage.IDENTIFIED)


@pytest.fixture
def road(travelling: Road, ref: str) -> Road:  # noqa: ARG001 - it is there before anything is held
    """What came before a test is held, and its alarms are put away."""
    held(travelling, LATER)
    with travelling.installation.owner() as connection:
        connection.execute("delete from alarms")
    return travelling


@contextmanager
def keeper(home: Path, by: timedelta) -> Iterator[Parts]:
    with Installation(home).office("keeper") as parts:

        def now() -> datetime:
            return parts.now() + by

        yield replace(parts, now=now)


def held(road: Road, by: timedelta = SOON) -> dict[str, int]:
    with keeper(road.home, by) as parts:
        return reconcile(parts)


def held_at(home: Path) -> None:
    with keeper(home, SOON) as parts:
        reconcile(parts)


def rung(road: Road) -> list[Alarm]:
    with road.installation.owner() as connection:
        return [alarm for alarm in open_alarms(connection) if alarm.code in CODES]


def subject_of(road: Road, ref: str) -> str:
    return str(road.at(ref).subject)


def test_a_day_s_honest_work_rings_nothing(road: Road) -> None:
    ref = road.bring(Stage.SEALED)
    run_on(road.home, "deliver", ref)
    with road.installation.office("desk") as parts:
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=CLINICIAN)
        said = file.get(PARTICULARS) or {}
        assert read_attachment(file, said["arrival"], said["attachments"][0])  # her key came along
    road.bring(Stage.RECEIVED, "code")
    road.run("identify")

    done = held(road, LATER)

    assert rung(road) == []
    assert done["uses"] > 10
    assert done["entries"] > 5
    assert (done["alarms"], done["refused"]) == (0, 0)


def test_again_there_is_nothing_to_hold(road: Road) -> None:
    road.bring(Stage.IDENTIFIED)
    assert held(road, LATER)["uses"] > 0

    again = held(road, LATER)

    assert (again["uses"], again["entries"], again["alarms"]) == (0, 0, 0)


def unwrap(parts: Parts, subject: str, use: str) -> None:
    wrapped = WrappedKeyTable(parts.database).get_many("record", [subject])
    parts.service.many("unwrap", "record", list(wrapped.items()), [use])


def unseal(parts: Parts, ref: str, use: str) -> None:
    unseal_owner(parts, case_owner(ref), use)


def unseal_owner(parts: Parts, owner: str, use: str) -> None:
    found = SealedKeyTable(parts.database).get(owner)
    assert found is not None
    parts.service.unseal(found[0], owner, found[1], use)


def search(parts: Parts, use: str) -> None:
    parts.service.many("mac", "subject", [("", b"010594Y9032")], [use])


STOLEN: dict[str, tuple[str, str, Callable[[Parts, str, str], None]]] = {
    "a record without a use": ("collector", "use_missing", lambda parts, _ref, who: unwrap(parts, who, "")),
    "a record under an invented use": ("collector", "no_entry", lambda parts, _ref, who: unwrap(parts, who, "ab" * 16)),
    "a record to write nothing": ("collector", "nobody_writes", lambda parts, _ref, who: unwrap(parts, who, "write")),
    "an entry that is not due": ("sealer", "nobody_writes", lambda parts, _ref, who: unwrap(parts, who, "write")),
    "a case by a person's office": ("desk", "use_missing", lambda parts, ref, _who: unseal(parts, ref, "")),
    "a case under an invented use": ("desk", "no_entry", lambda parts, ref, _who: unseal(parts, ref, "ab" * 16)),
    "a try at the index": ("collector", "use_missing", lambda parts, _ref, _who: search(parts, "")),
    "a named try at the index": ("collector", "no_entry", lambda parts, _ref, _who: search(parts, "ab" * 16)),
}


@pytest.mark.parametrize("theft", STOLEN)
def test_a_key_that_is_opened_without_an_entry_rings(road: Road, ref: str, theft: str) -> None:
    office, why, act = STOLEN[theft]
    with road.installation.office(office) as parts:
        act(parts, ref, road.cast.people[-1].subject)

    done = held(road)

    (alarm,) = rung(road)
    assert (alarm.code, alarm.actor, alarm.detail["why"]) == ("unwrap_without_entry", f"office:{office}", why)
    assert done["alarms"] == 1
    assert alarm.case == (ref if office == "desk" else None)


def test_an_attachment_opened_without_an_entry_rings_at_its_case(road: Road, ref: str) -> None:
    with road.installation.owner() as connection:
        row = connection.execute("select ref from arrivals where case_ref = %s", (ref,)).fetchone()
    assert row is not None
    owner = attachment_owner(row[0], "1")
    with road.installation.office("desk") as parts:
        sealed = seal_key(parts.service.public("case"), owner, new_key())
        with road.installation.owner() as connection:
            add_sealed_key(connection, owner, "case", sealed)
        unseal_owner(parts, owner, "")

    held(road)

    (alarm,) = rung(road)
    assert (alarm.code, alarm.case, alarm.detail["why"]) == ("unwrap_without_entry", ref, "use_missing")


def test_another_patient_s_entry_excuses_nothing_and_both_lines_are_told(road: Road, ref: str) -> None:
    victim = next(person.subject for person in road.cast.people if person.subject != subject_of(road, ref))
    with road.installation.office("collector") as parts:
        look = access(parts, Purpose.IDENTIFY, case=ref, subject=subject_of(road, ref), kinds=["identity"])
        (receipt,) = record(parts, [look])
        unwrap(parts, subject_of(road, ref), receipt.id)
        unwrap(parts, victim, receipt.id)

    held(road)

    (alarm,) = rung(road)
    assert (alarm.detail["ref"], alarm.detail["use"], alarm.detail["why"]) == (victim, receipt.id, "elsewhere")
    assert (alarm.detail["entry_use"], alarm.detail["entry_case"]) == (receipt.id, ref)


def log_only(road: Road, ref: str) -> None:
    """Log a look of the collector's, and open nothing."""
    with road.installation.office("collector") as parts:
        record(parts, [access(parts, Purpose.COLLECT, case=ref, subject=subject_of(road, ref), kinds=["visit"])])


def test_an_entry_without_an_unwrap_rings_once_its_receipt_has_expired(road: Road, ref: str) -> None:
    log_only(road, ref)

    assert held(road, SOON)["entries"] == 0
    assert rung(road) == []
    assert held(road, LATER)["alarms"] == 1
    assert held(road, LATER)["alarms"] == 0

    (alarm,) = rung(road)
    assert (alarm.code, alarm.actor, alarm.case) == ("entry_without_unwrap", "office:collector", ref)
    assert int(alarm.detail["index"]) >= 0


def test_an_entry_whose_work_was_done_again_is_counted(road: Road) -> None:
    ref = road.bring(Stage.IDENTIFIED)
    log_only(road, ref)
    run_on(road.home, "collect", ref)

    done = held(road, LATER)

    assert (done["unused"], done["alarms"]) == (1, 0)
    assert rung(road) == []


def test_a_look_from_the_future_holds_up_nobody(road: Road, ref: str) -> None:
    with road.installation.office("collector") as parts:
        look = access(parts, Purpose.COLLECT, case=ref, subject=subject_of(road, ref), kinds=["visit"])
        record(parts, [replace(look, at=look.at + timedelta(days=400)), look])

    assert held(road, LATER)["entries"] == 2
    assert sum(alarm.count for alarm in rung(road)) == 2


def test_each_look_names_a_use_of_its_own_in_its_leaf(road: Road, ref: str) -> None:
    with road.installation.office("desk") as parts:
        look = access(parts, Purpose.REVIEW, case=ref, subject=None, kinds=["case_file"], staff=CLINICIAN)
        receipts = record(parts, [look] * 50)

    with road.installation.owner() as connection:
        rows = connection.execute("select idx, leaf from log_leaves where idx >= %s", (receipts[0].index,)).fetchall()

    named = {int(index): parse_leaf(bytes(leaf)).use.hex() for index, leaf in rows}
    assert len({receipt.id for receipt in receipts}) == 50
    assert [named[receipt.index] for receipt in receipts] == [receipt.id for receipt in receipts]


def test_a_use_that_was_refused_is_counted(road: Road, ref: str) -> None:
    with road.installation.office("collector") as parts:
        look = access(parts, Purpose.COLLECT, case=ref, subject=subject_of(road, ref), kinds=["visit"])
        (receipt,) = record(parts, [look])
        with pytest.raises(RefusedError):
            parts.service.many("unwrap", "record", [("a|b", b"")], [receipt.id])

    done = held(road, LATER)

    assert (done["refused"], done["alarms"]) == (1, 0)


def test_killed_anywhere_it_rings_once(road: Road, ref: str) -> None:
    with road.installation.office("collector") as parts:
        unwrap(parts, subject_of(road, ref), "")

    number = 1
    while killed_at(number, held_at, road.home):
        number += STRIDE

    assert number > 2 * STRIDE
    assert [(alarm.code, alarm.count) for alarm in rung(road)] == [("unwrap_without_entry", 1)]


def test_uses_that_looks_still_wait_for_are_read_again(road: Road) -> None:
    road.bring(Stage.DRAFTED)
    held(road, SOON)
    with road.installation.owner() as connection:
        assert position(connection, WINDOW) < position(connection, USES)

    done = held(road, LATER)

    assert done["entries"] > 0
    assert done["alarms"] == 0


def test_who_is_not_the_only_one_stops(road: Road) -> None:
    road.bring(Stage.RECEIVED)
    with keeper(road.home, SOON) as parts:
        inner = parts.service.audit

        class Overtaken:
            def __getattr__(self, name: str) -> object:
                return getattr(parts.service, name)

            def audit(self, place: int) -> object:
                page = inner(place)
                held(road)
                return page

        with pytest.raises(ConflictError, match="reconciling"):
            reconcile(replace(parts, service=Overtaken()))  # type: ignore[arg-type]  # stands in for the port


def test_an_audit_that_was_cut_is_told(road: Road) -> None:
    with road.installation.owner() as connection:
        before = position(connection, WINDOW)
        advance(connection, WINDOW, 10**9, datetime.fromisoformat("2026-11-20T08:00:00+00:00"))

    with pytest.raises(RefusedError, match="key_audit_cut"):
        held(road)

    with road.installation.owner() as connection:
        advance(connection, WINDOW, before, datetime.fromisoformat("2026-11-20T08:00:00+00:00"))
