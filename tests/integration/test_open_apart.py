"""Mails are opened in warm children: the same result, no network, and a limit that is crossed costs one mail."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vault.errors import OutOfReachError, UnreadableError, WrongUseError
from vault.intake.apart import Apart, OwnKeys
from vault.intake.frames import pack, unpack
from vault.intake.mail import MailTools, open_mail
from vault.intake.mime import MimeLimits
from vault.intake.opened import Attachment, OpenedMail, Outcome, ProofKind
from vault.intake.sandbox import ChildLimits
from vault.testing import mails
from vault.testing.mails import File
from vault.testing.mailworld import LETTER, TEXT, MailWorld, mail_world

PLAIN = mails.plain_mail(LETTER)


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    with mail_world() as made:
        yield made


@pytest.fixture(scope="module")
def keys(world: MailWorld) -> OwnKeys:
    passphrase = (world.clinic_home / "passphrase").read_text()
    return OwnKeys(str(world.clinic_home), passphrase, known_keys=(world.aino.public_key().encode(),))


@pytest.fixture
def apart(keys: OwnKeys) -> Iterator[Apart]:
    made = Apart(keys)
    yield made
    made.close()


def children() -> set[int]:
    """Return the children of this process that open mails."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            ours = path.read_text().rpartition(")")[2].split()[1] == str(os.getpid())
            if ours and b"vault.intake.apartchild" in path.with_name("cmdline").read_bytes():
                found.add(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_a_child_opens_what_this_process_would(world: MailWorld, apart: Apart) -> None:
    files = [File("kuva.png", "image/png", os.urandom(300_000)), File("tyhjä.txt", "text/plain", b"")]
    mail = mails.pgp_mime_mail(replace(LETTER, files=files, attach_key=True), world.aino, world.key)

    opened = apart.open(mail)

    assert opened == world.open(mail)
    assert (opened.outcome, opened.sender_proof.kind, opened.text) == (Outcome.OPENED, ProofKind.VALID, TEXT.strip())


def test_one_child_takes_many_mails_and_several_threads_have_one_each(world: MailWorld, apart: Apart) -> None:
    sealed = [mails.pgp_mime_mail(LETTER, world.aino, world.key)] * 4

    assert apart.open(PLAIN).outcome is Outcome.PLAIN
    first = children()
    assert apart.open(b"").reason == "mail_empty"
    assert children() == first
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(apart.open, sealed))

    assert {one.text for one in opened} == {TEXT.strip()}
    assert len(children()) <= 2
    apart.close()
    assert children() == set()


def test_a_child_has_no_network_and_little_else(apart: Apart) -> None:
    apart.open(PLAIN)
    (child,) = children()

    interfaces = Path(f"/proc/{child}/net/dev").read_text()
    limits = Path(f"/proc/{child}/limits").read_text()
    names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")}

    assert "eth" not in interfaces
    assert any(line.startswith("Max address space") and "2000000000" in line for line in limits.splitlines())
    assert any(line.startswith("Max core file size") and " 0 " in line for line in limits.splitlines())
    assert not {name for name in names if name.startswith(b"DSR")}


def test_a_mail_that_takes_too_long_costs_its_child_and_no_other_mail(keys: OwnKeys) -> None:
    apart = Apart(keys, ChildLimits(seconds=1.0))
    apart.open(PLAIN)
    (child,) = children()
    os.kill(child, signal.SIGSTOP)

    begin = time.monotonic()
    with pytest.raises(UnreadableError, match="child_timeout"):
        apart.open(PLAIN)

    assert time.monotonic() - begin < 30
    assert child not in children()
    slow = Apart(keys)
    assert slow.open(PLAIN).outcome is Outcome.PLAIN
    slow.close()


def test_a_mail_that_needs_too_much_memory_is_refused_and_says_who_sent_it(keys: OwnKeys) -> None:
    apart = Apart(keys, ChildLimits(memory=200_000_000))
    large = PLAIN + b"x" * 50_000_000

    opened = open_mail(large, MailTools(apart=apart))
    after = open_mail(PLAIN, MailTools(apart=apart))
    apart.close()

    assert (opened.outcome, opened.headers.from_address) == (Outcome.REFUSED, LETTER.email)
    assert opened.reason in {"child_memory", "child_died", "mail_reader_failed"}
    assert after.outcome is Outcome.PLAIN


def test_a_killed_child_is_replaced(apart: Apart) -> None:
    apart.open(PLAIN)
    (child,) = children()
    os.kill(child, signal.SIGKILL)

    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # dead, and left to its parent

    assert apart.open(PLAIN).outcome is Outcome.PLAIN


def test_our_own_faults_stay_errors(tmp_path: Path) -> None:
    nobody = Apart(OwnKeys(str(tmp_path / "absent")))
    with pytest.raises(OutOfReachError, match="mail_reader"):
        nobody.open(PLAIN)
    assert children() == set()

    keyless = Apart(OwnKeys(limits=MimeLimits(size=100)))
    assert keyless.open(PLAIN).reason == "mail_too_large"
    keyless.close()


def test_a_wrong_passphrase_is_told_and_not_the_mail_s_fault(world: MailWorld, tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415 - one test copies a home

    home = tmp_path / "h"
    shutil.copytree(world.clinic_home, home, ignore=shutil.ignore_patterns("S.*"))
    wrong = Apart(OwnKeys(str(home), "wrong"))

    with pytest.raises(WrongUseError, match="openpgp_passphrase"):
        wrong.open(mails.pgp_mime_mail(LETTER, world.aino, world.key))
    wrong.close()


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\0" * 7 + b"\x02[]", b"\xff" * 20], ids=["no", "nul", "list", "huge"]
)
def test_only_what_was_packed_is_unpacked(data: bytes) -> None:
    value = Attachment("ä.pdf", "application/pdf", b"\0\xff")
    packed = b"".join(pack(value))

    assert unpack(Attachment, io.BytesIO(packed).read) == value
    for wrong in (data, packed):
        with pytest.raises(UnreadableError, match="child_failed"):
            unpack(OpenedMail, io.BytesIO(wrong).read)


def test_a_child_starts_without_what_it_does_not_need() -> None:
    late = {"pydantic", "vault.settings", "cryptography.x509", "cryptography.hazmat.primitives.serialization"}
    script = "import sys, vault.intake.apartchild; print(*sys.modules)"

    said = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True).stdout

    assert not late & set(said.split())
    assert "vault.intake.smime" in said.split()


def test_a_child_ends_with_its_parent() -> None:
    script = (
        "import time\nfrom vault.intake.apart import Apart, OwnKeys\napart = Apart(OwnKeys())\n"
        "apart.open(b'From: a@b.example\\n\\nhei')\nprint(apart._take()._process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = Path("/proc", parent.stdout.readline().strip(), "cmdline")
    assert b"apartchild" in child.read_bytes()

    parent.kill()
    parent.wait()
    parent.stdout.close()

    until = time.monotonic() + 20
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(cmdline: Path) -> bool:
    try:
        return bool(cmdline.read_bytes())  # a dead one's is empty until somebody looks
    except (FileNotFoundError, ProcessLookupError):
        return False
