"""Rotation, shredding, reading killed with SIGKILL anywhere: a second run finishes, all opens, no look is unlogged."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from vault.crypto.custody import Custody
from vault.crypto.holder import Roots
from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.keyfile import read_key_file
from vault.crypto.local import LocalKeyService
from vault.crypto.roots import roots_of
from vault.domain.records import CARE_KINDS, IDENTITY_KINDS
from vault.errors import KeyMissingError, OutOfReachError
from vault.steps.rewrap import rewrap
from vault.storage.custody import counts
from vault.testing.crashes import killed_at
from vault.testing.custodyhouse import (
    CustodyHouse,
    add_in,
    custody_house,
    promote_in,
    read,
    read_in,
    register_of,
    remove_in,
    rewrap_in,
    shred_in,
    until,
)
from vault.testing.fill import fill
from vault.testing.keyservice import ORIGIN, launch_key_service, start_key_service
from vault.testing.patients import Patient, patients
from vault.testing.processes import stop

# every call in `make fuzz`, a sample of them in `make test`
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
STRIDE = 1 if THOROUGH else 4
# one writer changes the file for all three, so that one of them will do in `make test`
CHANGES: list[tuple[Callable[[Path], None], Roots]] = [
    (promote_in, Roots(2, (1, 2))),
    *([(add_in, Roots(1, (1, 2))), (remove_in, Roots(2, (2,)))] if THOROUGH else []),
]
BULK = [f"R-{number}" for number in range(30)]
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def people() -> Iterator[Patient]:
    """Patients with few records, one after the other."""
    return (patient for patient in patients(23, 200) if len(patient.records) < 40)


@pytest.fixture(scope="module")
def house() -> Iterator[CustodyHouse]:
    with custody_house() as house:
        with house.installation.office("registry") as parts:
            parts.keys.make_data_keys("record", BULK)
        yield house


def add(house: CustodyHouse, patient: Patient) -> Patient:
    with house.installation.office("registry") as parts:
        return fill(register_of(parts), [patient])[0]


def looks(house: CustodyHouse, patient: Patient) -> int:
    with house.installation.office("audit") as parts:
        return sum(access.actor == "office:collector" for access in parts.log.who(patient.subject))


def lines(house: CustodyHouse, verb: str, name: str, ref: str) -> int:
    found = (json.loads(line) for line in house.audit(verb))
    return sum((line["name"], line["ref"], line["outcome"]) == (name, ref, "granted") for line in found)


@pytest.mark.parametrize(("act", "becomes"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_key_file_changed_and_killed_anywhere_is_the_old_or_the_new(
    tmp_path: Path, act: Callable[[Path], None], becomes: Roots
) -> None:
    files = KeyDirectory(tmp_path / "k")
    init(files.path, ORIGIN)
    if act is not add_in:
        add_in(files.path)
    if act is remove_in:
        promote_in(files.path)
    start = files.key_file.read_bytes()
    before = read_key_file(files.key_file, files.passphrase_file)
    wrapped = Custody(before).wrap("record", "S-1", KEY)
    for number in count(1):
        files.key_file.write_bytes(start)
        killed = killed_at(number, act, files.path)
        between = read_key_file(files.key_file, files.passphrase_file)
        if roots_of(between) == roots_of(before):
            assert Custody(between).unwrap("record", "S-1", wrapped) == KEY
        act(files.path)
        after = read_key_file(files.key_file, files.passphrase_file)
        assert roots_of(after) == becomes
        assert (after.boxes, after.macs, after.signers) == (before.boxes, before.macs, before.signers)
        if not killed:
            break
    assert number > 3  # the draft's bytes, the rename, the directory
    assert [path.name for path in files.path.glob(".*")] == []


def test_rewrap_killed_anywhere(house: CustodyHouse) -> None:
    for act in (add_in, promote_in):
        act(house.keys.files.path)
        house.hup()
    with house.installation.owner() as connection:
        connection.execute("create table before_rotation as select * from wrapped_keys")
    for number in count(1, STRIDE):
        with house.installation.owner() as connection:
            connection.execute(
                "update wrapped_keys set wrapped = old.wrapped from before_rotation as old "
                "where (wrapped_keys.kind, wrapped_keys.ref) = (old.kind, old.ref)"
            )
        killed = killed_at(number, rewrap_in, house.installation.home)
        with house.installation.office("collector") as parts:
            assert len(parts.keys.data_keys("record", BULK)) == len(BULK)
        with house.installation.office("keeper") as parts:
            assert rewrap(parts)["faulty"] == 0
        with house.installation.office("collector") as parts:
            assert len(parts.keys.data_keys("record", BULK)) == len(BULK)
        with house.installation.owner() as connection:
            assert {one.root for one in counts(connection)} == {house.keys.client("keeper").status().roots.primary}
        if not killed:
            break
    assert number > len(BULK)
    with house.installation.owner() as connection:
        connection.execute("drop table before_rotation")


def test_shredding_killed_anywhere(house: CustodyHouse, people: Iterator[Patient]) -> None:
    other = add(house, next(people))
    for number in count(1, STRIDE):
        patient = add(house, next(people))
        killed = killed_at(number, shred_in, house.installation.home, patient.subject)
        noted = lines(house, "destroy", "record", patient.subject)
        with house.installation.office("audit") as parts:
            assert len(parts.log.who(patient.subject)) >= noted  # nothing is destroyed before the log knows
        with house.installation.office("collector") as parts:
            if noted:
                with pytest.raises(KeyMissingError):
                    read(parts, patient.subject)
            shred_in(house.installation.home, patient.subject)
            with pytest.raises(KeyMissingError):
                read(parts, patient.subject, sorted(CARE_KINDS))
            kept = read(parts, patient.subject, sorted(IDENTITY_KINDS))
            assert {record.ref for record in kept} == {patient.identity.ref, patient.contacts.ref}
            assert len(read(parts, other.subject)) == len(other.records) + 2
        with house.installation.owner() as connection:
            left = connection.execute("select count(*) from records where subject = %s", (patient.subject,)).fetchone()
        assert left == (2,)
        if not killed:
            break
    assert number > STRIDE


def test_reading_killed_anywhere_leaves_no_look_unlogged(house: CustodyHouse, people: Iterator[Patient]) -> None:
    patient = add(house, next(people))
    for number in count(1, STRIDE):
        opened = lines(house, "unwrap", "record", patient.subject)
        logged = looks(house, patient)
        killed = killed_at(number, read_in, house.installation.home, patient.subject)
        assert lines(house, "unwrap", "record", patient.subject) - opened <= looks(house, patient) - logged <= 1
        if not killed:
            break
    assert number > STRIDE
    assert lines(house, "unwrap", "record", patient.subject) > 1
    with house.installation.office("collector") as parts:
        assert len(read(parts, patient.subject)) == len(patient.records) + 2


def test_every_destroyed_key_that_was_answered_outlives_a_kill_of_the_daemon(tmp_path: Path) -> None:
    answered: list[str] = []
    rate = ("--rate", "keeper:destroy=100000")
    with start_key_service(tmp_path / "k", *rate) as daemon:
        keeper = daemon.client("keeper")

        def destroy() -> None:
            with suppress(OutOfReachError):
                for number in count():
                    keeper.destroy("record", f"S-{number}")
                    answered.append(f"S-{number}")

        thread = threading.Thread(target=destroy)
        thread.start()
        until(lambda: len(answered) > 20)
        os.kill(daemon.process.pid, signal.SIGKILL)
        thread.join(timeout=20)
    with (tmp_path / "k" / "destroyed.jsonl").open("ab") as ledger:
        ledger.write(b'{"kind": "record", "re')  # as a power cut may leave it

    with start_key_service(tmp_path / "k") as daemon:
        registry = daemon.client("registry")
        for ref in answered:
            with pytest.raises(KeyMissingError, match="key_destroyed"):
                registry.wrap("record", ref, KEY)
        assert registry.wrap("record", "S-none", KEY)
        assert len(answered) <= daemon.client("operator").status().destroyed <= len(answered) + 1
        daemon.client("keeper").destroy("record", "S-none")
    with start_key_service(tmp_path / "k") as daemon, pytest.raises(KeyMissingError, match="key_destroyed"):
        daemon.client("registry").wrap("record", "S-none", KEY)


def test_rewrap_goes_on_after_the_key_service_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with custody_house() as house:
        with house.installation.office("registry") as parts:
            parts.keys.make_data_keys("record", BULK)
        for act in (add_in, promote_in):
            act(house.keys.files.path)
            house.hup()
        real, calls = LocalKeyService.rotate, count(1)

        def rotate(service: LocalKeyService, kind: str, ref: str, wrapped: bytes) -> bytes:
            if next(calls) == len(BULK) // 2:
                os.kill(house.keys.process.pid, signal.SIGKILL)
            return real(service, kind, ref, wrapped)

        monkeypatch.setattr(LocalKeyService, "rotate", rotate)
        with house.installation.office("keeper") as parts, pytest.raises(OutOfReachError, match="key_service_away"):
            rewrap(parts)

        again = launch_key_service(house.keys.files, house.keys.socket)
        try:
            with house.installation.office("keeper") as parts:
                assert rewrap(parts)["faulty"] == 0
            with house.installation.office("collector") as parts:
                assert len(parts.keys.data_keys("record", BULK)) == len(BULK)
            with house.installation.owner() as connection:
                assert {one.root for one in counts(connection)} == {2}
        finally:
            stop(again.process)
