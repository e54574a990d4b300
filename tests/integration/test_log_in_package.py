"""The log extract in a package: each use proved by a file of its own, none left out, readers named when asked for."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

import vault
from vault.accesslog.answers import tell
from vault.accesslog.days import close_days
from vault.accesslog.notes import render_vkey
from vault.accesslog.publish import publish
from vault.accesslog.tlogproof import parse_proof, verify_proof
from vault.domain.calendar import HELSINKI
from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.package.contents import package_files
from vault.package.logextract import LogUses, render_log_extract
from vault.package.logproofs import DAY_PROOF, MOST_PROOFS, proved_uses
from vault.package.verify import verify_package
from vault.steps.answer import _names_since
from vault.steps.casefile import CaseFile
from vault.steps.receive import PARTICULARS
from vault.storage.database import Database
from vault.testing.accesslog import CASE, SUBJECT, LogBench, log_bench, log_database, look
from vault.testing.answers import heading
from vault.testing.road import Road, run_on, travelled

STANDALONE = Path(vault.__file__).parent / "accesslog" / "standalone.py"
FRIDAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SATURDAY = FRIDAY + timedelta(days=1)


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    with log_database("dsr_package_log") as database:
        yield database


@pytest.fixture
def bench(opened: Database) -> LogBench:
    return log_bench(opened)


def uses_of(bench: LogBench, subject: str = SUBJECT) -> tuple[LogUses, dict[str, bytes]]:
    return proved_uses(tell(bench.log, bench.database, subject, 1 << 40), SATURDAY, None)


def seen(bench: LogBench) -> tuple[LogUses, dict[str, bytes]]:
    """Two looks on a day that is closed, one that is published since, one that is not."""
    bench.log.record([look(at=FRIDAY), look(subject="P-OTHER", at=FRIDAY), look(at=FRIDAY)])
    close_days(bench.database, SATURDAY)
    bench.log.record([look(at=SATURDAY)])
    publish(bench.parts, bench.shelf)
    bench.log.record([look(at=SATURDAY)])
    return uses_of(bench)


def standalone(folder: Path, files: Mapping[str, bytes], key: str) -> subprocess.CompletedProcess[str]:
    """Check proof files as somebody with Python and nothing of ours would."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    proofs = [str(folder / name) for name in files if name.endswith(".tlog-proof")]
    maps = [str(folder / name) for name in files if name.endswith(".map-proof")]
    command = [sys.executable, str(STANDALONE), "--proof", *proofs, *(["--map", *maps] if maps else []), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_each_published_use_has_its_file_and_the_day_closes_over_them(bench: LogBench, tmp_path: Path) -> None:
    uses, files = seen(bench)

    assert uses.proofs == {index: f"log-entry-{index}.tlog-proof" for index in (0, 2, 4)}
    assert [entry.index for entry in uses.entries] == [0, 2, 4, 5]
    assert uses.complete == FRIDAY.date()
    assert uses.proof is not None
    lines = uses.proof["lines"]
    assert isinstance(lines, list)
    assert set(files) == {*uses.proofs.values(), DAY_PROOF, *map(str, lines)}
    for entry in uses.entries[:3]:
        proof = parse_proof(files[uses.proofs[entry.index]])
        assert proof.extra == entry.leaf
        verify_proof(proof, bench.key)
    result = standalone(tmp_path, files, render_vkey(bench.key))
    assert result.returncode == 0, result.stderr
    assert "all 2 looks at this subject up to the end of 2026-11-20" in result.stdout


def test_a_use_that_is_left_out_is_found(bench: LogBench, tmp_path: Path) -> None:
    uses, files = seen(bench)

    del files[uses.proofs[0]]

    assert "not all looks" in standalone(tmp_path, files, render_vkey(bench.key)).stderr


def test_before_any_checkpoint_there_is_no_file(bench: LogBench) -> None:
    bench.log.record([look(at=FRIDAY)])
    close_days(bench.database, SATURDAY)

    uses, files = uses_of(bench)

    assert (uses.complete, uses.proof, dict(uses.proofs), files) == (None, None, {}, {})


def test_who_was_never_looked_at_before_has_no_file_of_hers(bench: LogBench) -> None:
    seen(bench)

    uses, files = uses_of(bench, "P-NOBODY")

    assert (list(uses.entries), dict(uses.proofs)) == ([], {})
    assert render_log_extract(heading(), uses).data["uses"] == []
    assert not [name for name in files if name.startswith("log-entry")]


def test_the_newest_entries_have_files_when_there_are_many(bench: LogBench) -> None:
    bench.log.record([look(at=FRIDAY)] * (MOST_PROOFS + 3))
    publish(bench.parts, bench.shelf)

    uses, files = uses_of(bench)

    assert len(uses.entries) == MOST_PROOFS + 3
    assert list(uses.proofs) == list(range(3, MOST_PROOFS + 3))
    assert len(files) == MOST_PROOFS


def test_the_manifest_lists_proofs_and_the_package_is_checked_with_them(bench: LogBench, tmp_path: Path) -> None:
    uses, proofs = seen(bench)
    log = render_log_extract(heading(), uses)
    files = package_files(CASE, 1, bytes(32), letter=b"%PDF-", released={}, log=log, proofs=proofs)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    assert list(files)[-1] == "manifest.json"
    assert verify_package(tmp_path).ok
    name = next(iter(proofs))
    (tmp_path / name).write_bytes(proofs[name] + b"\n")
    assert [(fault.code, fault.file) for fault in verify_package(tmp_path).faults] == [("file_changed", name)]


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def opened_package(road: Road, ref: str, role: str) -> dict[str, bytes]:
    """Open a mailed package with the requester's own key."""
    (raw,) = (raw for raw in road.mails_about(ref) if b"-package@" in raw)
    mail = message_from_bytes(raw, policy=policy.default)
    (sealed,) = (part.get_content() for part in mail.iter_attachments())
    archive = zipfile.ZipFile(io.BytesIO(road.cast.homes[role].gpg("--decrypt", data=sealed)))
    return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("received", "since"),
    [
        (date(2026, 11, 20), date(2024, 11, 20)),
        (date(2028, 2, 29), date(2026, 2, 28)),
        (date(2026, 1, 31), date(2024, 1, 31)),
    ],
    ids=str,
)
def test_readers_are_named_for_two_years_before_the_request(received: date, since: date) -> None:
    assert _names_since(received) == datetime.combine(since, time(), HELSINKI)


def ask_for(road: Road, ref: str, *kinds: str) -> None:
    with road.installation.office("desk") as parts:
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING)
        known = file.get(PARTICULARS) or {}
        with parts.database.connect() as connection:
            request = {**known["request"], "kinds": list(kinds)}
            file.put(connection, PARTICULARS, {**known, "request": request})


def test_an_answer_brings_its_proofs_and_names_readers_to_who_asked_for_them(road: Road, tmp_path: Path) -> None:
    ref = road.bring(Stage.DECIDED)
    ask_for(road, ref, "inspection", "log")
    with road.installation.office("keeper") as parts:  # as it will be tomorrow
        closed = close_days(parts.database, parts.now() + timedelta(days=1))
    road.run("publish-log")
    for step in ("seal", "deliver"):
        run_on(road.home, step, ref)

    files = opened_package(road, ref, "bound_sv")

    told: dict[str, Any] = json.loads(files["log.json"])
    assert {use["name"] for use in told["uses"]} >= {"Clinician", "DSR Vault, collector"}
    proved = [use for use in [*told["uses"], *told["disclosures"]] if use["proof"] is not None]
    assert {use["purpose"] for use in proved} >= {"identify", "collect", "review"}
    assert closed is not None
    assert told["complete_until"] == closed.isoformat()
    named = [*(use["proof"] for use in proved), told["completeness"]["day"], *told["completeness"]["lines"]]
    proofs = {name: files[name] for name in named}
    assert {parse_proof(proofs[use["proof"]]).extra for use in proved} == {use["leaf"].encode() for use in proved}
    vkey = road.installation.settings().log.public_key_file.read_text(encoding="ascii").strip()
    result = standalone(tmp_path, proofs, vkey)
    assert result.returncode == 0, result.stderr
    assert f"all {len(proved)} looks at this subject up to the end of {closed}" in result.stdout


def test_who_did_not_ask_for_the_log_is_told_no_names(road: Road) -> None:
    ref = road.bring(Stage.DECIDED)
    ask_for(road, ref, "inspection")
    for step in ("seal", "deliver"):
        run_on(road.home, step, ref)

    files = opened_package(road, ref, "bound_sv")

    assert {use["name"] for use in json.loads(files["log.json"])["uses"]} == {None}
    assert b"Clinician" not in files["log.json"]
