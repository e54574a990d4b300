"""Keys that an administrator made in AWS KMS, proved by use before anything hangs on them; we make none there.

The key service's role may use keys, not make or delete them: what it can't do, its thief can't do either.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vault.crypto.kms import KmsHolder
from vault.crypto.kms_line import KmsLine
from vault.errors import RefusedError, TamperedError, WrongUseError
from vault.settings_keys import KmsSettings

_REF = "dsr-doctor/2000"  # no subject of anybody's


@dataclass(frozen=True, slots=True)
class KmsKeyState:
    """What KMS says of one key.

    :param state: ``Enabled``, ``Disabled``, ``PendingDeletion`` and so on.
    :param spec: what kind of key it is.
    :param origin: ``AWS_KMS`` where KMS made it and no copy stands outside.
    :param rotates: KMS changes its material once a year; it keeps the old.
    """

    number: int
    state: str
    spec: str
    origin: str
    rotates: bool


def init_kms(settings: KmsSettings) -> list[str]:
    """Prove that every root and MAC key works, and make the bundle where it is missing.

    :returns: the names of what was made now.
    :raises WrongUseError: a key of the wrong kind; a file is unfit.
    :raises NotAllowedError: the role may not use one.
    :raises OutOfReachError: KMS doesn't answer, or a key can't be used.
    """
    prove_roots(settings)
    holder = KmsHolder(settings)
    for label in settings.macs:
        holder.mac(label, b"dsr keys init")
    return [settings.bundle_file.name] if holder.make_bundle() else []


def prove_roots(settings: KmsSettings) -> None:
    """Wrap and unwrap under every root.

    :raises WrongUseError: a root gives back another key, or is of the wrong kind.
    :raises NotAllowedError: the role may not use one.
    :raises OutOfReachError: KMS doesn't answer, or a root can't be used.
    """
    for number in settings.roots:
        holder = KmsHolder(settings.model_copy(update={"primary": number}))
        key = secrets.token_bytes(32)
        if holder.unwrap("log", _REF, holder.wrap("log", _REF, key)) != key:
            raise WrongUseError("kms_key_kind", f"root {number} gives back another key than it was given")


def opens_in_another_place(settings: KmsSettings) -> bool:
    """Tell whether KMS opens a wrapped key under a wrong encryption context; it must not."""
    holder = KmsHolder(settings)
    wrapped = holder.wrap("log", _REF, secrets.token_bytes(32))
    try:
        holder.unwrap("log", f"{_REF}1", wrapped)
    except TamperedError:
        return False
    return True


def check_removable(settings: KmsSettings, number: int) -> None:
    """Let pass a root that nothing of ours in files needs; wrapped keys are the caller's to count.

    :raises RefusedError: it is the primary, the settings don't name it, or the bundle stands under it.
    """
    if number == settings.primary:
        raise RefusedError("root_is_primary", f"root {number} wraps; promote another root and rewrap first")
    if number not in settings.roots:
        raise RefusedError("root_unknown", f"keys.kms.roots names no root {number}")
    if number in KmsHolder(settings).bundle_roots():
        raise RefusedError("root_in_use", f"the bundle stands under root {number}; run `dsr keys root promote` first")


def look_at_roots(settings: KmsSettings) -> list[KmsKeyState]:
    """Ask KMS about every root.

    :raises NotAllowedError: the role may not ask (``kms:DescribeKey``, ``kms:GetKeyRotationStatus``).
    :raises OutOfReachError: KMS doesn't answer.
    """
    line = KmsLine(settings)
    return [_state(line, number, key) for number, key in sorted(settings.roots.items())]


def _state(line: KmsLine, number: int, key: str) -> KmsKeyState:
    told: Mapping[str, Any] = line.ask("describe_key", KeyId=key)["KeyMetadata"]
    enabled = told["KeyState"] == "Enabled"
    # KMS doesn't tell of the rotation of a key that waits for deletion
    rotates = enabled and bool(line.ask("get_key_rotation_status", KeyId=key)["KeyRotationEnabled"])
    return KmsKeyState(number, str(told["KeyState"]), str(told["KeySpec"]), str(told.get("Origin", "")), rotates)
