"""The log's signer in a key file: add a version everywhere, let it sign, destroy the old one when nobody needs it.

What an old version signed stays good: its public half stays in ``log.vkey``, and only its private half goes.
"""

import os
from dataclasses import replace
from pathlib import Path

from vault.crypto import durable
from vault.crypto.custody import KEY_BYTES, Custody, Keys
from vault.crypto.holder import Holder, Versions
from vault.crypto.keydir import render_vkey
from vault.crypto.signers import check_rotating, signer_is_primary, signer_unknown, slot_of, versions_of
from vault.errors import RefusedError

MOST_VERSIONS = 20  # held at once


def add_signer(keys: Keys, name: str) -> Keys:
    """Add a version of 32 random bytes under the next number; one that already waits to be promoted is enough.

    :raises WrongUseError: this signer has no versions.
    :raises RefusedError: the file holds too many of them.
    """
    versions = _versions(keys, name)
    number = next_number(versions)
    if number in versions.held:
        return keys
    return replace(keys, signers={**keys.signers, slot_of(name, number): os.urandom(KEY_BYTES)})


def promote_signer(keys: Keys, name: str, number: int) -> Keys:
    """Let a version be the first that signs; older ones sign beside it, newer ones wait.

    :raises WrongUseError: the file holds no such version.
    """
    if number not in _versions(keys, name).held:
        raise signer_unknown(name, number)
    others = {base: primary for base, primary in keys.signing.items() if base != name}
    return replace(keys, signing={**others, name: number} if number > 1 else others)


def retire_signer(keys: Keys, name: str, number: int) -> Keys:
    """Destroy a version's private half; one that is not there is gone already.

    :raises RefusedError: it is the primary.
    """
    if number == _versions(keys, name).primary:
        raise signer_is_primary(name, number)
    gone = slot_of(name, number)
    return replace(keys, signers={held: seed for held, seed in keys.signers.items() if held != gone})


def next_number(versions: Versions) -> int:
    """Give the number of the version that waits, or that is to be made.

    :raises RefusedError: too many are held.
    """
    newest = max(versions.held)
    if newest > versions.primary:
        return newest
    if len(versions.held) >= MOST_VERSIONS:
        raise RefusedError("signers_too_many", "retire old versions first: `dsr keys signer retire`")
    return newest + 1


def list_vkey(path: Path, vkey: str) -> bool:
    """Put a verifier key in front of those in a file; False where it stands there already.

    Killed anywhere, the old or the new file stands whole.

    :raises OSError: the file can't be read or written.
    """
    with durable.alone(path):
        listed = path.read_text(encoding="utf-8")
        if vkey in listed.splitlines():
            return False
        durable.replace(path, f"{vkey}\n{listed}".encode(), 0o644)
        return True


def vkey_of(holder: Holder, name: str, number: int, origin: str) -> str:
    """Write the verifier key of a version (C2SP signed-note).

    :raises WrongUseError: the origin is no name.
    """
    return render_vkey(origin, holder.public(f"{name}-{number}"))


def _versions(keys: Keys, name: str) -> Versions:
    check_rotating(name)
    return versions_of(name, keys.signers, keys.signing)


def versions_in(keys: Keys, name: str) -> Versions:
    """Tell which versions a key file holds."""
    return Custody(keys).signers(name)
