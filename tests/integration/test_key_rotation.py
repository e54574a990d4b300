"""Roots are rotated while readers and writers work: added, loaded, promoted, keys re-wrapped, the old one removed."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vault.crypto.custody import Custody, make_keys
from vault.crypto.holder import Roots
from vault.crypto.keydir import init
from vault.crypto.keyfile import read_key_file, seal_keys
from vault.errors import NotAllowedError, VaultError
from vault.settings import read_secret
from vault.steps.keep import keep
from vault.steps.parts import Parts
from vault.steps.rewrap import rewrap
from vault.storage.custody import counts
from vault.testing.custodyhouse import CustodyHouse, add_in, custody_house, promote_in, read, register_of, reload, until
from vault.testing.fill import fill
from vault.testing.keyservice import ORIGIN, start_key_service
from vault.testing.patients import Patient, patients

EARLY = """
import os, signal
from vault.cli import main
from vault.crypto import daemon
real = daemon._read_tokens
def slow(files):
    os.kill(os.getpid(), signal.SIGHUP)
    return real(files)
daemon._read_tokens = slow
main()
"""
BULK = [f"R-{number:05}" for number in range(1_200)]  # more than two batches


@pytest.fixture(scope="module")
def people() -> list[Patient]:
    return list(patients(3, 3))


@pytest.fixture(scope="module")
def house(people: list[Patient]) -> Iterator[CustodyHouse]:
    with custody_house() as house:
        with house.installation.office("registry") as parts:
            fill(register_of(parts), people)
            parts.keys.make_data_keys("record", BULK)
        yield house


def roots(house: CustodyHouse) -> dict[int, int]:
    """Count the wrapped keys by root."""
    with house.installation.owner() as connection:
        found: dict[int, int] = {}
        for count in counts(connection):
            found[count.root] = found.get(count.root, 0) + count.keys
    return found


def make(house: CustodyHouse, ref: str) -> None:
    """Make one more data key."""
    with house.installation.office("registry") as parts:
        parts.keys.make_data_key("record", ref)


def rotate(house: CustodyHouse) -> int:
    """Add a root, load it, make it primary, load that; return its number."""
    directory = house.keys.files.path
    added = house.dsr("keys", "root", "add", "--directory", directory, "--socket", house.keys.socket, "--json")
    house.hup()
    done = house.dsr("keys", "root", "promote", "--directory", directory, "--socket", house.keys.socket, "--json")
    assert (added.exit_code, done.exit_code) == (0, 0), (added.stdout, done.stdout)
    house.hup()
    return int(json.loads(done.stdout)["primary"])


def test_rotation_under_load(house: CustodyHouse, people: list[Patient]) -> None:
    faults: list[Exception] = []
    done = {"read": 0, "written": 0}
    stop = threading.Event()

    def work(name: str, office: str, act: Callable[[Parts], None]) -> None:
        try:
            with house.installation.office(office) as parts:
                while not stop.is_set():
                    act(parts)
                    done[name] += 1
        except (AssertionError, VaultError) as error:
            faults.append(error)

    def reader(parts: Parts) -> None:
        patient = people[done["read"] % len(people)]
        assert len(read(parts, patient.subject)) == len(patient.records) + 2

    def writer(parts: Parts) -> None:
        ref = f"W-{done['written']}"
        key = parts.keys.make_data_key("record", ref)
        assert parts.keys.data_key("record", ref) == key

    threads = [
        threading.Thread(target=work, args=("read", "collector", reader)),
        threading.Thread(target=work, args=("written", "registry", writer)),
    ]
    connections = len(house.audit("hello"))
    for thread in threads:
        thread.start()
    until(lambda: min(done.values()) > 5 or bool(faults))
    primary = rotate(house)
    with house.installation.office("keeper") as parts:
        moved = rewrap(parts)
        before = dict(done)
        until(lambda: all(done[name] > before[name] + 5 for name in done) or bool(faults))
        moved_late = rewrap(parts)
    stop.set()
    for thread in threads:
        thread.join(timeout=30)

    assert faults == []
    assert (moved["faulty"], moved["destroyed"], moved_late["faulty"]) == (0, 0, 0)
    assert moved["rewrapped"] >= len(BULK) + 2 * len(people)
    assert set(roots(house)) == {primary}
    assert len(house.audit("hello")) <= connections + 2 + 4  # nobody was cut off: two workers, the keeper, the commands
    with house.installation.office("collector") as parts:
        assert all(len(read(parts, patient.subject)) == len(patient.records) + 2 for patient in people)
        assert len(parts.keys.data_keys("record", BULK)) == len(BULK)


def test_rewrap_goes_on_where_a_limit_stopped_it(house: CustodyHouse) -> None:
    everything = sum(roots(house).values())
    primary = rotate(house)
    lines: list[str] = []

    with house.installation.office("keeper") as parts:
        first = rewrap(parts, 700, lines.append)
        assert roots(house)[primary] == first["rewrapped"] == 700
        rest = rewrap(parts, None, lines.append)
        again = rewrap(parts, None)

    assert first["rewrapped"] + rest["rewrapped"] == everything
    assert again == {"rewrapped": 0, "destroyed": 0, "faulty": 0}
    assert "501 keys wrapped anew" in lines  # one to learn the primary root, then batches of 500


def test_nothing_to_do_costs_one_line_of_audit(house: CustodyHouse) -> None:
    with house.installation.office("keeper") as parts:
        rewrap(parts)
        before = len(house.audit("rotate"))
        keep_counts = rewrap(parts, 50_000)

    assert keep_counts["rewrapped"] == 0
    assert len(house.audit("rotate")) == before + 1


def test_keep_wraps_anew(house: CustodyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.steps.keep._KEYS_ENOUGH", 40)
    monkeypatch.setattr("vault.steps.keep._tidy_outbox", lambda _: 0)  # no bucket in this house
    monkeypatch.setattr("vault.steps.keep.destroy_identity_copies", lambda _: 0)
    primary = rotate(house)

    with house.installation.office("keeper") as parts:
        done = keep(parts)

    assert done["rewrapped"] == roots(house)[primary] == 40


def test_damaged_row_is_told_and_left_and_the_others_go_on(house: CustodyHouse) -> None:
    with house.installation.owner() as connection:
        connection.execute("update wrapped_keys set wrapped = wrapped || 'x' where ref = %s", (BULK[7],))
    primary = rotate(house)

    done = house.dsr("keys", "rewrap", "--json")
    with house.installation.owner() as connection:
        connection.execute("update wrapped_keys set wrapped = substring(wrapped for 65) where ref = %s", (BULK[7],))
    assert roots(house)[primary] > 1_000
    mended = house.dsr("keys", "rewrap", "--json")

    assert (done.exit_code, json.loads(done.stdout)["faulty"]) == (1, 1)
    assert f"record {BULK[7]}: wrapped_key_tampered" in done.stderr
    assert (mended.exit_code, json.loads(mended.stdout)["rewrapped"]) == (0, 1)


def test_key_that_a_backup_brought_back_is_removed(house: CustodyHouse) -> None:
    make(house, "GONE")
    with house.installation.office("keeper") as parts:
        parts.service.destroy("record", "GONE")
    rotate(house)

    done = json.loads(house.dsr("keys", "rewrap", "--json").stdout)

    assert (done["destroyed"], done["faulty"]) == (1, 0)
    assert len(roots(house)) == 1


def test_row_that_changed_meanwhile_is_left(house: CustodyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    make(house, "NEWER")
    rotate(house)
    newer = b"\x01\x00\x00\x00\x01" + os.urandom(60)

    with house.installation.office("keeper") as parts:
        real = parts.service.rotate

        def slow(kind: str, ref: str, wrapped: bytes) -> bytes:
            if ref == "NEWER":
                with house.installation.owner() as connection:
                    connection.execute("update wrapped_keys set wrapped = %s where ref = %s", (newer, ref))
            return real(kind, ref, wrapped)

        monkeypatch.setattr(type(parts.service), "rotate", lambda _, *given: slow(*given))
        rewrap(parts)
        monkeypatch.undo()

    with house.installation.owner() as connection:
        row = connection.execute("select wrapped from wrapped_keys where ref = 'NEWER'").fetchone()
        connection.execute("delete from wrapped_keys where ref = 'NEWER'")
    assert row == (newer,)


def test_promote_is_refused_before_the_service_holds_the_root(house: CustodyHouse) -> None:
    directory = house.keys.files.path
    house.dsr("keys", "root", "add", "--directory", directory, "--socket", house.keys.socket)

    done = house.dsr("keys", "root", "promote", "--directory", directory, "--socket", house.keys.socket)
    house.hup()

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "root_not_loaded")
    assert rotate(house)


def test_remove_is_refused_until_nothing_stands_under_the_root(house: CustodyHouse) -> None:
    house.dsr("keys", "rewrap")  # whatever another test left, the keys stand under the primary root now
    old = house.keys.client("operator").status().roots.primary
    primary = rotate(house)
    words = ("--directory", house.keys.files.path, "--socket", house.keys.socket)

    in_use = house.dsr("keys", "root", "remove", str(old), *words)
    is_primary = house.dsr("keys", "root", "remove", str(primary), *words)
    house.dsr("keys", "rewrap")
    removed = house.dsr("keys", "root", "remove", str(old), *words, "--json")
    again = house.dsr("keys", "root", "remove", str(old), *words, "--json")
    house.hup()

    assert (in_use.exit_code, in_use.stderr.split(":")[0]) == (1, "root_in_use")
    assert (is_primary.exit_code, is_primary.stderr.split(":")[0]) == (1, "root_is_primary")
    assert (removed.exit_code, again.exit_code) == (0, 0)
    assert old not in json.loads(removed.stdout)["held"]
    assert old not in house.keys.client("operator").status().roots.held
    assert set(roots(house)) == {primary}


def test_list_and_status_show_states_and_never_a_key(house: CustodyHouse) -> None:
    listed = house.dsr("keys", "list", "--json")
    told = house.dsr("keys", "status", "--json")

    body = json.loads(told.stdout)
    assert {one["custody"] for one in json.loads(listed.stdout)["keys"]} == {"local"}
    assert {one["kind"] for one in json.loads(listed.stdout)["keys"]} >= {"identity", "record"}
    assert (body["custody"], body["primary"] in body["held"]) == ("local", True)
    keys = read_key_file(house.keys.files.key_file, house.keys.files.passphrase_file)
    secrets = [key.hex() for part in (keys.roots, keys.boxes, keys.macs, keys.signers) for key in part.values()]
    shown = listed.stdout + told.stdout + house.keys.files.audit_file.read_text()
    assert not any(secret in shown for secret in [*secrets, read_secret(house.keys.files.passphrase_file)])


def test_reload_that_fails_keeps_the_old_keys(house: CustodyHouse) -> None:
    files = house.keys.files
    client = house.keys.client("registry")
    whole = files.key_file.read_bytes()
    wrapped = client.wrap("record", "S-1", bytes(32))

    files.key_file.write_bytes(whole[:-1])
    house.hup()
    files.key_file.write_bytes(whole)

    assert client.unwrap("record", "S-1", wrapped) == bytes(32)
    assert '"outcome": "key_file_tampered"' in house.audit("reload")[-1]
    house.hup()
    assert '"outcome": "granted"' in house.audit("reload")[-1]


def test_another_installations_keys_are_not_taken(house: CustodyHouse) -> None:

    files = house.keys.files
    whole = files.key_file.read_bytes()

    files.key_file.write_bytes(seal_keys(make_keys(), read_secret(files.passphrase_file)))
    house.hup()
    files.key_file.write_bytes(whole)

    assert '"outcome": "key_reload_foreign"' in house.audit("reload")[-1]
    own = Custody(read_key_file(files.key_file, files.passphrase_file))
    assert house.keys.client("operator").public("case") == own.public("case")


def test_nobody_unknown_is_shredded(house: CustodyHouse) -> None:
    before = len(house.audit("destroy"))

    done = house.dsr("keys", "shred", "P-NOBODY")

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "subject_unknown")
    assert len(house.audit("destroy")) == before


@pytest.mark.parametrize("office", ["registry", "collector", "sealer", "desk", "operator", "audit", "print", "intake"])
def test_only_the_keeper_rotates_and_destroys(house: CustodyHouse, office: str) -> None:
    client = house.keys.client(office)

    with pytest.raises(NotAllowedError, match="key_use_refused"):
        client.rotate("record", "S-1", b"")
    with pytest.raises(VaultError, match="key_use_refused"):
        client.destroy("record", "S-1")


def test_two_services_read_each_other_at_every_step(tmp_path: Path) -> None:
    init(tmp_path / "first", ORIGIN)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    with start_key_service(tmp_path / "first") as first, start_key_service(tmp_path / "second") as second:
        offices = [daemon.client("registry") for daemon in (first, second)]

        def agree(step: str) -> None:
            """What one wraps the other unwraps."""
            for number, (one, other) in enumerate([offices, offices[::-1]]):
                ref = f"{step}-{number}"
                assert other.unwrap("record", ref, one.wrap("record", ref, bytes(32))) == bytes(32)

        for act in (add_in, promote_in):
            act(first.files.path)
            shutil.copy(first.files.key_file, second.files.key_file)
            agree("file")
            for daemon in (first, second):
                reload(daemon)
                agree("half" if daemon is first else "both")

        assert [daemon.client("operator").status().roots for daemon in (first, second)] == [Roots(2, (1, 2))] * 2


def test_reload_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    init(tmp_path, ORIGIN)
    words = ["keys", "serve", "--directory", str(tmp_path), "--socket", str(tmp_path / "s")]
    with subprocess.Popen([sys.executable, "-c", EARLY, *words], stdout=subprocess.DEVNULL) as daemon:
        try:
            audit = tmp_path / "audit.jsonl"
            until(lambda: audit.exists() and '"verb": "reload"' in audit.read_text())
        finally:
            daemon.terminate()

    assert daemon.returncode == 0
