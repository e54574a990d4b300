"""The OpenPGP key in a mail's Autocrypt header (Autocrypt Level 1, version 1.1), where it speaks for the sender."""

import base64
import binascii

from vault.intake.mime import Part

_LONGEST = 100_000  # characters of one header; the specification advises keys of less than 10 KiB
_KNOWN = frozenset({"addr", "prefer-encrypt", "keydata"})


def autocrypt_key(root: Part, sender: str | None) -> bytes | None:
    """Return the key of the one valid Autocrypt header that names the sender; two of them are none.

    An unknown attribute makes a header invalid unless its name starts with an underscore, and a report of a
    machine introduces no key (Autocrypt Level 1, sections "The Autocrypt Header" and "Updating Autocrypt Peer State").

    :param root: the mail as it arrived.
    :param sender: the one From address, or None.
    """
    if sender is None or root.type == "multipart/report":
        return None
    read = [_read(value, sender) for value in root.headers("autocrypt")]
    found = [key for key in read if key is not None]
    return found[0] if len(found) == 1 else None


def _read(value: str, sender: str) -> bytes | None:
    if len(value) > _LONGEST:
        return None
    pairs = [piece.partition("=") for piece in value.split(";") if piece.strip()]
    names = [name.strip().lower() for name, _, _ in pairs]
    values = dict(zip(names, (found.strip() for _, _, found in pairs), strict=True))
    critical = {name for name in names if not name.startswith("_")}
    if len(values) != len(names) or not critical <= _KNOWN:
        return None
    if values.get("addr", "").lower() != sender.lower():
        return None
    try:
        return base64.b64decode("".join(values.get("keydata", "").split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None
