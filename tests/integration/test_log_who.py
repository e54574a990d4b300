"""`dsr log who` on real servers: every look proved, none missing, readers named only when asked for; its bundle."""

import base64
import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.completeness import verify_complete
from vault.accesslog.cosign import WitnessKey, make_cosignature, render_witness_vkey
from vault.accesslog.days import close_days
from vault.accesslog.leaves import parse_day, parse_leaf
from vault.accesslog.log import AccessLog
from vault.accesslog.merkle import leaf_hash, verify_inclusion
from vault.accesslog.notes import (
    Note,
    VerifierKey,
    open_checkpoint,
    parse_note,
    parse_vkey,
    render_note,
    render_vkey,
)
from vault.accesslog.publish import LogParts, publish
from vault.accesslog.tlogproof import parse_map_proof, parse_proof, verify_proof
from vault.cli import main
from vault.crypto.keyring import KeyRing
from vault.settings import LogSettings, Settings, WitnessSettings
from vault.settings_keys import KeySettings
from vault.storage.database import Database
from vault.storage.keys import SealedKeyTable, WrappedKeyTable
from vault.storage.log import keep_cosigned, last_checkpoint
from vault.storage.migrate import migrate
from vault.testing.accesslog import ORIGIN, SUBJECT, MemoryShelf, empty, look
from vault.testing.keyservice import RunningKeyService, start_key_service
from vault.testing.moto_server import moto_server
from vault.testing.postgres import postgres

FRIDAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class House:
    """What the command reaches, and what it finds there."""

    service: RunningKeyService
    database: Database
    vkey: str

    def log(self, office: str) -> AccessLog:
        client = self.service.client(office)
        ring = KeyRing(client, WrappedKeyTable(self.database), SealedKeyTable(self.database))
        return AccessLog(self.database, ring, client)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Settings]]:
    folder = tmp_path_factory.mktemp("who") / "keys"
    with postgres() as server, moto_server() as store, start_key_service(folder) as service:
        at = server.create_vault("dsr_who")
        migrate(at)
        vkey = render_vkey(VerifierKey(ORIGIN, service.client("keeper").public("log")))
        key_file = folder / "this-log.vkey"
        key_file.write_text(vkey + "\n")
        named: dict[str, Any] = {
            "database": at,
            "objects": store.settings(log_bucket="log-who"),
            "keys": KeySettings(socket=service.socket, token_files=service.files.token_files),
            "log": LogSettings(public_key_file=key_file),
        }
        database = Database(at)
        yield House(service, database, vkey), Settings.model_construct(**named)
        database.close()


@pytest.fixture
def house(opened: tuple[House, Settings], monkeypatch: pytest.MonkeyPatch) -> House:
    """Three looks on Friday, the day closed and published, two on Saturday since."""
    made, settings = opened
    monkeypatch.setattr("vault.settings.load", lambda: settings)
    monkeypatch.setattr("vault.office.load", lambda: settings)
    empty(made.database)
    log = made.log("desk")
    log.record([look(at=FRIDAY), look(at=FRIDAY, subject="P-OTHER"), look(at=FRIDAY, emergency="Kerttu needs it")])
    keeper = Database(settings.database.for_office("keeper"))  # with no more rights than it has
    assert close_days(keeper, SATURDAY)
    keeper.close()
    log.record([look(at=SATURDAY, count=2, recipient="Kela")])
    publish(LogParts(made.database, made.service.client("keeper"), ORIGIN), MemoryShelf())
    log.record([look(at=SATURDAY, subject=None)])
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["log", "who", "--subject", SUBJECT, *words])


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_look_is_told_with_its_proof_and_the_telling_is_logged(house: House) -> None:
    told = answer(run("--json"))

    assert [entry["index"] for entry in told["entries"]] == [0, 2, 4, 6]
    assert [entry["purpose"] for entry in told["entries"]] == ["review", "review", "review", "audit"]
    assert [entry["complete"] for entry in told["entries"]] == [True, True, False, False]
    checkpoint = open_checkpoint(told["checkpoint"].encode(), parse_vkey(house.vkey))
    for entry in told["entries"]:
        proof = entry["proof"]
        path = [base64.b64decode(step) for step in proof["path"]]
        root = base64.b64decode(proof["root"])
        verify_inclusion(leaf_hash(entry["leaf"].encode()), entry["index"], proof["size"], path, root)
        assert proof["size"] == (5 if entry["index"] < 5 else 7)
        assert root == checkpoint.root or proof["size"] != 5
    assert told["entries"][3]["tlog_proof"] is None


def test_what_it_prints_proves_alone_that_nothing_is_missing(house: House) -> None:
    told, key = answer(run("--json")), parse_vkey(house.vkey)

    proofs = [parse_proof(entry["tlog_proof"].encode()) for entry in told["entries"][:3]]
    day = parse_proof(told["complete"]["day_proof"].encode())
    (line,) = [parse_map_proof(text.encode()) for text in told["complete"]["map_proofs"]]
    leaves = [(proof.index, proof.extra or b"") for proof in proofs]
    assert {verify_proof(proof, key).size for proof in [*proofs, day]} == {5}
    closed = parse_day(day.extra or b"")
    assert closed is not None
    verify_complete(parse_leaf(leaves[0][1]).tag or b"", closed, leaves, line)
    assert (told["complete"]["until"], told["complete"]["count"]) == ("2026-11-20", 2)
    assert closed.day.isoformat() == "2026-11-20"


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["lines", "json"])
@pytest.mark.parametrize("named", [False, True], ids=["without staff", "with staff"])
def test_readers_are_named_only_when_asked_for(house: House, words: tuple[str, ...], named: bool) -> None:
    shown = run(*words, *(["--with-staff"] if named else [])).stdout

    assert ("Aino Lääkäri" in shown, "staff:7" in shown) == (named, named)
    assert "clinician" in shown
    assert ("Kerttu" in shown) == (named and bool(words))
    assert "Kela" in shown  # to whom data was given is the person's own business (GDPR 15(1)(c))
    assert house.database


def test_people_get_lines_and_learn_up_to_when_nothing_is_missing(house: House) -> None:
    lines = run().stdout.splitlines()

    assert len(lines) == 5
    assert lines[-1] == (
        "up to the end of 2026-11-20 nothing is missing: 2 looks, proved; 2 of them are shown; later ones not yet"
    )
    assert house.database


@pytest.mark.parametrize(
    ("words", "indexes"),
    [
        (["--to", "2026-11-20"], [0, 2]),
        (["--from", "2026-11-21", "--to", "2026-11-21"], [4]),
        (["--from", "2026-11-20", "--to", "2026-11-21"], [0, 2, 4]),
        (["--to", "2020-01-01"], []),
    ],
    ids=["to", "one day", "both", "none"],
)
def test_a_period_shows_its_days(house: House, words: list[str], indexes: list[int]) -> None:
    told = answer(run(*words, "--json"))

    assert [entry["index"] for entry in told["entries"]] == indexes
    assert told["complete"]["count"] == 2
    assert house.database


def test_an_exchanged_period_is_wrong_use_and_logs_nothing(house: House) -> None:
    assert run("--from", "2026-11-21", "--to", "2026-11-20").exit_code == 2
    assert len(house.log("audit").who(SUBJECT)) == 3


def test_who_was_never_looked_at_is_told_so_with_proof(house: House) -> None:
    told = answer(CliRunner().invoke(main, ["log", "who", "--subject", "P-NOBODY", "--json"]))

    assert [entry["purpose"] for entry in told["entries"]] == ["audit"]
    assert told["complete"]["count"] == 0
    assert house.log("audit").who("P-NOBODY")


def test_a_log_that_closed_no_day_says_so(house: House) -> None:
    empty(house.database)
    house.log("desk").record([look()])

    assert run().stdout.splitlines()[-1].startswith("that nothing is missing is not proved yet")
    assert answer(run("--json"))["complete"] is None


def test_a_missing_look_is_no_answer(house: House) -> None:
    with house.database.connect() as connection:
        connection.execute("update log_leaves set tag = null where idx = 2")

    result = run("--json")

    assert (result.exit_code, json.loads(result.stdout)["error"]) == (1, "not_proved")


# --- the bundle ---


@pytest.fixture
def bundle(house: House, tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    answer(run("--with-staff", "--bundle", str(folder), "--json"))
    assert house.database
    return folder


def check(folder: Path, *words: str, program: str = "standalone.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", program, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def proofs_of(folder: Path, vkey: str) -> list[str]:
    proofs = sorted(str(path.relative_to(folder)) for path in folder.glob("entries/*.tlog-proof"))
    maps = sorted(str(path.relative_to(folder)) for path in folder.glob("map/*.map-proof"))
    return ["--proof", *proofs, "day.tlog-proof", "--map", *maps, "--key", vkey]


def readme(folder: Path) -> subprocess.CompletedProcess[str]:
    """Type what the README says."""
    text = (folder / "README.txt").read_text(encoding="utf-8")
    (command,) = [line.strip() for line in text.splitlines() if line.strip().startswith("python3 standalone.py")]
    return subprocess.run(  # noqa: S602 - the line that a person would type
        command.replace("python3", f"{sys.executable} -I", 1),
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_bundle_is_checked_by_what_lies_in_it(house: House, bundle: Path) -> None:
    proved = check(bundle, *proofs_of(bundle, house.vkey))
    said = check(bundle, program="openings.py")

    assert proved.returncode == 0, proved.stdout + proved.stderr
    assert "these are all 2 looks at this subject up to the end of 2026-11-20" in proved.stdout
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("Aino Lääkäri (staff:7)") == 3
    assert said.stdout.splitlines()[-1] == "3 entries say what was sealed"


def test_the_readmes_command_works_as_it_stands(house: House, bundle: Path) -> None:
    done, text = readme(bundle), (bundle / "README.txt").read_text(encoding="utf-8")

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything agrees"), done.stdout + done.stderr
    assert "Up to the end of 2026-11-20 these are all 2 looks" in text
    assert house.vkey in text


def test_only_its_owner_may_read_a_bundle(bundle: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [bundle, *bundle.rglob("*")] if path.is_dir()}
    files = {stat.S_IMODE(path.stat().st_mode) for path in bundle.rglob("*") if path.is_file()}

    assert (modes, files) == ({0o700}, {0o600})


def test_without_staff_a_bundle_names_no_reader(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    answer(run("--bundle", str(folder), "--json"))

    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    with house.database.connect() as connection:
        rows = connection.execute("select staff, reader from log_leaves where tag is not null").fetchall()
    assert b"Aino" not in everything
    assert all(base64.b64encode(part) not in everything for staff, _ in rows for part in [bytes(staff)])
    assert all(bytes(reader).hex().encode() not in everything for _, reader in rows)
    assert check(folder, program="openings.py").returncode == 0


def test_a_bundle_opens_a_years_key_once(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, true = list[str](), KeyRing.data_key

    def counted(ring: KeyRing, kind: str, ref: str) -> bytes:
        opened.append(ref)
        return true(ring, kind, ref)

    monkeypatch.setattr(KeyRing, "data_key", counted)

    answer(run("--with-staff", "--bundle", str(tmp_path / "evidence"), "--json"))

    years = {f"{SUBJECT}/2026", f"{SUBJECT}/{datetime.now(UTC).year}"}  # this asking stands in the present one
    assert (set(opened), len(opened)) == (years, len(years) + 1)  # once for the answer, once for the bundle
    assert house.database


def test_a_period_opens_its_days_and_proves_all(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "friday"
    answer(run("--to", "2026-11-20", "--bundle", str(folder), "--json"))

    assert len(list(folder.glob("entries/*.tlog-proof"))) == 3
    assert sorted(path.stem for path in folder.glob("entries/*.json")) == ["000000000000", "000000000002"]
    assert check(folder, *proofs_of(folder, house.vkey)).returncode == 0


def test_the_key_of_one_entry_opens_no_other(bundle: Path) -> None:
    first, second = sorted(bundle.glob("entries/*.json"))[:2]
    mine, other = json.loads(first.read_text()), json.loads(second.read_text())
    assert mine["entry"]["key"] != other["entry"]["key"] != mine["staff"]["key"]

    other["entry"]["key"], other["entry"]["nonce"] = mine["entry"]["key"], mine["entry"]["nonce"]
    second.write_text(json.dumps(other))

    assert check(bundle, program="openings.py").returncode == 1


def _edit(part: str, name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data[part][name] = value

    return change


def _say(part: str, name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data[part]["says"][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _say("entry", "purpose", "audit"),
        _say("entry", "emergency", None),
        _say("staff", "actor_name", "Somebody Else"),
        _edit("entry", "envelope", base64.b64encode(bytes(200)).decode()),
        _edit("entry", "key", "00" * 32),
        _edit("staff", "mark", "00" * 16),
        _edit("staff", "key", "nonsense"),
        lambda data: data.update(index=4),
        lambda data: data.pop("entry"),
    ],
    ids=["purpose", "emergency", "name", "envelope", "key", "mark", "no key", "index", "no entry"],
)
def test_an_entry_that_says_something_else_is_found(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "entries" / "000000000002.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    done = check(bundle, program="openings.py")

    assert done.returncode == 1
    assert done.stderr.startswith("THIS DOES NOT AGREE: 000000000002.json: ")


def test_a_look_that_was_taken_out_is_found(house: House, bundle: Path) -> None:
    (bundle / "entries" / "000000000002.tlog-proof").unlink()

    done = check(bundle, *proofs_of(bundle, house.vkey))

    assert done.returncode == 1
    assert "THIS DOES NOT AGREE" in done.stderr


def test_another_logs_key_proves_nothing(house: House, bundle: Path) -> None:
    other = render_vkey(VerifierKey(ORIGIN, house.service.client("keeper").public("desk")))

    assert check(bundle, *proofs_of(bundle, other)).returncode == 1


def test_a_folder_that_is_there_is_left_alone(house: House, bundle: Path) -> None:
    before = sha256(b"".join(sorted(path.read_bytes() for path in bundle.rglob("*") if path.is_file()))).digest()

    result = run("--bundle", str(bundle), "--json")

    assert (result.exit_code, json.loads(result.stdout)["error"]) == (2, "bundle_there")
    assert before == sha256(b"".join(sorted(p.read_bytes() for p in bundle.rglob("*") if p.is_file()))).digest()
    assert house.database


def test_what_a_kill_left_is_no_hindrance(house: House, tmp_path: Path) -> None:
    left = tmp_path / ".evidence.draft"
    (left / "entries").mkdir(parents=True)
    (left / "entries" / "000000000000.json").write_text("half")

    answer(run("--bundle", str(tmp_path / "evidence"), "--json"))

    assert check(tmp_path / "evidence", program="openings.py").returncode == 0
    assert not left.exists()
    assert house.database


def cosign(house: House, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Path:
    """Have a witness cosign the newest checkpoint, and name it in the settings."""
    private = Ed25519PrivateKey.generate()
    key = WitnessKey("witness.example/w1", private.public_key().public_bytes_raw())
    vkey_file = folder / "witness.vkey"
    vkey_file.write_text(render_witness_vkey(key) + "\n")
    with house.database.connect() as connection:
        size, note = last_checkpoint(connection) or (0, "")
        signed = parse_note(note.encode())
        signature = make_cosignature(signed.text, key, SATURDAY, private.sign)
        keep_cosigned(connection, size, render_note(Note(signed.text, (*signed.signatures, signature))).decode())
    witness = WitnessSettings(url="http://127.0.0.1:9", vkey_file=vkey_file)
    named = settings.model_copy(update={"log": settings.log.model_copy(update={"witnesses": [witness]})})
    monkeypatch.setattr("vault.office.load", lambda: named)
    return vkey_file


def test_a_witnessed_bundle_names_its_witness(
    house: House, opened: tuple[House, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vkey_file, folder = cosign(house, tmp_path, monkeypatch, opened[1]), tmp_path / "witnessed"

    answer(run("--bundle", str(folder), "--json"))

    assert (folder / "witnesses.vkey").read_text() == vkey_file.read_text()
    assert "witness.example/w1" in (folder / "checkpoint").read_text(encoding="utf-8")
    done = readme(folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything agrees"), done.stdout + done.stderr
    (folder / "day.tlog-proof").write_text(
        "".join(line for line in (folder / "day.tlog-proof").open(encoding="utf-8") if "witness.example" not in line)
    )
    assert readme(folder).returncode == 1


def test_that_nobody_looked_is_evidence_too(house: House, tmp_path: Path) -> None:
    ask = ["log", "who", "--subject", "P-NOBODY", "--bundle", str(tmp_path / "first"), "--json"]
    answer(CliRunner().invoke(main, ask))
    publish(LogParts(house.database, house.service.client("keeper"), ORIGIN), MemoryShelf())
    ask[5] = str(tmp_path / "second")
    answer(CliRunner().invoke(main, ask))

    first, second = readme(tmp_path / "first"), readme(tmp_path / "second")
    assert first.returncode == 0, first.stderr  # her only entry is this asking, which no checkpoint covers yet
    assert second.returncode == 0, second.stderr
    assert "these are all 0 looks at this subject up to the end of 2026-11-20" in second.stdout
    assert len(list((tmp_path / "second" / "map").iterdir())) in {1, 2}


def test_an_unpublished_log_makes_no_bundle(house: House, tmp_path: Path) -> None:
    empty(house.database)
    house.log("desk").record([look()])

    result = run("--bundle", str(tmp_path / "evidence"), "--json")

    assert (result.exit_code, json.loads(result.stdout)["error"]) == (1, "nothing_published")
    assert list(tmp_path.glob("*evidence*")) == []
