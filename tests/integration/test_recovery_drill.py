"""The drill: backups and two of three custodians bring a lost house back; what was shredded stays shut."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from vault.accesslog.publish import LogParts, log_key, publish
from vault.accesslog.recount import verify_database
from vault.cli import main
from vault.crypto.boxes import seal_key
from vault.crypto.keydir import KeyDirectory, init, read_public
from vault.domain.records import IDENTITY_KINDS
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError
from vault.steps.parts import Parts
from vault.steps.shred import shred
from vault.storage.keys import add_sealed_key
from vault.storage.migrate import migrate
from vault.testing.accesslog import MemoryShelf
from vault.testing.custodyhouse import CASE, CustodyHouse, custody_house, dump, read, register_of, restore
from vault.testing.fill import fill
from vault.testing.keyservice import ORIGIN
from vault.testing.patients import Patient, patients

CASE_KEY = bytes(range(32))
GONE = "P-ERASED"
PEOPLE = list(patients(11, 3))


@dataclass(frozen=True, slots=True)
class Backups:
    """What survives: a dump, a copy of the key directory's durable files, three shares, the published log."""

    dump: bytes
    keys: KeyDirectory
    shares: list[Path]
    shelf: MemoryShelf
    accesses: int


def dsr(*words: str | Path) -> None:
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 0, done.output


def log_parts(parts: Parts) -> LogParts:
    return LogParts(parts.database, parts.service, ORIGIN)


def live(house: CustodyHouse, people: list[Patient]) -> None:
    """Fill a house: patients with records, looks into them, a case's key."""
    with house.installation.office("registry") as parts:
        fill(register_of(parts), people)
    with house.installation.office("collector") as parts:
        for patient in people:
            read(parts, patient.subject)
    sealed = seal_key(read_public(house.keys.files.public("case")), CASE, CASE_KEY)
    with house.installation.owner() as connection:
        add_sealed_key(connection, CASE, "case", sealed)


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Backups:
    """Run a house, back it up as docs/operations.md says, and lose it."""
    safe = tmp_path_factory.mktemp("safe")
    shelf = MemoryShelf()
    with custody_house() as house:
        live(house, PEOPLE)
        with house.installation.office("keeper") as parts:
            size = publish(log_parts(parts), shelf).size
            parts.service.destroy("record", GONE)
        settings = house.installation.settings().database
        packed = dump(house.server, settings)
        shutil.copy(house.keys.files.key_file, safe)
        shutil.copy(house.keys.files.ledger_file, safe)
        dsr("keys", "split", house.keys.files.path, "--into", safe / "shares")
    return Backups(packed, KeyDirectory(safe), sorted((safe / "shares").iterdir()), shelf, size)


@contextmanager
def restored(backups: Backups, keys: Path) -> Iterator[CustodyHouse]:
    """Put the dump into a fresh PostgreSQL cluster, behind a key service over these keys."""
    with custody_house(keys) as house:
        settings = house.installation.settings().database
        restore(house.server, settings, backups.dump)
        migrate(settings)
        yield house


def recovered(backups: Backups, directory: Path, *custodians: int) -> KeyDirectory:
    """Make a key directory out of the sealed key file, the ledger and some custodians' shares."""
    files = KeyDirectory(directory)
    directory.mkdir(mode=0o700)
    shutil.copy(backups.keys.key_file, files.key_file)
    shutil.copy(backups.keys.ledger_file, files.ledger_file)
    shares = [backups.shares[number - 1] for number in custodians]
    dsr("keys", "recover", *shares, "--into", files.passphrase_file, "--key-file", files.key_file)
    init(directory, ORIGIN)
    return files


@pytest.mark.parametrize("custodians", [(1, 3)], ids=["first-and-third"])
def test_two_custodians_and_the_backups_bring_everything_back(
    backups: Backups, tmp_path: Path, custodians: tuple[int, ...]
) -> None:
    files = recovered(backups, tmp_path / "keys", *custodians)

    with restored(backups, files.path) as house:
        with house.installation.office("collector") as parts:
            for patient in PEOPLE:
                told = read(parts, patient.subject)
                assert {record.ref: record for record in told} == {
                    record.ref: record for record in (patient.identity, patient.contacts, *patient.records)
                }
            assert parts.keys.owner_key(CASE) == CASE_KEY
        with house.installation.office("registry") as parts, pytest.raises(KeyMissingError, match="key_destroyed"):
            parts.keys.make_data_key("record", GONE)
        with house.installation.office("audit") as parts:
            looks = [access for patient in PEOPLE for access in parts.log.who(patient.subject)]
            verdict = verify_database(parts.database, log_key(parts.service, ORIGIN), backups.shelf)

    assert len(looks) == backups.accesses + len(PEOPLE)
    assert {look.actor for look in looks} == {"office:collector"}
    assert (verdict.ok, verdict.faults) == (True, [])


def test_one_custodian_opens_nothing(backups: Backups, tmp_path: Path) -> None:
    words = ["keys", "recover", str(backups.shares[1]), "--into", str(tmp_path / "p")]

    done = CliRunner().invoke(main, [*words, "--key-file", str(backups.keys.key_file)])

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "shares_too_few")
    assert not (tmp_path / "p").exists()


def test_what_was_shredded_stays_shut_although_yesterdays_dump_comes_back() -> None:
    gone, other = PEOPLE[0], PEOPLE[1]
    with custody_house() as house:
        live(house, PEOPLE)
        settings = house.installation.settings().database
        yesterday = dump(house.server, settings)
        with house.installation.office("keeper") as parts:
            done = json.loads(house.dsr("keys", "shred", gone.subject, "--json").output)
            again = shred(parts, gone.subject)
        with house.installation.office("collector") as parts:
            with pytest.raises(KeyMissingError, match="data_key_missing"):
                read(parts, gone.subject)
            kept = read(parts, gone.subject, sorted(IDENTITY_KINDS))
            assert {record.ref for record in kept} == {gone.identity.ref, gone.contacts.ref}
            assert len(read(parts, other.subject)) == len(other.records) + 2
        with house.installation.office("audit") as parts:
            looks = parts.log.who(gone.subject)

        restore(house.server, settings, yesterday)
        migrate(settings)
        with house.installation.office("collector") as parts, pytest.raises(KeyMissingError, match="key_destroyed"):
            read(parts, gone.subject)
        assert house.keys.client("operator").status().destroyed == 1
        with house.installation.office("keeper") as parts:
            third = shred(parts, gone.subject)

        # without the ledger, with the roots of that day, the backup opens: the erasure latency is its life
        files = house.keys.files
        stolen = files.path.with_name("stolen")
        shutil.copytree(files.path, stolen, ignore=shutil.ignore_patterns("destroyed.jsonl", "audit.jsonl"))
        with custody_house(stolen) as thief:
            restore(thief.server, thief.installation.settings().database, yesterday)
            migrate(thief.installation.settings().database)
            with thief.installation.office("collector") as parts:
                assert len(read(parts, gone.subject)) == len(gone.records) + 2

    assert (done["keys"], done["records"]) == (1, len(gone.records))
    assert again == {"keys": 0, "records": 0}
    assert third | {"ok": True} == done
    shreddings = [look for look in looks if look.actor == "office:keeper"]
    assert [look.purpose for look in shreddings] == [Purpose.REGISTER_KEEPING] * 2
