"""Root rotation in a key file: add a root everywhere, make it primary, wrap every key anew, remove the old one.

Adding changes nothing for anybody. Only after every key service holds the new root may it become
primary, because what one wraps the others must unwrap. ``docs/operations.md`` has the order.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vault.crypto import durable
from vault.crypto.custody import KEY_BYTES, Keys
from vault.crypto.holder import Roots
from vault.crypto.keyfile import read_key_file, read_private_secret, seal_keys
from vault.errors import RefusedError, WrongUseError

_MOST_ROOTS = 100


def roots_of(keys: Keys) -> Roots:
    """Tell which root wraps and which unwrap."""
    return Roots(keys.primary, tuple(sorted(keys.roots)))


def add_root(keys: Keys) -> Keys:
    """Add a root of 32 random bytes under the next number; one that already waits to be promoted is enough.

    :raises RefusedError: the file holds too many roots.
    """
    newest = max(keys.roots)
    if newest > keys.primary:
        return keys
    if len(keys.roots) >= _MOST_ROOTS:
        raise RefusedError("roots_too_many", "remove old roots first: `dsr keys rewrap`, then `dsr keys root remove N`")
    return replace(keys, roots={**keys.roots, newest + 1: os.urandom(KEY_BYTES)})


def promote_root(keys: Keys, number: int) -> Keys:
    """Let a root wrap from now on; the others only unwrap.

    :raises WrongUseError: the file holds no such root.
    """
    if number not in keys.roots:
        raise WrongUseError("root_unknown", f"the key file holds no root {number}; see `dsr keys status`")
    return replace(keys, primary=number)


def remove_root(keys: Keys, number: int) -> Keys:
    """Destroy a root; one that is not there is gone already.

    :raises RefusedError: it is the primary root.
    """
    if number == keys.primary:
        raise RefusedError("root_is_primary", f"root {number} wraps; promote another root and rewrap first")
    return replace(keys, roots={held: root for held, root in keys.roots.items() if held != number})


def change_key_file(key_file: Path, passphrase_file: Path, change: Callable[[Keys], Keys]) -> Keys:
    """Change the keys in a key file under the same passphrase: killed anywhere, the old or the new file stands whole.

    :returns: the keys that the file holds now.
    :raises WrongUseError: as :func:`vault.crypto.keyfile.read_key_file`, or the directory can't be written.
    """
    try:
        with durable.alone(key_file):
            before = read_key_file(key_file, passphrase_file)
            after = change(before)
            if after != before:
                durable.replace(key_file, seal_keys(after, read_private_secret(passphrase_file)), 0o600)
            return after
    except OSError as error:
        advice = f"the key file can't be written ({error.strerror}); run this as the account that owns its directory"
        raise WrongUseError("key_directory", advice) from None
