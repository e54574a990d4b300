"""Where a Web Key Directory keeps a public key: names made from the address, as mail programs look them up.

After draft-koch-openpgp-webkey-service-19: the key is found under the SHA-1 of the local part in
z-base-32, at ``openpgpkey.DOMAIN`` (the advanced method) or at ``DOMAIN`` itself (the direct one).
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote

from vault.errors import WrongUseError

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"  # z-base-32 (RFC 6189, section 5.1.6)
_ADDRESS = re.compile(r"(?P<local>[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})@(?P<domain>(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+)")
_LONGEST = 254  # characters (RFC 5321 with erratum 1690)
_WELL_KNOWN = ".well-known/openpgpkey"


def split_address(address: str) -> tuple[str, str]:
    """Return local part and domain of a plain address, in lower case.

    :raises WrongUseError: it is no plain ASCII address.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address) > _LONGEST:
        raise WrongUseError("address_malformed", "give the mailbox's address as name@domain, without a name around it")
    return found["local"].lower(), found["domain"].lower()


def wkd_hash(local: str) -> str:
    """Give the file name for a local part: 32 letters and digits (draft, section 3.1)."""
    digest = hashlib.sha1(local.lower().encode(), usedforsecurity=False).digest()
    bits = int.from_bytes(digest, "big")
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(len(digest) * 8 - 5, -1, -5))


def wkd_files(address: str, key: bytes) -> Mapping[str, bytes]:
    """Lay one key out for both methods, a folder for each web host's root.

    :param key: the public key, binary, with the address in a user id.
    :returns: path below the folder, with ``/``, -> content; an empty policy file says that the directory is there.
    :raises WrongUseError: the address is none.
    """
    local, domain = split_address(address)
    name = wkd_hash(local)
    roots = (f"openpgpkey.{domain}/{_WELL_KNOWN}/{domain}", f"{domain}/{_WELL_KNOWN}")
    return {path: data for root in roots for path, data in ((f"{root}/policy", b""), (f"{root}/hu/{name}", key))}


def wkd_urls(address: str) -> tuple[str, str]:
    """Give the addresses that mail programs ask: the advanced method's first, then the direct one's.

    :raises WrongUseError: the address is none.
    """
    local, domain = split_address(address)
    asked = f"hu/{wkd_hash(local)}?l={quote(address.partition('@')[0], safe='')}"
    return (
        f"https://openpgpkey.{domain}/{_WELL_KNOWN}/{domain}/{asked}",
        f"https://{domain}/{_WELL_KNOWN}/{asked}",
    )
