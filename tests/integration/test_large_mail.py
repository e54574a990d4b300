"""A large mail is taken in by a process that never holds it whole, and nothing of it is lost on the way."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.errors import OutOfReachError
from vault.intake import held
from vault.steps import sealed_object
from vault.steps.attachments import attachment_key, attachment_owner, with_signature
from vault.steps.casefile import CaseFile
from vault.steps.original import open_mail_original
from vault.steps.receive import PARTICULARS
from vault.testing.mails import File, pgp_mime_mail, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.road import REGISTRAR, Road, run_on, travelled

MIB = 2**20
LARGE = 18 * MIB  # bytes of a file, which make a mail of 24 MiB
TAKING = """
import json, sys
from pathlib import Path
from vault.office import open_office
from vault.settings import load
from vault.steps.receive_mail import receive_mail

def size(name):
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) * 1024

with open_office("intake", load(Path(sys.argv[1]))) as parts:
    receive_mail(parts, limit=1)
    before = size("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted anew (proc(5))
    refs = receive_mail(parts, limit=1)
    print(json.dumps({"refs": refs, "growth": size("VmHWM") - before}))
"""


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


@pytest.fixture
def file() -> File:
    return File("kuvat.zip", "application/zip", os.urandom(LARGE))


def write(road: Road, role: str, *files: File) -> bytes:
    patient = road.cast.patient(role)
    return plain_mail(road.cast.letter(role, request_text(patient.language, patient.name, patient.code), files=files))


def arrival_of(road: Road, ref: str) -> str:
    with road.installation.owner() as connection:
        row = connection.execute("select ref from arrivals where case_ref = %s", (ref,)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_process_grows_by_what_is_attached_and_not_by_the_mail_s_copies(road: Road, file: File) -> None:
    raw = write(road, "bound_sv", file)
    for mail in (write(road, "bound_en"), raw):
        road.drop(mail)

    done = subprocess.run(
        [sys.executable, "-c", TAKING, str(road.installation.config)], capture_output=True, check=True, timeout=120
    )

    said = json.loads(done.stdout)
    (ref,) = said["refs"]
    assert said["growth"] < 1.5 * len(raw), f"{said['growth'] / len(raw):.2f} times the mail"
    arrival = arrival_of(road, ref)
    with road.installation.office("desk") as parts:
        kept = open_mail_original(parts, REGISTRAR, ref, arrival).data
        case_file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        content = case_file.get_sealed(attachment_owner(arrival, "1"), attachment_key(arrival, "1"))
    assert kept.replace(b"\r\n", b"\n").endswith(raw.replace(b"\r\n", b"\n"))  # behind what the server put before it
    assert content == file.data


def test_a_large_signature_lies_apart_and_still_proves_the_bound_key(road: Road) -> None:
    known = road.refs()
    patient, home = road.cast.patient("bound"), road.cast.homes["bound"]
    words = request_text(patient.language, patient.name, patient.code)
    letter = road.cast.letter("bound", words, files=[File("notes.bin", "application/octet-stream", os.urandom(MIB))])
    road.drop(pgp_mime_mail(letter, home, road.ours))

    road.run("receive-mail")
    (ref,) = road.refs() - known
    arrival = arrival_of(road, ref)
    with road.installation.office("desk") as parts:
        case_file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        said = case_file.get(PARTICULARS) or {}
        again = with_signature(case_file, said)
    run_on(road.home, "identify", ref)

    assert (said["signature"], said["signed"], said["signature_at"]) == (None, None, arrival)
    assert len(json.dumps(said)) < 100_000
    assert len(again["signature"]) > MIB
    assert again["signed"] is None  # what is encrypted holds its own words
    assert road.at(ref).stage is Stage.IDENTIFIED


@pytest.mark.parametrize("module", [held, sealed_object], ids=["fetching", "storing"])
def test_without_room_the_mail_stays_and_the_next_round_takes_it_once(
    road: Road, file: File, monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    def full() -> BinaryIO:
        return Path("/dev/full").open("w+b", buffering=0)

    known, raw = road.refs(), write(road, "bound_en", file)
    road.drop(raw)
    with monkeypatch.context() as without:
        without.setattr(module, "temporary_file", full)
        assert fault_of(lambda: road.run("receive-mail")) == "temporary_space"
    assert (road.in_mailbox(), road.refs()) == (1, known)

    road.run("receive-mail")

    assert road.in_mailbox() == 0
    assert len(road.refs() - known) == 1


def fault_of(act: Callable[[], None]) -> str:
    with pytest.raises(OutOfReachError) as caught:
        act()
    return caught.value.code
