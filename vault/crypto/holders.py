"""The one place that knows which holder the settings mean; everybody else speaks to the port."""

from vault.crypto.custody import Custody
from vault.crypto.holder import Holder
from vault.crypto.keyfile import read_key_file
from vault.crypto.keyservice import BOXES, SIGNERS
from vault.crypto.signers import signer_unknown
from vault.errors import WrongUseError
from vault.settings_keys import KeySettings


def open_holder(settings: KeySettings) -> Holder:
    """Open what holds the root keys; its library is imported only now.

    :raises WrongUseError: settings, a file, a PIN or a key is unfit, or a library isn't installed.
    :raises OutOfReachError: the token or AWS KMS doesn't answer.
    """
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11 import Pkcs11Holder  # noqa: PLC0415 - only where a token is used

        return _ready(Pkcs11Holder(settings.pkcs11))
    if settings.kms is not None:
        from vault.crypto.kms import KmsHolder  # noqa: PLC0415 - only where KMS is used

        return _ready(KmsHolder(settings.kms))
    if settings.key_file is None or settings.passphrase_file is None:
        advice = "set keys.key_file and keys.passphrase_file, or keys.custody and its table, for the key service"
        raise WrongUseError("key_setting_missing", advice)
    return Custody(read_key_file(settings.key_file, settings.passphrase_file))


def _ready(holder: Holder) -> Holder:
    """Open the bundle now: what is unfit shows at the start, not at the first request."""
    holder.public(BOXES[0])
    for name in SIGNERS:
        versions = holder.signers(name)
        if versions.primary not in versions.held:
            raise signer_unknown(name, versions.primary)
    return holder
