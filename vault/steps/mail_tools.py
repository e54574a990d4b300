"""What mail is opened with: the controller's own keys, current and older, as the settings name them."""

from collections.abc import Iterator
from contextlib import contextmanager

from vault.errors import WrongUseError
from vault.intake.apart import Apart, OwnKeys
from vault.intake.mail import MailTools
from vault.intake.mime import MimeLimits
from vault.intake.openpgp import OpenPgp
from vault.intake.ownpgp import OwnPgp
from vault.intake.sandbox import ChildLimits
from vault.intake.smime import Smime, SmimeKey
from vault.intake.smimekey import load_key
from vault.settings import Settings, SmimeKeySettings, read_secret


@contextmanager
def mail_tools(settings: Settings) -> Iterator[MailTools]:
    """Yield the controller's own keys for opening mail; gpg's agent ends with the block.

    :raises WrongUseError: a key file or passphrase is missing or wrong, or the OpenPGP home lacks our key.
    """
    OwnPgp(settings.openpgp.home, settings.openpgp.passphrase_file).require(settings.openpgp.fingerprint.upper())
    keys = tuple(_smime_key(one) for one in (settings.smime, *settings.smime.older))
    passphrase = read_secret(settings.openpgp.passphrase_file)
    openpgp, limits = OpenPgp(settings.openpgp.home, passphrase), MimeLimits.of(settings.limits)
    own = OwnKeys(str(settings.openpgp.home.absolute()), passphrase, keys, limits=limits)
    apart = Apart(own, ChildLimits.of(settings.limits))
    try:
        yield MailTools(openpgp=openpgp, smime=Smime(keys), limits=limits, apart=apart)
    finally:
        apart.close()
        openpgp.close()


def _smime_key(settings: SmimeKeySettings) -> SmimeKey:
    try:
        pem = settings.key_file.read_bytes() + settings.certificate_file.read_bytes()
    except OSError:
        raise WrongUseError("smime_key", "an S/MIME key or certificate that the settings name can't be read") from None
    return load_key(pem, read_secret(settings.passphrase_file))
