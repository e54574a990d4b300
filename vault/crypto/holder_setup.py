"""Making and rotating roots that stand in KMS or a token: the same steps as in a key file, by the holder's own means.

The settings file is the operator's and never changed here: which root is primary stands there.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vault.crypto.holders import open_holder
from vault.crypto.keydir import KeyDirectory, check_origin, make_publics, make_tokens
from vault.errors import WrongUseError
from vault.settings_keys import KeySettings

if TYPE_CHECKING:
    from vault.crypto.kms import KmsHolder
    from vault.crypto.pkcs11 import Pkcs11Holder

RELOAD = "send SIGHUP to every key service"


def init_held(directory: Path, origin: str, settings: KeySettings) -> list[str]:
    """Make what is missing: keys in the token, or the bundle under KMS; tokens of offices; public halves.

    :param directory: for tokens and public halves, as ``dsr keys init`` makes it.
    :param origin: the access log's name in its checkpoints (C2SP signed note key name).
    :returns: the names of what was made now.
    :raises WrongUseError: settings, PIN, keys or files are unfit.
    :raises OutOfReachError: the token or KMS doesn't answer.
    """
    check_origin(origin)
    place = KeyDirectory(directory)
    try:
        (directory / "tokens").mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _make_keys(settings)
        files = [*make_tokens(place), *make_publics(place, origin, open_holder(settings))]
    except OSError as error:
        advice = f"the key directory can't be written ({error.strerror}); choose one that this account owns"
        raise WrongUseError("key_directory", advice) from None
    return made + [str(path.relative_to(directory)) for path in files]


def add_held_root(settings: KeySettings) -> tuple[int, str]:
    """Add a root: make it in the token, or prove the one that the settings name in KMS.

    :returns: its number, and what to do next.
    :raises OutOfReachError: the token or KMS doesn't answer.
    """
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11_setup import add_root  # noqa: PLC0415 - only where a token is used

        number = add_root(settings.pkcs11)
        return number, f"root {number} stands in the token; {RELOAD}, then `dsr keys root promote {number}`"
    if settings.kms is not None:
        from vault.crypto.kms_setup import prove_roots  # noqa: PLC0415 - only where KMS is used

        prove_roots(settings.kms)
        number = max(settings.kms.roots)
        if number <= settings.kms.primary:
            advice = f"make a key in KMS, name it in keys.kms.roots as root {number + 1} everywhere, and try again"
            raise WrongUseError("root_not_named", advice)
        return number, f"root {number} works; {RELOAD}, then `dsr keys root promote {number}`"
    raise _local()


def promote_held_root(settings: KeySettings, number: int) -> str:
    """Bring the bundle under a root that is about to wrap; gives what to do next.

    :raises TamperedError: a half in the bundle doesn't open.
    :raises WrongUseError: there is no such root.
    """
    holder = _holder_under(settings, number)
    holder.rewrap_bundle()
    setting = "keys.pkcs11.primary" if settings.pkcs11 else "keys.kms.primary"
    return f"the bundle stands under root {number}; set {setting} = {number}, {RELOAD}, then `dsr keys rewrap`"


def remove_held_root(settings: KeySettings, number: int) -> str:
    """Take a root away that no wrapped key needs any more; gives what to do next.

    :raises RefusedError: it is the primary, it isn't there, or the bundle stands under it.
    """
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11_setup import remove_root  # noqa: PLC0415 - only where a token is used

        remove_root(settings.pkcs11, number)
        return f"root {number} is not in the token; {RELOAD}. Backups of before can't be opened with it"
    if settings.kms is not None:
        from vault.crypto.kms_setup import check_removable  # noqa: PLC0415 - only where KMS is used

        check_removable(settings.kms, number)
        return f"take root {number} out of keys.kms.roots, {RELOAD}, then schedule its key's deletion in KMS"
    raise _local()


def _make_keys(settings: KeySettings) -> list[str]:
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11_setup import init_token  # noqa: PLC0415 - only where a token is used

        return init_token(settings.pkcs11)
    if settings.kms is not None:
        from vault.crypto.kms_setup import init_kms  # noqa: PLC0415 - only where KMS is used

        return init_kms(settings.kms)
    raise _local()


def _holder_under(settings: KeySettings, number: int) -> "Pkcs11Holder | KmsHolder":
    if settings.pkcs11 is not None:
        from vault.crypto.pkcs11 import Pkcs11Holder  # noqa: PLC0415 - only where a token is used

        return Pkcs11Holder(settings.pkcs11.model_copy(update={"primary": number}))
    if settings.kms is not None and number in settings.kms.roots:
        from vault.crypto.kms import KmsHolder  # noqa: PLC0415 - only where KMS is used

        return KmsHolder(settings.kms.model_copy(update={"primary": number}))
    raise WrongUseError("root_unknown", f"there is no root {number}; see `dsr keys status`")


def _local() -> WrongUseError:
    return WrongUseError("custody_local", "keys.custody is local: its roots stand in the key file")
