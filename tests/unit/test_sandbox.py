"""The sandbox: every way a child can go wrong has its own stable code, and nothing is left behind."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vault.errors import OutOfReachError, UnreadableError, WrongUseError
from vault.intake.sandbox import ChildLimits, anonymous_files, private_directory, run_child

MISBEHAVIOUR = """
import os, socket, subprocess, sys, tempfile, time
from pathlib import Path
from vault.errors import OutOfReachError, UnreadableError

def echo(payload): return payload[::-1]
def noisy(payload): print("secret"); sys.stdout.flush(); os.write(1, b"secret"); return b"clean"
def slow(payload): time.sleep(60); return b""
def busy(payload):
    while True: pass
def hungry(payload): return bytes(4_000_000_000)[:1]
def talkative(payload): return bytes(5_000_000)
def dies(payload): os.kill(os.getpid(), 11); return b""
def leaves(payload): os._exit(0)
def raises(payload): raise ValueError("Aino Virtanen")
def refuses(payload): raise UnreadableError("too_many_pages", "ask for fewer pages")
def lacks(payload): raise OutOfReachError("ocr_missing", "install it")
def writes(payload):
    path = Path(tempfile.mkdtemp()) / "plain"
    path.write_bytes(payload)
    return (tempfile.gettempdir() + "\\n" + os.getcwd()).encode()
def starts(payload):
    started = subprocess.Popen(["sleep", "60"])
    if payload: Path(payload.decode()).write_text(str(started.pid))
    time.sleep(60); return b""
def dials(payload):
    try: socket.create_connection(("127.0.0.1", int(payload)), 2)
    except OSError: return b"no way"
    return b"connected"
def core(payload):
    import resource
    return repr(resource.getrlimit(resource.RLIMIT_CORE)).encode()
"""


@pytest.fixture(autouse=True)
def _misbehaviour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "misbehaviour.py").write_text(MISBEHAVIOUR)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_child_answers_with_its_bytes_only() -> None:
    assert run_child("misbehaviour:echo", b"\x00abc\xff") == b"\xffcba\x00"
    assert run_child("misbehaviour:noisy", b"") == b"clean"
    payload = os.urandom(3_000_000)
    assert run_child("misbehaviour:echo", payload) == payload[::-1]


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("slow", "child_timeout"),
        ("busy", "child_timeout"),
        ("starts", "child_timeout"),
        ("hungry", "child_memory"),
        ("talkative", "child_output"),
        ("dies", "child_died"),
        ("leaves", "child_died"),
        ("raises", "child_failed"),
        ("absent", "child_failed"),
        ("refuses", "too_many_pages"),
    ],
)
def test_every_misfortune_has_its_code(function: str, code: str) -> None:
    limits = ChildLimits(memory=1_500_000_000, seconds=1.0, output=1_000_000)

    with pytest.raises(UnreadableError) as caught:
        run_child(f"misbehaviour:{function}", b"", limits=limits)

    assert caught.value.code == code
    assert "Aino" not in str(caught.value)


def test_a_part_that_is_away_is_no_fault_of_the_item() -> None:
    with pytest.raises(OutOfReachError, match="ocr_missing"):
        run_child("misbehaviour:lacks", b"")


@pytest.mark.parametrize("path", ["os.system", "a:b:c", "a b:c", "", "x:y;z"])
def test_only_a_function_s_path_is_taken(path: str) -> None:
    with pytest.raises(WrongUseError):
        run_child(path, b"")


def test_a_grandchild_dies_with_the_child(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    with pytest.raises(UnreadableError):
        run_child("misbehaviour:starts", str(note).encode(), limits=ChildLimits(seconds=1.5))

    status = Path("/proc", note.read_text(), "status")
    until = time.monotonic() + 10  # the kernel delivers the signal when it next runs the process
    while _alive(status) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _alive(status)


def _alive(status: Path) -> bool:
    try:
        return "zombie" not in status.read_text()  # a zombie is dead until its new parent looks
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_child_s_directory_is_private_and_gone_afterwards() -> None:
    temporary, here = run_child("misbehaviour:writes", b"Aino").decode().split("\n")

    assert temporary == here
    assert temporary.startswith("/dev/shm/")  # noqa: S108 - tmpfs is what is promised
    assert not Path(temporary).exists()


def test_a_child_dumps_no_core_and_sees_no_network() -> None:
    import socket  # noqa: PLC0415 - only this test listens

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1]).encode()
        assert run_child("misbehaviour:core", b"") == b"(0, 0)"
        assert run_child("misbehaviour:dials", port) == b"no way"
        assert run_child("vault.intake.child:network_report", b"") == b"0"


def test_what_a_killed_parent_left_is_swept_by_the_next() -> None:
    script = (
        "import time\nfrom vault.intake.sandbox import private_directory\n"
        "with private_directory() as p:\n (p / 'plain').write_text('Aino'); print(p, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    left = Path(parent.stdout.readline().strip())

    with private_directory():
        assert left.exists()  # its owner lives
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert left.exists()
    with private_directory() as ours:
        assert not left.exists()
        assert ours.stat().st_mode & 0o777 == 0o700
    assert not ours.exists()


def test_an_open_base_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 987654)
    base = Path("/dev/shm/dsr-vault-987654")  # noqa: S108 - the name the module derives
    base.mkdir(mode=0o755)
    try:
        with pytest.raises(WrongUseError, match="temporary_directory"), private_directory():
            pass
    finally:
        shutil.rmtree(base)


def test_anonymous_memory_has_no_name() -> None:
    with anonymous_files(b"Aino") as (descriptor,):
        assert os.read(descriptor, 10) == b"Aino"
        assert "memfd" in str(Path(f"/proc/self/fd/{descriptor}").readlink())


def test_a_child_is_quick() -> None:
    start = time.monotonic()
    run_child("misbehaviour:echo", b"")
    assert time.monotonic() - start < 5
