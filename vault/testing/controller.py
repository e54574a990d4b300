"""The controller's own mail keys for tests and the demo, made as `dsr keys mail init` makes them."""

from datetime import UTC, datetime
from pathlib import Path

from vault.intake.ownpgp import OwnPgp, write_passphrase
from vault.intake.ownsmime import OwnSmime
from vault.settings import OpenPgpSettings, SmimeSettings

NAME, ADDRESS = "Example Clinic, register inspections", "requests@clinic.example"


def make_openpgp_home(home: Path) -> OpenPgpSettings:
    """Make the controller's OpenPGP home with one signing and encryption key, or return the one that is there."""
    made = OwnPgp(home, home / "passphrase")
    fingerprint = made.make(NAME, ADDRESS, datetime.now(UTC))
    return OpenPgpSettings(home=home, fingerprint=fingerprint, passphrase_file=made.passphrase_file)


def export_public(settings: OpenPgpSettings) -> str:
    """Return the controller's public key, armoured."""
    return OwnPgp(settings.home, settings.passphrase_file).public_key(settings.fingerprint).decode("ascii")


def make_smime(folder: Path) -> SmimeSettings:
    """Make the controller's S/MIME key and self-signed certificate, or return those that are there."""
    made = OwnSmime(folder / "smime.key", folder / "smime.pem", folder / "smime.pass")
    write_passphrase(made.passphrase_file)
    made.make(NAME, ADDRESS, datetime.now(UTC), self_signed=True)
    return SmimeSettings(
        key_file=made.key_file, certificate_file=made.certificate_file, passphrase_file=made.passphrase_file
    )
