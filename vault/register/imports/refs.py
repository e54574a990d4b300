"""References of imported things: the same thing has the same reference, and a reference reveals nothing of it.

They are MACs under a key that the key service derives and never stores, so that who has the database
can't try names, numbers or codes against them.
"""

import hmac
from base64 import b32encode
from hashlib import sha256
from typing import Final

from vault.domain.private import Private
from vault.register.own import Index

_LABEL: Final = b"dsr-vault import references 1"  # no personal identity code has this form
_PERSON: Final = 16  # bytes


class KeyedRefs(Private):
    """Makes references for one origin.

    :param service: derives the key (label ``subject``: it is the registry's office that may).
    :param origin: tells two systems apart whose resources have the same names.
    """

    __slots__ = ("_key", "_origin")

    def __init__(self, service: Index, origin: str = "") -> None:
        self._key = service.mac("subject", _LABEL)
        self._origin = origin

    def base(self, name: str) -> str:
        """Return the reference of a resource, without its version."""
        return f"F-{self._spell('resource', f'{self._origin}|{name}'.encode(errors='surrogatepass'), 15)}"

    def tag(self, content: bytes) -> str:
        """Return what tells one version of a resource from another."""
        return self._spell("version", content, 5)

    def subject(self, code: str) -> str:
        """Return the reference of a new subject."""
        return f"P-{self._spell('subject', code.encode('ascii'), 10)}"

    def person(self, name: str) -> bytes:
        """Return what stands for a person's name within one import."""
        return self._mac("person", name.encode(errors="surrogatepass"))[:_PERSON]

    def source(self, *parts: bytes) -> bytes:
        """Return what stands for an input and the way in which it is read."""
        return self._mac("source", b"".join(len(part).to_bytes(8, "big") + part for part in parts))

    def _spell(self, use: str, data: bytes, size: int) -> str:
        return b32encode(self._mac(use, data)[:size]).decode("ascii")

    def _mac(self, use: str, data: bytes) -> bytes:
        return hmac.digest(self._key, use.encode() + b"\0" + data, sha256)
