"""A mail is opened by as few runs of gpg and openssl as its verdict allows, and they decide what many runs decide."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vault.domain.private import Private
from vault.intake import gpg as gpg_module
from vault.intake import ownring
from vault.intake import smime as smime_module
from vault.intake.gpgstatus import uid_addresses
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import OpenedMail, Outcome, ProofKind
from vault.intake.openpgp import OpenPgp, fingerprint_of
from vault.intake.smime import Smime
from vault.intake.smimekey import load_key
from vault.intake.tool import ToolRun, run_tool
from vault.testing import mails
from vault.testing.mailkeys import PgpHome, SmimeIdentity, make_pgp_home, make_smime_identity
from vault.testing.mails import File
from vault.testing.mailworld import LETTER, TEXT, MailWorld, mail_world, short_directory

_ACTIONS = frozenset(
    {"--unwrap", "--decrypt", "--verify", "--import", "--list-keys", "--export", "-decrypt", "-verify"}
)
_GARBAGE = "-----BEGIN PGP MESSAGE-----\n\naGVsbG8gd29ybGQ=\n=abcd\n-----END PGP MESSAGE-----\n"


@dataclass(frozen=True, slots=True)
class Scene(Private):
    """A clinic with both kinds of keys, and people who write."""

    world: MailWorld
    clinic: SmimeIdentity
    signer: SmimeIdentity
    tools: MailTools


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    base = tmp_path_factory.mktemp("smime")
    clinic = make_smime_identity(base / "c", "Clinic", "requests@clinic.example")
    signer = make_smime_identity(base / "a", "Aino", "aino@example.fi")
    with mail_world() as world:
        key = load_key(clinic.key.read_bytes() + clinic.certificate.read_bytes(), None)
        scene = Scene(world, clinic, signer, MailTools(world.clinic, Smime([key])))
        open_mail(mails.pgp_mime_mail(LETTER, world.aino, world.key), scene.tools)  # now our own ring is known
        yield scene


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is run from now on."""
    seen: list[str] = []

    def counted(command: Sequence[str], *arguments: object, **named: object) -> ToolRun:
        seen.append(" ".join([command[0], *(item for item in command if item in _ACTIONS)]))
        return run_tool(command, *arguments, **named)  # type: ignore[arg-type] # passed on as they came

    for module in (gpg_module, smime_module):
        monkeypatch.setattr(module, "run_tool", counted)
    return seen


def _pgp(scene: Scene, **changes: object) -> bytes:
    return mails.pgp_mime_mail(replace(LETTER, **changes), scene.world.aino, scene.world.key)  # type: ignore[arg-type] # of a letter


def _smime(scene: Scene, *, opaque: bool) -> bytes:
    sealed = scene.clinic.certificate
    return mails.smime_mail(LETTER, sealed, scene.signer, cipher="-aes-256-gcm", opaque=opaque)


OPENED = "gpg --unwrap --decrypt"
KINDS: dict[str, tuple[Callable[[Scene], bytes], list[str]]] = {
    "stranger": (_pgp, [OPENED]),
    "key": (lambda s: _pgp(s, attach_key=True), [OPENED, "gpg --import", "gpg --decrypt"]),
    "clear-signed": (
        lambda s: mails.plain_mail(replace(LETTER, text=s.world.aino.gpg("--clear-sign", data=b"Hei.\n").decode())),
        ["gpg --decrypt"],
    ),
    "detached": (lambda s: mails.pgp_signed_mail(LETTER, s.world.aino), []),
    "detached-key": (
        lambda s: mails.pgp_signed_mail(replace(LETTER, attach_key=True), s.world.aino),
        ["gpg --import", "gpg --verify"],
    ),
    "smime": (lambda s: _smime(s, opaque=False), ["openssl -decrypt", "openssl -verify"]),
    "opaque": (lambda s: _smime(s, opaque=True), ["openssl -decrypt", "openssl -verify"]),
    "garbage": (lambda _: mails.plain_mail(replace(LETTER, text=_GARBAGE)), []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_takes_no_more_runs_than_these(scene: Scene, runs: list[str], kind: str) -> None:
    write, wanted = KINDS[kind]
    mail = write(scene)
    runs.clear()

    opened = open_mail(mail, scene.tools)

    assert runs == wanted
    assert opened.outcome is (Outcome.UNDECRYPTABLE if kind == "garbage" else opened.outcome)
    assert opened.reason == ("pgp_malformed" if kind == "garbage" else "")


def test_armour_in_armour_is_still_given_to_gpg(scene: Scene, runs: list[str]) -> None:
    sealed = mails.encrypt(scene.world.aino, LETTER.entity(), scene.world.key, sign=False)
    twice = scene.world.aino.gpg("--enarmor", data=sealed).replace(b"PGP ARMORED FILE", b"PGP MESSAGE")
    runs.clear()

    opened = open_mail(mails.plain_mail(replace(LETTER, text=twice.decode())), scene.tools)

    assert runs[0] == OPENED
    assert opened.outcome is Outcome.OPENED


def test_a_signer_whom_our_home_knows_is_judged_by_gpg(scene: Scene, runs: list[str]) -> None:
    with short_directory() as base:
        openpgp = _fresh(scene.world.clinic_home, base / "h")
        PgpHome(base / "h", "").learn(scene.world.aino.public_key())

        opened = open_mail(_pgp(scene), MailTools(openpgp))

        openpgp.close()
    assert "gpg --decrypt" in runs
    assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, True)


def test_core_dumps_are_forbidden_before_a_tool_starts() -> None:
    """gpg forbids them itself, and ends at once when somebody else does so meanwhile."""
    asks = "import resource; from vault.intake.tool import confined; confined()"
    asked = subprocess.run(
        [sys.executable, "-c", f"{asks}; print(resource.getrlimit(resource.RLIMIT_CORE))"],
        capture_output=True,
        check=True,
    )

    assert asked.stdout.strip() == b"(0, 0)"


# --- keys that came along


def _signed_by(home: PgpHome, *keys: bytes, sender: str = "aino@example.fi") -> OpenedMail:
    files = [File(f"key{number}.asc", "application/pgp-keys", key) for number, key in enumerate(keys)]
    entity = replace(LETTER, files=files).entity().removesuffix(b"\r\n")
    signature = home.gpg("--armor", "--detach-sign", data=entity)
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=S\r\n\r\n--S\r\n"
    tail = b"\r\n--S\r\nContent-Type: application/pgp-signature\r\n\r\n" + signature + b"\r\n--S--\r\n"
    return open_mail(f"From: {sender}\r\n".encode() + head + entity + tail, MailTools())


@pytest.fixture(scope="module")
def signers() -> Iterator[tuple[PgpHome, PgpHome]]:
    """A key with a revoked user id and another person's signature; and that other person's."""
    with short_directory() as base:
        one = make_pgp_home(base / "1", "Aino", "aino@example.fi")
        two = make_pgp_home(base / "2", "Two", "two@example.fi", "rsa2048")
        one.gpg("--passphrase", "", "--quick-add-uid", one.fingerprint, "Once <once@example.fi>")
        one.gpg("--passphrase", "", "--quick-revoke-uid", one.fingerprint, "Once <once@example.fi>")
        two.learn(one.public_key())
        two.gpg("--quick-sign-key", one.fingerprint)
        one.learn(two.public_key())
        one.learn(two.gpg("--armor", "--export", one.fingerprint).decode())
        yield one, two
        one.close()
        two.close()


def test_the_key_is_what_gpg_exports(signers: tuple[PgpHome, PgpHome], runs: list[str]) -> None:
    one, two = signers
    for home in (one, two):
        exported = home.gpg("--armor", "--export-options", "export-minimal", "--export", home.fingerprint)
        runs.clear()

        opened = _signed_by(home, home.gpg("--armor", "--export", home.fingerprint))

        assert runs == ["gpg --import", "gpg --verify"]
        assert opened.sender_key == exported.decode()
        assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, home is one)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first", "second"])
def test_of_several_keys_the_signers_is_taken(signers: tuple[PgpHome, PgpHome], order: tuple[int, int]) -> None:
    keys = [home.gpg("--armor", "--export", home.fingerprint) for home in signers]

    opened = _signed_by(signers[0], *(keys[number] for number in order))

    assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, True)
    assert fingerprint_of(opened.sender_key or "") == signers[0].fingerprint


def test_a_revoked_copy_of_a_key_beside_it_counts(signers: tuple[PgpHome, PgpHome]) -> None:
    one = signers[0]
    key = one.gpg("--export", one.fingerprint)
    written = (
        (one.path / "openpgp-revocs.d" / f"{one.fingerprint}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    )
    revocation = one.gpg("--dearmor", data=written[written.index("-----BEGIN") :].encode())
    first = 2 + key[1]  # the primary key's packet

    opened = _signed_by(one, key, key[:first] + revocation + key[first:])

    assert (opened.sender_proof.kind, opened.sender_proof.why) == (ProofKind.INVALID, "signer_key_revoked")


def test_a_user_id_that_the_key_did_not_sign_is_none(signers: tuple[PgpHome, PgpHome]) -> None:
    one = signers[0]
    key = one.gpg("--export", one.fingerprint)
    user = 2 + key[1]  # where the first user id begins
    signature = user + 2 + key[user + 1]
    length = 2 + key[signature + 1]
    forged = b"Victim <victim@example.fi>"
    packet = b"\xb4" + bytes([len(forged)]) + forged

    opened = _signed_by(
        one, key[:user] + packet + key[signature : signature + length] + key[user:], sender="victim@example.fi"
    )

    assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, False)
    assert forged not in one.gpg("--dearmor", data=(opened.sender_key or "").encode())


# --- our own ring


def _fresh(home: Path, to: Path) -> OpenPgp:
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("S.*"))
    return OpenPgp(to, (to / "passphrase").read_text())


def test_a_key_that_is_added_while_we_run_opens(scene: Scene, runs: list[str]) -> None:
    with short_directory() as base:
        openpgp = _fresh(scene.world.clinic_home, base / "h")
        home = PgpHome(base / "h", "")
        before = open_mail(_pgp(scene), MailTools(openpgp))
        known = uid_addresses(home.gpg("--with-colons", "--list-keys"))
        secret = ["--pinentry-mode", "loopback", "--passphrase-file", str(base / "h" / "passphrase")]
        home.gpg(*secret, "--quick-generate-key", "New <new@clinic.example>", "future-default", "default", "1y")
        scene.world.aino.learn(home.gpg("--armor", "--export", "<new@clinic.example>").decode())
        sealed = mails.encrypt(
            scene.world.aino,
            LETTER.entity(),
            home.gpg("--armor", "--export", "<new@clinic.example>").decode(),
            sign=False,
        )
        runs.clear()

        after = openpgp.decrypt(home.gpg("--dearmor", data=sealed))

        openpgp.close()
        home.close()
    assert before.outcome is Outcome.OPENED
    assert "new@clinic.example" not in known
    assert after.content
    assert runs.count("gpg --list-keys") == 1


def test_our_home_is_only_read(scene: Scene) -> None:
    with short_directory() as base:
        openpgp = _fresh(scene.world.clinic_home, base / "h")
        files = ("pubring.kbx", "trustdb.gpg")
        before = [(base / "h" / name).read_bytes() for name in files]

        opened = open_mail(_pgp(scene), MailTools(openpgp))

        openpgp.close()
        assert [(base / "h" / name).read_bytes() for name in files] == before
    assert (opened.outcome, opened.text) == (Outcome.OPENED, TEXT.strip())


def test_a_copy_that_is_not_whole_is_not_used(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with short_directory() as base:
        openpgp = _fresh(scene.world.clinic_home, base / "h")
        PgpHome(base / "h", "").learn(scene.world.aino.public_key())
        monkeypatch.setattr(ownring, "_ALL", ("--list-packets",))  # exports nothing

        opened = open_mail(_pgp(scene), MailTools(openpgp))

        openpgp.close()
    assert (opened.outcome, opened.sender_proof.kind) == (Outcome.OPENED, ProofKind.VALID)


def test_a_key_that_our_home_knows_is_not_taken_for_the_one_that_came_along(scene: Scene) -> None:
    other = File("key.asc", "application/pgp-keys", scene.world.mallory.public_key().encode())
    letter = replace(LETTER, files=[other])
    with short_directory() as base:
        openpgp = _fresh(scene.world.clinic_home, base / "h")
        PgpHome(base / "h", "").learn(scene.world.aino.public_key())

        opened = open_mail(mails.pgp_signed_mail(letter, scene.world.aino), MailTools(openpgp))

        openpgp.close()
    assert (opened.sender_proof.kind, opened.sender_proof.from_matches) == (ProofKind.VALID, True)
    assert fingerprint_of(opened.sender_key or "") == scene.world.aino.fingerprint
