"""What taking mail in costs: a thousand mixed mails through the mailbox beside the bare tools, and its memory."""

import email
import email.policy
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.mailmix import Mail, mixed_mails, pens, plain_mails
from bench.rows import Row
from vault.errors import OutOfReachError
from vault.settings import Settings
from vault.testing.cast import deliverer
from vault.testing.installation import Installation, installed

MAILS, ROUNDS = 1_000, 3  # as many as one run takes, so many times
_MANY = 10_000
_LARGE = 50 * 2**20  # bytes
_UNIT = "mails/s"


def mail_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises VaultError: a server is missing, or a mail was lost or doubled.
    """
    with installed() as installation:
        yield from _speed(installation, say)
        yield _large(installation, say)
        yield from _memory(installation, say)


def _speed(installation: Installation, say: Callable[[str], None]) -> Iterator[Row]:
    ours, bare = [], []
    drop = deliverer(installation)
    with pens(installation) as tools:
        for turn in range(ROUNDS):
            say(f"writing {MAILS} mixed mails")
            mails = mixed_mails(tools, MAILS, turn * MAILS)
            for mail in mails:
                drop(mail.raw)
            bare.append(_rate(MAILS, partial(_bare, mails, installation.settings())))
            ((seconds, _),) = _taken(installation, 1)
            ours.append(MAILS / seconds)
            say(f"{MAILS} mails, {ours[-1]:.1f} a second, bare {bare[-1]:.1f}")
    taken = _count(installation)
    if taken != ROUNDS * MAILS:
        raise OutOfReachError("bench_mail", f"{ROUNDS * MAILS} mails became {taken} cases; run the tests")
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    note = "Dovecot to committed case, removed and acknowledged; the peer runs once for each encrypted mail"
    peer = "gpg --decrypt, openssl cms -decrypt"
    yield Row("mail/speed", statistics.median(ours), _UNIT, peer, statistics.median(bare), ratio, note, limit=0.6)
    yield Row(
        "mail/lost-or-doubled", abs(ROUNDS * MAILS - taken), "mails", limit=0, at_most=True, note=f"of {ROUNDS * MAILS}"
    )


def _count(installation: Installation) -> int:
    with installation.owner() as connection:
        row = connection.execute("select count(*) from cases").fetchone()
    return int(row[0]) if row else 0


def _bare(batch: Sequence[Mail], settings: Settings) -> None:
    """Decrypt what is encrypted by the stock tools, one mail after the other."""
    secret = ["--pinentry-mode", "loopback", "--passphrase-file", str(settings.openpgp.passphrase_file)]
    gpg = ["gpg", "--homedir", str(settings.openpgp.home), "--batch", "--quiet", "--no-tty", *secret, "--decrypt"]
    key = ["-inkey", str(settings.smime.key_file), "-passin", f"file:{settings.smime.passphrase_file}"]
    cms = ["openssl", "cms", "-decrypt", "-recip", str(settings.smime.certificate_file), *key]
    for mail in batch:
        if mail.kind.startswith("smime"):
            _require(subprocess.run(cms, input=mail.raw, capture_output=True, check=False).stdout)
        elif mail.kind.startswith("pgp"):
            _require(subprocess.run(gpg, input=_armour(mail.raw), capture_output=True, check=False).stdout)
    subprocess.run(["gpgconf", "--homedir", str(settings.openpgp.home), "--kill", "gpg-agent"], check=True)


def _require(text: bytes) -> None:
    """Check that a tool opened a mail; gpg exits with 2 where it lacks the signer's key."""
    if not text:
        raise OutOfReachError("bench_mail", "a bare tool did not open a mail; run the tests")


def _armour(raw: bytes) -> bytes:
    for part in email.message_from_bytes(raw, policy=email.policy.default).walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and b"-----BEGIN PGP MESSAGE-----" in content:
            return content
    raise OutOfReachError("bench_mail", "a mail that should be encrypted is not; run the tests")


def _large(installation: Installation, say: Callable[[str], None]) -> Row:
    say("taking in a mail of 50 MiB")
    line = b"QUJD" * 19 + b"\r\n"
    head = plain_mails(1, ROUNDS * MAILS)[0].partition(b"\r\n\r\n")[0]
    words = b"\r\n".join(row for row in head.split(b"\r\n") if not row.lower().startswith(b"content-"))
    body = b"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    deliverer(installation)(words + body + line * (_LARGE // len(line)))
    ((_, peak),) = _taken(installation, 1)
    return Row("mail/large-memory", peak, "MiB", limit=200, at_most=True, note="resident, while taking one of 50 MiB")


def _memory(installation: Installation, say: Callable[[str], None]) -> Iterator[Row]:
    say(f"taking in {_MANY} mails in one process")
    drop = deliverer(installation)
    for raw in plain_mails(_MANY, 2 * ROUNDS * MAILS):
        drop(raw)
    peaks = [peak for _, peak in _taken(installation, _MANY // MAILS)]
    growth = peaks[-1] - peaks[0]
    note = f"resident at most after {MAILS} mails {peaks[0]:.0f} MiB, after {_MANY} {peaks[-1]:.0f} MiB"
    yield Row("mail/memory-growth", max(0.0, growth), "MiB", limit=16, at_most=True, note=note)


def _taken(installation: Installation, rounds: int) -> list[tuple[float, float]]:
    """Take in so many rounds in a process of its own; return each one's seconds and peak memory in MiB."""
    command = [sys.executable, "-m", "bench.mailtaking", str(installation.config), str(rounds), str(MAILS)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    return [(float(seconds), float(peak)) for seconds, peak in json.loads(done.stdout)]


def _rate(count: int, act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return count / (time.perf_counter() - begun)
