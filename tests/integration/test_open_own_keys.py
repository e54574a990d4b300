"""Our own OpenPGP keys: rotated, expired, revoked, hidden, behind a wrong passphrase; each has a named outcome."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from vault.delivery.protected import pgp_mime
from vault.errors import WrongUseError
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import OpenedMail, Outcome, ProofKind
from vault.intake.openpgp import OpenPgp
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mailworld import LETTER, TEXT, short_directory

PASSPHRASE = "a passphrase of ours"
QUICK = ("--s2k-count", "65536")
THEN, LATER = "20240101T000000", "20240201T000000"


@dataclass(frozen=True)
class Clinic:
    """A clinic whose first subkey expired and was followed by a second; ``writer`` holds both old and new copies."""

    home: Path
    keys: tuple[str, str]  # subkeys: expired, current
    writer: PgpHome
    other: str

    def open(self, sealed: bytes, passphrase: str = PASSPHRASE) -> OpenedMail:
        openpgp = OpenPgp(self.home, passphrase)
        try:
            return open_mail(pgp_mime(LETTER.headers(), sealed).as_bytes(), MailTools(openpgp))
        finally:
            openpgp.close()

    def sealed(self, *options: str, to: str, at: str | None = None) -> bytes:
        """Encrypt the letter; ``to`` with ``!`` names one subkey."""
        when = ["--faked-system-time", at] if at else []
        return self.writer.gpg(*when, "--armor", *options, "--encrypt", "--recipient", to, data=LETTER.entity())


def ours(home: PgpHome, *arguments: str) -> None:
    home.gpg("--pinentry-mode", "loopback", "--passphrase", PASSPHRASE, *arguments)


def subkeys(home: PgpHome) -> list[str]:
    rows = [row.split(":") for row in home.gpg("--with-colons", "--list-keys", home.fingerprint).decode().splitlines()]
    return [after[9] for row, after in pairwise(rows) if row[0] == "sub"]


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with short_directory() as base:
        (base / "c").mkdir(mode=0o700)
        (base / "c" / "gpg-agent.conf").write_text("s2k-count 65536\n")
        home = PgpHome(base / "c", "")
        past = ("--faked-system-time", THEN)
        ours(home, *past, "--quick-generate-key", "Clinic <requests@clinic.example>", "ed25519", "sign", "5y")
        rows = home.gpg("--with-colons", "--list-secret-keys").decode().splitlines()
        home = PgpHome(home.path, next(row.split(":")[9] for row in rows if row.startswith("fpr:")))
        ours(home, *past, "--quick-add-key", home.fingerprint, "cv25519", "encr", "3m")
        ours(home, "--quick-add-key", home.fingerprint, "cv25519", "encr", "1y")
        expired, current = subkeys(home)
        writer = make_pgp_home(base / "w", "Writer", "writer@example.fi")
        other = make_pgp_home(base / "o", "Other", "other@example.fi")
        for key in (home.public_key(), other.public_key()):
            writer.learn(key)
        home.close()  # it remembers the passphrase
        try:
            yield Clinic(home.path, (expired, current), writer, other.fingerprint)
        finally:
            for one in (home, writer, other):
                one.close()


@pytest.mark.parametrize("hidden", [False, True], ids=["named", "hidden"])
@pytest.mark.parametrize(("number", "remarks"), [(0, ("own_key_expired",)), (1, ())], ids=["expired", "current"])
def test_mail_to_each_of_our_keys_is_opened(clinic: Clinic, number: int, remarks: tuple[str], hidden: bool) -> None:
    options = ["--throw-keyids"] if hidden else []
    sealed = clinic.sealed(*options, to=f"{clinic.keys[number]}!", at=None if number else LATER)

    opened = clinic.open(sealed)

    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())
    assert opened.remarks == remarks
    assert opened.reason == "".join(remarks)


def test_mail_to_a_revoked_key_is_opened_and_says_so(clinic: Clinic) -> None:
    with short_directory() as path:
        shutil.copytree(clinic.home, path / "c", ignore=shutil.ignore_patterns("S.*"))
        home = PgpHome(path / "c", "")
        (certificate,) = (home.path / "openpgp-revocs.d").iterdir()
        home.gpg("--import", data=certificate.read_bytes().replace(b"\n:---", b"\n---"))
        home.close()
        copy = Clinic(home.path, clinic.keys, clinic.writer, clinic.other)

        opened = copy.open(clinic.sealed(to=f"{clinic.keys[1]}!"))

    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())
    assert opened.remarks == ("own_key_revoked",)


@pytest.mark.parametrize("hidden", [False, True], ids=["named", "hidden"])
def test_mail_for_somebody_else_stays_closed(clinic: Clinic, hidden: bool) -> None:
    opened = clinic.open(clinic.sealed(*(["--throw-keyids"] if hidden else []), to=clinic.other))

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.UNDECRYPTABLE, "pgp_no_key", "")


@pytest.mark.parametrize("hidden", [False, True], ids=["named", "hidden"])
def test_a_wrong_passphrase_is_our_fault_and_never_the_mail_s(clinic: Clinic, hidden: bool) -> None:
    sealed = clinic.sealed(*(["--throw-keyids"] if hidden else []), to=f"{clinic.keys[1]}!")

    with pytest.raises(WrongUseError, match="openpgp_passphrase"):
        clinic.open(sealed, "another passphrase")


def test_of_a_mail_with_many_hidden_recipients_ours_opens(clinic: Clinic) -> None:
    sealed = clinic.sealed("--throw-keyids", "--recipient", clinic.other, to=f"{clinic.keys[1]}!")

    assert clinic.open(sealed).text == TEXT.strip()


def test_a_password_beside_our_key_does_not_matter(clinic: Clinic) -> None:
    loopback = ("--pinentry-mode", "loopback", "--passphrase", "theirs", *QUICK, "--symmetric")

    assert clinic.open(clinic.sealed(*loopback, to=f"{clinic.keys[1]}!")).text == TEXT.strip()
    alone = clinic.writer.gpg("--armor", *loopback, data=LETTER.entity())
    assert clinic.open(alone).reason == "pgp_password_only"
    foreign = clinic.open(clinic.sealed(*loopback, to=clinic.other))
    assert (foreign.outcome, foreign.reason) == (Outcome.UNDECRYPTABLE, "pgp_no_key")


def test_our_passphrase_is_no_password_for_strangers(clinic: Clinic) -> None:
    """Somebody who guessed it must not get a message opened without a key: no answer may confirm the guess."""
    loopback = ("--pinentry-mode", "loopback", "--passphrase", PASSPHRASE, *QUICK, "--symmetric")

    opened = clinic.open(clinic.writer.gpg("--armor", *loopback, data=LETTER.entity()))

    assert (opened.outcome, opened.reason) == (Outcome.UNDECRYPTABLE, "pgp_password_only")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (["--faked-system-time", LATER, "--default-sig-expire", "1d"], "signature_expired"),
        (["--digest-algo", "SHA1"], "signature_weak"),
    ],
    ids=["expired", "weak"],
)
def test_what_spoils_a_signature_is_named(clinic: Clinic, spoil: list[str], why: str) -> None:
    with short_directory() as path:
        home = PgpHome(path, "")
        past = ("--faked-system-time", THEN, "--passphrase", "")
        home.gpg(*past, "--quick-generate-key", "R <r@example.fi>", "rsa2048", "sign", "never")
        key = home.gpg("--armor", "--export")
        signed = home.gpg(*spoil, "--armor", "--sign", data=LETTER.entity())
        home.close()
    found = OpenPgp(None).read(clinic.writer.gpg("--dearmor", data=signed), None, [key])

    assert (found.proof.kind, found.proof.why) == (ProofKind.INVALID, why)
