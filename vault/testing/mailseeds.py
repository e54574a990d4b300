"""Mails to begin from when mails are changed at random: made by gpg, openssl, the email package, and attackers."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vault.testing import mailattacks_bombs, mailattacks_crypto, mailattacks_limits, mailattacks_mime, mails
from vault.testing.mailattacks import ATTACKS, Prey
from vault.testing.mails import File

ENTERED = (
    mailattacks_bombs,
    mailattacks_crypto,
    mailattacks_limits,
    mailattacks_mime,
)  # the modules whose import enters the attacks
_LARGEST = 30_000  # bytes of one seed
_SLOW = frozenset({"bomb", "limits"})


def seeds(prey: Prey) -> Sequence[bytes]:
    """Return mails, and what stands in them: armour, CMS, status lines, listings."""
    made = [*_mails(prey), *_insides(prey)]
    made += [found.make(prey) for found in ATTACKS.values() if found.kind not in _SLOW]
    return [seed for seed in made if len(seed) <= _LARGEST]


def _mails(prey: Prey) -> Iterator[bytes]:
    letter = replace(prey.letter, files=[File("lähete.pdf", "application/pdf", b"%PDF-1.7")], attach_key=True)
    world = prey.world
    yield mails.plain_mail(letter)
    yield mails.pgp_mime_mail(letter, world.aino, world.key)
    yield mails.pgp_inline_mail(letter, world.aino, world.key)
    yield mails.pgp_signed_mail(letter, world.aino)
    for opaque in (False, True):
        yield mails.smime_signed_mail(letter, prey.aino, opaque=opaque)
        yield mails.smime_mail(letter, prey.clinic.certificate, prey.aino, opaque=opaque)
    yield mails.smime_mail(letter, prey.clinic.certificate, cipher="-aes-256-gcm")


def _insides(prey: Prey) -> Iterator[bytes]:
    world, text = prey.world, prey.letter.text.encode()
    armour = prey.stolen()
    yield from (armour, armour.replace(b"\n", b"\r\n\r\n"), b"> " + armour, armour.replace(b"=", b"=3D"))
    yield world.aino.gpg("--dearmor", data=armour)
    yield world.aino.gpg("--clear-sign", data=text)
    yield world.aino.public_key().encode()
    signed = world.aino.gpg("--sign", data=text)
    yield world.aino.gpg("--status-fd", "1", "--decrypt", data=signed)
    yield world.aino.gpg("--with-colons", "--fingerprint", "--list-keys")
    keys = ("-signer", str(prey.aino.certificate), "-inkey", str(prey.aino.key))
    certificate = str(prey.clinic.certificate)
    for command in (
        ("-sign", "-nodetach", *keys),
        ("-encrypt", certificate),
        ("-encrypt", "-aes-256-gcm", certificate),
    ):
        for stream in ((), ("-stream",)):
            whole = ["openssl", "cms", *command[:1], "-binary", "-outform", "DER", *stream, *command[1:]]
            yield subprocess.run(whole, input=text, check=True, capture_output=True).stdout
    for name in ("zeros_in_ciphertext", "compressed_cms_in_each_other", "packets_nested_deeply"):
        yield ATTACKS[name].make(prey)
