"""infra/setup installs what is missing where it may, starts no service by it, and else names what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "setup"
TOOLS = ["awk", "bash", "cat", "chmod", "comm", "env", "grep", "id", "mv", "printf", "rm", "sh", "sort", "tee", "true"]
FAKE_APT = """#!/bin/sh
echo "$@" >>"{log}"
sh "{policy}" postgresql start || echo "policy says $?" >>"{log}"
case "$*" in *strace*) {effect} ;; esac
"""


class Machine:
    """A machine with a PATH, a policy-rc.d and an apt-get of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "apt.log"
        self.policy = folder / "policy-rc.d"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def has(self, *programs: str) -> None:
        for program in programs:
            self.program(program, "#!/bin/sh\n")

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def may_install(self, *, works: bool) -> None:
        effect = f'printf "#!/bin/sh\\n" >"{self.bin}/strace"; chmod 755 "{self.bin}/strace"' if works else "exit 100"
        self.program("apt-get", FAKE_APT.format(log=self.log, policy=self.policy, effect=effect))
        if os.geteuid() != 0:
            self.program("sudo", '#!/bin/sh\nshift; [ "$1" = -- ] && shift\nexec "$@"\n')

    def run(self, purpose: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "DSR_POLICY_RC_D": str(self.policy)}
        command = ["/bin/bash", str(SCRIPT), "--for", purpose]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=env)


PROGRAMS = ("gpg", "openssl", "radosgw", "ceph-mon", "ceph-osd", "ceph-authtool", "tesseract", "chromium")
MORE = ("docker-compose", "pdftotext", "softhsm2-util")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Everything is there but strace."""
    made = Machine(tmp_path)
    made.has(*PROGRAMS, *MORE)
    return made


def test_nothing_to_do_says_nothing(machine: Machine) -> None:
    machine.has("strace")

    done = machine.run("test")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_tests_need_and_is_missing_is_named_and_fails(machine: Machine) -> None:
    done = machine.run("test")

    assert done.returncode == 1
    assert "  strace               watches system calls in tests" in done.stderr
    assert "apt-get install --no-install-recommends strace" in done.stderr


@pytest.mark.parametrize("gone", ["radosgw", "tesseract"])
def test_the_demo_goes_on_with_a_stand_in(machine: Machine, gone: str) -> None:
    (machine.bin / gone).unlink()

    done = machine.run("demo")

    assert done.returncode == 0
    assert gone in done.stderr
    assert "stand-ins" in done.stderr
    assert "strace" not in done.stderr


@pytest.mark.parametrize("gone", ["gpg", "openssl"])
def test_the_demo_cannot_do_without_mails_own_tools(machine: Machine, gone: str) -> None:
    (machine.bin / gone).unlink()

    assert machine.run("demo").returncode == 1


def test_what_is_missing_is_installed_and_no_service_starts(machine: Machine) -> None:
    machine.may_install(works=True)

    done = machine.run("test")

    assert done.returncode == 0, done.stderr
    assert "--no-install-recommends strace" in machine.log.read_text()
    assert "policy says 101" in machine.log.read_text()
    assert not machine.policy.exists()


@pytest.mark.parametrize("works", [True, False])
def test_the_machines_own_policy_is_put_back(machine: Machine, *, works: bool) -> None:
    machine.may_install(works=works)
    machine.policy.write_text("#!/bin/sh\nexit 0\n")

    done = machine.run("test")

    assert done.returncode == (0 if works else 1)
    assert "policy says 101" in machine.log.read_text()
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_run_left_is_put_back(machine: Machine) -> None:
    machine.may_install(works=True)
    machine.policy.write_text("#!/bin/sh\nexit 101\n")
    machine.policy.with_name("policy-rc.d.before-dsr-vault").write_text("the machine's own")

    machine.run("test")

    assert machine.policy.read_text() == "the machine's own"


def test_package_lists_are_fetched_only_when_the_first_try_failed(machine: Machine) -> None:
    machine.may_install(works=False)

    machine.run("test")

    verbs = [line.split()[4] for line in machine.log.read_text().splitlines() if line.startswith("-q")]
    assert verbs == ["install", "update", "install"]


@pytest.mark.parametrize("arguments", [[], ["--for"], ["--for", "else"], ["demo"], ["--for", "demo", "x"]])
def test_wrong_use_says_how(arguments: list[str]) -> None:
    done = subprocess.run(["/bin/bash", SCRIPT, *arguments], check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert "usage" in done.stderr
