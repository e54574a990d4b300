"""The log's signer in KMS's bundle or a token: the steps of a key file; the settings say which version is primary."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from vault.crypto.holder import Versions
from vault.crypto.holder_setup import RELOAD
from vault.crypto.holders import open_holder
from vault.crypto.signerfile import next_number
from vault.crypto.signers import check_rotating, signer_is_primary, signer_unknown, slot_of
from vault.errors import WrongUseError
from vault.settings_keys import KeySettings

if TYPE_CHECKING:
    from vault.crypto.holder_bundle import Bundle
    from vault.crypto.kms import KmsHolder


def add_held_signer(settings: KeySettings, name: str) -> int:
    """Make the next version, unless one already waits to be promoted; gives its number.

    :raises OutOfReachError: the token or KMS doesn't answer.
    """
    check_rotating(name)
    number = next_number(open_holder(settings).signers(name))
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11_setup import add_signer  # noqa: PLC0415 - only where a token is used

        add_signer(settings.pkcs11, name, number)
        return number
    holder = _kms(settings)
    place = slot_of(name, number)

    def put(bundle: "Bundle") -> "Bundle":
        if place in bundle["signer"]:
            return bundle
        return {**bundle, "signer": {**bundle["signer"], place: holder.wrap_half("signer", place, os.urandom(32))}}

    holder.change_bundle(put)
    return number


def promote_held_signer(settings: KeySettings, name: str, number: int) -> str:
    """Tell how a held version becomes the first that signs.

    :raises WrongUseError: there is no such version.
    """
    if number not in versions_held(settings, name).held:
        raise signer_unknown(name, number)
    setting = "keys.pkcs11.log_signer" if settings.pkcs11 else "keys.kms.log_signer"
    return f"set {setting} = {number} and {RELOAD}"


def retire_held_signer(settings: KeySettings, name: str, number: int) -> None:
    """Destroy a version's private half; one that is not there is gone already.

    :raises RefusedError: it is the primary.
    """
    if number == versions_held(settings, name).primary:
        raise signer_is_primary(name, number)
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11_setup import retire_signer  # noqa: PLC0415 - only where a token is used

        retire_signer(settings.pkcs11, name, number)
        return
    _kms(settings).change_bundle(_without(slot_of(name, number)))


def versions_held(settings: KeySettings, name: str) -> Versions:
    """Tell which versions the token or bundle holds, and which the settings call primary."""
    check_rotating(name)
    return open_holder(settings).signers(name)


def _without(place: str) -> "Callable[[Bundle], Bundle]":
    def take(bundle: "Bundle") -> "Bundle":
        return {**bundle, "signer": {name: half for name, half in bundle["signer"].items() if name != place}}

    return take


def _kms(settings: KeySettings) -> "KmsHolder":
    from vault.crypto.kms import KmsHolder  # noqa: PLC0415 - only where KMS is used

    if settings.kms is None:
        raise WrongUseError("custody_local", "keys.custody is local: its signers stand in the key file")
    return KmsHolder(settings.kms)
