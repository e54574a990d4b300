"""The key file: every key of the key service, sealed under a passphrase, in one file that only its account may open.

The file is a line that names the format, a salt of 16 bytes and an envelope under the Argon2id of the
passphrase (RFC 9106: 64 MiB, 3 passes, 4 lanes; fixed by the format, so that nobody can weaken a file's
own parameters). ``docs/formats/keys.md`` describes every byte.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from vault.crypto.custody import KEY_BYTES, Keys
from vault.crypto.envelope import Context, seal, unseal
from vault.crypto.keyservice import BOXES, LABELS
from vault.crypto.signers import are_whole
from vault.errors import TamperedError, UnknownFormatError, VaultError, WrongUseError
from vault.settings import read_secret

MAGIC: Final = b"dsr-vault key file 1\n"
_SALT_BYTES = 16
_CONTEXT = Context("key-file", "keys", "sealed", "", 1)
_LARGEST = 1024 * 1024  # bytes


def seal_keys(keys: Keys, passphrase: str) -> bytes:
    """Seal all keys under a passphrase: the bytes of a key file.

    :param passphrase: at least 12 characters (``vault.settings.read_secret`` sees to that).
    """
    salt = os.urandom(_SALT_BYTES)
    return MAGIC + salt + seal(_stretch(passphrase, salt), _CONTEXT, _render(keys))


def unseal_keys(sealed: bytes, passphrase: str) -> Keys:
    """Open the bytes of a key file.

    :raises TamperedError: another passphrase, or changed bytes.
    :raises UnknownFormatError: no key file, or one of a newer release.
    """
    if not sealed.startswith(MAGIC):
        raise UnknownFormatError("key_file_format", "this is no key file that this release knows")
    salt, envelope = sealed[len(MAGIC) : len(MAGIC) + _SALT_BYTES], sealed[len(MAGIC) + _SALT_BYTES :]
    if len(salt) != _SALT_BYTES:
        raise _tampered()
    try:
        opened = unseal(_stretch(passphrase, salt), _CONTEXT, envelope)
    except VaultError:
        raise _tampered() from None
    return _parse(opened)


def read_key_file(path: Path, passphrase_file: Path) -> Keys:
    """Open the key file with the passphrase from its own file.

    :raises WrongUseError: a file is missing or its group or others may open it; the passphrase is empty,
        short or a well-known default; the passphrase does not open the file.
    """
    sealed = read_sealed(path)
    passphrase = read_private_secret(passphrase_file)
    try:
        return unseal_keys(sealed, passphrase)
    except (TamperedError, UnknownFormatError) as error:
        raise WrongUseError(error.code, error.advice) from None


def read_sealed(path: Path) -> bytes:
    """Read the bytes of a key file without opening it.

    :raises WrongUseError: it is missing, or its group or others may open it.
    """
    check_private(path)
    return _read(path)


def read_private_secret(path: Path) -> str:
    """Read a secret that not even its file's group may open.

    :raises WrongUseError: as :func:`vault.settings.read_secret`, and for a group's rights.
    """
    check_private(path)
    return read_secret(path)


def check_private(path: Path) -> None:
    """Let pass a file that its owner alone may open.

    :raises WrongUseError: it is missing, no plain file, or its group or others have any right.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        advice = f"{path.name} can't be opened ({error.strerror}); make it with `dsr keys init` or fix its owner"
        raise WrongUseError("key_file_missing", advice) from None
    if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise WrongUseError("key_file_readable", f"others may open {path.name}; run chmod 600 on it")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        advice = f"{path.name} can't be read ({error.strerror}); give it to the key service's account"
        raise WrongUseError("key_file_missing", advice) from None


def _stretch(passphrase: str, salt: bytes) -> bytes:
    kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=3, lanes=4, memory_cost=64 * 1024)
    return kdf.derive(passphrase.encode("utf-8"))


def _render(keys: Keys) -> bytes:
    body = {
        "primary": keys.primary,
        "roots": {str(number): root.hex() for number, root in keys.roots.items()},
        "boxes": _hex(keys.boxes),
        "macs": _hex(keys.macs),
        "signers": _hex(keys.signers),
        **({"signing": dict(keys.signing)} if keys.signing else {}),
    }
    return json.dumps(body, sort_keys=True).encode("ascii")


def _parse(opened: bytes) -> Keys:
    try:
        body: dict[str, Any] = json.loads(opened)
        roots = {int(number): _key(root) for number, root in body["roots"].items()}
        boxes, macs, signers = (_keys(body[part]) for part in ("boxes", "macs", "signers"))
        signing = {name: int(number) for name, number in body.get("signing", {}).items()}
        found = Keys(int(body["primary"]), roots, boxes, macs, signers, signing)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _tampered() from None
    named = set(found.boxes) == set(BOXES) and set(found.macs) == set(LABELS)
    whole = named and are_whole(found.signers, found.signing)
    if not whole or found.primary not in found.roots or _render(found) != opened:
        raise _tampered()
    return found


def _hex(keys: Mapping[str, bytes]) -> dict[str, str]:
    return {name: key.hex() for name, key in keys.items()}


def _keys(part: Mapping[str, str]) -> dict[str, bytes]:
    return {name: _key(text) for name, text in part.items()}


def _key(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise _tampered()
    return key


def _tampered() -> TamperedError:
    return TamperedError("key_file_tampered", "the key file doesn't open: check the passphrase file, or restore both")
