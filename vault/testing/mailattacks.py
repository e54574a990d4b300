"""Mails of people who want to be believed, to be answered with others' words, or to stop the intake; one of each kind.

The kinds follow EFAIL (Poddebniak et al., 2018: direct exfiltration, malleability), "Johnny, you are fired!" (Müller et
al., 2019: status lines, CMS, MIME wrapping, user ids, From) and "Re: What's up Johnny?" (Müller et al., 2019: covert
content). An attack says which outcomes are right for it; what must hold for all of them is the test's own matter.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from vault.domain.private import Private
from vault.intake.mail import MailTools
from vault.intake.opened import Outcome
from vault.intake.openpgp import OpenPgp
from vault.intake.sandbox import ChildLimits
from vault.intake.smime import Smime
from vault.intake.smimekey import load_key
from vault.testing import mails
from vault.testing.mailkeys import PgpHome, SmimeIdentity, make_pgp_home, make_smime_identity
from vault.testing.mails import Letter
from vault.testing.mailworld import LETTER, MailWorld, mail_world, short_directory

VICTIM = "aino@example.fi"
MALLORY = "mallory@evil.example"
CANARY = "Saattajan tunnus on kuutamo"  # what only Aino and the clinic may read
BAIT = "Maksa Mallorylle"  # what Mallory would like the clinic to read as Aino's


@dataclass(frozen=True, slots=True)
class Prey(Private):
    """Whom the attacks are made for: the clinic with its keys, Aino with hers, and Mallory with his own.

    :param trap: the address of a server that counts who calls.
    """

    world: MailWorld
    folder: Path
    clinic: SmimeIdentity
    aino: SmimeIdentity
    mallory: SmimeIdentity
    trap: str

    @property
    def tools(self) -> MailTools:
        """What the clinic opens mail with; it knows everybody's keys."""
        pem = self.clinic.key.read_bytes() + self.clinic.certificate.read_bytes()
        known = tuple(home.public_key().encode() for home in (self.world.aino, self.world.mallory))
        limits = ChildLimits(seconds=60.0, output=60_000_000)
        passphrase = (self.world.clinic_home / "passphrase").read_text(encoding="utf-8")
        openpgp = OpenPgp(self.world.clinic_home, passphrase, limits)
        return MailTools(openpgp, Smime([load_key(pem, None)], limits), known_keys=known)

    @property
    def victims(self) -> frozenset[str]:
        """The fingerprints of Aino's keys."""
        certificate = x509.load_pem_x509_certificate(self.aino.certificate.read_bytes())
        return frozenset({self.world.aino.fingerprint, certificate.fingerprint(hashes.SHA256()).hex().upper()})

    @property
    def letter(self) -> Letter:
        """What Aino wrote."""
        return replace(LETTER, text=LETTER.text + "\n" + CANARY)

    def stolen(self) -> bytes:
        """Return the armoured ciphertext of a letter that Aino signed and sent before."""
        return mails.encrypt(self.world.aino, self.letter.entity(), self.world.key, sign=True)

    def home(self, name: str, email: str) -> PgpHome:
        """Make a key under any name at all."""
        return make_pgp_home(self.folder / secrets.token_hex(2), name, email)


@contextmanager
def prey(trap: str) -> Iterator[Prey]:
    """Make everybody's keys in memory, and leave neither file nor agent behind."""
    with mail_world() as world, short_directory() as folder:
        people = (("clinic", LETTER.to), ("aino", VICTIM), ("mallory", VICTIM))  # Mallory's names Aino's address too
        try:
            clinic, aino, mallory = (make_smime_identity(folder / name, name, mail) for name, mail in people)
            yield Prey(world, folder, clinic, aino, mallory, trap)
        finally:
            for path in folder.iterdir():
                PgpHome(path, "").close()


@dataclass(frozen=True, slots=True)
class Attack(Private, shows=("kind", "name")):
    """One attack: how its mail is made, and which outcomes and reasons are right for it (no reason: any)."""

    kind: str
    name: str
    make: Callable[[Prey], bytes]
    outcomes: frozenset[Outcome]
    reason: str | None


ATTACKS: dict[str, Attack] = {}


def attack(
    kind: str, *outcomes: Outcome, reason: str | None = None
) -> Callable[[Callable[[Prey], bytes]], Callable[[Prey], bytes]]:
    """Enter an attack under its function's name."""

    def enter(make: Callable[[Prey], bytes]) -> Callable[[Prey], bytes]:
        ATTACKS[make.__name__] = Attack(kind, make.__name__, make, frozenset(outcomes), reason)
        return make

    return enter


def entity(kind: str, body: bytes | str, *fields: str) -> bytes:
    """Write a MIME entity."""
    head = "\r\n".join((f"Content-Type: {kind}", *fields))
    return head.encode() + b"\r\n\r\n" + (body.encode() if isinstance(body, str) else body)


def multipart(kind: str, *parts: bytes, boundary: str = "") -> bytes:
    """Join entities."""
    boundary = boundary or secrets.token_hex(8)
    line = f"\r\n--{boundary}".encode()
    quoted = kind if ";" in kind else f"multipart/{kind}"
    return entity(f'{quoted}; boundary="{boundary}"', b"".join(line + b"\r\n" + part for part in parts) + line + b"--")


def from_mallory(inside: bytes, sender: str = f"Aino <{VICTIM}>", *fields: str) -> bytes:
    """Put mail headers before an entity; the sender is Aino's address unless told otherwise: anybody may write that."""
    head = (f"From: {sender}", "To: requests@clinic.example", f"Message-ID: <{secrets.token_hex(6)}@evil.example>")
    return "\r\n".join((*head, "MIME-Version: 1.0", *fields, "")).encode() + inside


def sealed(armour: bytes) -> bytes:
    """Make an OpenPGP/MIME entity of ciphertext (RFC 3156 section 4)."""
    kind = 'multipart/encrypted; protocol="application/pgp-encrypted"'
    return multipart(
        kind, entity("application/pgp-encrypted", "Version: 1"), entity("application/octet-stream", armour)
    )


def signed_entity(content: bytes, home: PgpHome) -> bytes:
    """Sign an entity (RFC 3156 section 5)."""
    signature = home.gpg("--armor", "--detach-sign", data=content)
    return multipart(
        'multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"',
        content,
        entity("application/pgp-signature", signature.replace(b"\n", b"\r\n")),
    )


def words(text: str = BAIT) -> bytes:
    """Make a plain text entity."""
    return entity("text/plain; charset=utf-8", text)


def html(text: str) -> bytes:
    """Make an HTML entity."""
    return entity("text/html; charset=utf-8", text)
