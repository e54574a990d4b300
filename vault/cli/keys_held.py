"""Roots that stand in AWS KMS or a token: the same commands as for a key file, by the holder's own means."""

from vault.cli.output import Answer
from vault.crypto.holder_setup import RELOAD, add_held_root, promote_held_root, remove_held_root
from vault.crypto.holders import open_holder
from vault.crypto.local import KeyServiceStatus
from vault.errors import RefusedError, WrongUseError
from vault.settings import load
from vault.settings_keys import KeySettings


def held_settings(custody: str) -> KeySettings:
    """Give the settings of the key service, which must name this custody.

    :raises WrongUseError: they name another.
    """
    settings = load().keys
    if settings.custody != custody:
        advice = f"the settings say keys.custody {settings.custody}; set it to {custody} and add its table first"
        raise WrongUseError("custody_mixed", advice)
    return settings


def add(settings: KeySettings) -> Answer:
    """Add a root; it wraps nothing yet."""
    _number, line = add_held_root(settings)
    return _told(settings, line)


def promote(settings: KeySettings, number: int | None, status: KeyServiceStatus | None) -> Answer:
    """Bring the bundle under the root that is about to wrap; the settings make it primary.

    :raises RefusedError: the running key service doesn't hold it yet.
    """
    chosen = number or max(open_holder(settings).roots().held)
    if status is not None and chosen not in status.roots.held:
        raise RefusedError("root_not_loaded", f"the key service does not hold root {chosen} yet; {RELOAD} first")
    unseen = "" if status else "the key service was not reached: make sure that each one holds this root; "
    return _told(settings, unseen + promote_held_root(settings, chosen))


def remove(settings: KeySettings, number: int, status: KeyServiceStatus | None, left: int) -> Answer:
    """Take a root away.

    :param left: how many wrapped keys stand under it.
    :raises RefusedError: one does, or the running key service still wraps under it.
    """
    if status is not None and status.roots.primary == number:
        raise RefusedError("root_is_primary", f"the key service still wraps under root {number}; {RELOAD} first")
    if left:
        raise RefusedError("root_in_use", f"{left} wrapped keys stand under root {number}; run `dsr keys rewrap` first")
    return _told(settings, remove_held_root(settings, number))


def _told(settings: KeySettings, line: str) -> Answer:
    roots = open_holder(settings).roots()
    return Answer({"ok": True, "primary": roots.primary, "held": list(roots.held)}, [line])
