"""Whoever attacks by mail gets an outcome in time: nothing forged is authentic, nothing joined, nothing fetched."""

import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault.intake.mail import open_mail
from vault.intake.opened import OpenedMail, Outcome, ProofKind
from vault.intake.sandbox import ChildLimits
from vault.testing import mailattacks_bombs, mailattacks_crypto, mailattacks_limits, mailattacks_mime
from vault.testing.mailattacks import ATTACKS, BAIT, CANARY, MALLORY, VICTIM, Attack, Prey, prey

MODULES = (
    mailattacks_bombs,
    mailattacks_crypto,
    mailattacks_limits,
    mailattacks_mime,
)  # whose import enters the attacks
SECONDS = 20.0  # of processor, of this process and of all that it called


class Trap:
    """A server that counts who calls, and answers nobody."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.fixture(scope="module")
def hunted(trap: Trap) -> Iterator[Prey]:
    with prey(trap.url) as made:
        yield made


@contextmanager
def processor() -> Iterator[list[float]]:
    """Measure the processor's time that a block takes, its children's too."""
    used: list[float] = []
    begin = spent()
    yield used
    used.append(spent() - begin)


def spent() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def assert_harmless(found: Attack, opened: OpenedMail, hunted: Prey) -> None:
    """Assert what holds for each attack."""
    assert opened.reason != "mail_reader_failed"
    shown = opened.text + "".join(a.data.decode("utf-8", "replace") for a in opened.attachments)
    if opened.outcome is Outcome.OPENED:
        assert not (CANARY in shown and BAIT in shown), "merged"
    if opened.outcome in {Outcome.REFUSED, Outcome.UNDECRYPTABLE}:
        assert (shown, opened.sender_proof.kind) == ("", ProofKind.NONE)
    proof = opened.sender_proof
    if proof.kind is ProofKind.VALID:
        hers = BAIT not in shown and "Hei" in opened.text
        assert hers or proof.fingerprint not in hunted.victims, "taken for Aino's"
    if found.kind == "sender":
        assert not (opened.headers.from_address == VICTIM and proof.from_matches)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on HTML sooner: what is tried here is that somebody gives up."""
    monkeypatch.setattr("vault.intake.html._LIMITS", ChildLimits(memory=1_000_000_000, seconds=2.0))


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_gains_nothing(hunted: Prey, trap: Trap, name: str) -> None:
    found = ATTACKS[name]
    mail = found.make(hunted)

    with processor() as used:
        opened = open_mail(mail, hunted.tools)

    assert opened.outcome in found.outcomes, (opened.outcome, opened.reason)
    assert found.reason is None or opened.reason == found.reason
    assert_harmless(found, opened, hunted)
    assert used[0] < SECONDS
    assert trap.calls == 0


OPENS = """
import socket, sys
from pathlib import Path
from vault.intake.mail import MailTools, open_mail
from vault.intake.openpgp import OpenPgp
tools = MailTools(OpenPgp(Path(sys.argv[1]), Path(sys.argv[1], "passphrase").read_text()))
for name in sys.argv[3:]:
    print(open_mail(Path(name).read_bytes(), tools).outcome)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", int(sys.argv[2])))
"""


def test_no_program_that_opens_mail_calls_anybody(hunted: Prey, tmp_path: Path) -> None:
    kinds = {"direct exfiltration", "status lines", "malleability"}
    chosen = [found for found in ATTACKS.values() if found.kind in kinds and found.name != "html_around_smime"]
    files = [tmp_path / found.name for found in chosen]
    for found, file in zip(chosen, files, strict=True):
        file.write_bytes(found.make(hunted))
    trace = tmp_path / "trace"
    watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,bind", "-o", str(trace)]
    control = "4711"
    command = [sys.executable, "-c", OPENS, str(hunted.world.clinic_home), control, *map(str, files)]

    run = subprocess.run([*watch, *command], capture_output=True, text=True, check=True)

    assert run.stdout.split().count("opened") >= 4
    calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    assert [f"htons({control})" in line for line in calls] == [True]


def test_who_sent_a_refused_mail_is_known(hunted: Prey) -> None:
    opened = open_mail(ATTACKS["parts_without_end"].make(hunted), hunted.tools)

    assert (opened.outcome, opened.headers.from_address) == (Outcome.REFUSED, MALLORY)


def test_each_kind_of_attack_is_tried() -> None:
    kinds = {found.kind for found in ATTACKS.values()}

    assert kinds == {
        *("direct exfiltration", "malleability", "covert content", "partial encryption", "status lines", "sender"),
        *("signature wrapping in MIME", "signature wrapping in OpenPGP", "signature wrapping in CMS"),
        *("bomb", "limits", "RFC 2231", "boundary", "odd bytes"),
    }
