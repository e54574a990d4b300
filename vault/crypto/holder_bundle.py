"""The bundle: private halves that a holder can't use itself, each wrapped under its root, in one file.

They are opened in the key service's memory when it starts. The file alone opens nothing; it is no secret
that needs a passphrase, but whoever may ask the holder can open it.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from vault.crypto import durable
from vault.crypto.keyfile import check_private
from vault.crypto.keyservice import BOXES, SIGNERS
from vault.crypto.signers import base_of, slot
from vault.domain.private import Private
from vault.errors import UnknownFormatError, WrongUseError

MAGIC: Final = b"dsr-vault key bundle 1\n"
_LARGEST = 256 * 1024  # bytes
_HALF_BYTES = 32
_ROOT = slice(1, 5)  # where a wrapped key says which root opens it
BundleKind = Literal["box", "signer"]
Bundle = Mapping[BundleKind, Mapping[str, bytes]]  # wrapped halves by kind and name
_NAMES: Mapping[BundleKind, tuple[str, ...]] = {"box": BOXES, "signer": SIGNERS}


class HalfWrapper(Protocol):
    """What wraps and opens the halves of a bundle."""

    def wrap_half(self, kind: BundleKind, name: str, half: bytes) -> bytes:
        """Wrap 32 bytes, bound to kind and name."""
        ...

    def unwrap_half(self, kind: BundleKind, name: str, wrapped: bytes) -> bytes:
        """Open them again."""
        ...

    def rotate_half(self, kind: BundleKind, name: str, wrapped: bytes) -> bytes:
        """Wrap them anew under the primary root."""
        ...


@dataclass(frozen=True, slots=True)
class Halves(Private):
    """Private halves that this process holds, and all public ones.

    :param boxes: X25519 private halves by box.
    :param signers: Ed25519 keys by signer; none where the holder signs itself.
    :param publics: 32 raw bytes by box or signer.
    """

    boxes: Mapping[str, bytes]
    signers: Mapping[str, Ed25519PrivateKey]
    publics: Mapping[str, bytes]


def make_bundle(path: Path, kinds: tuple[BundleKind, ...], wrapper: HalfWrapper) -> bool:
    """Make halves at random and write them, wrapped; False where the file stands already.

    :raises WrongUseError: the file can't be written.
    """
    if path.exists():
        return False
    bundle = {
        kind: {name: wrapper.wrap_half(kind, name, os.urandom(_HALF_BYTES)) for name in _NAMES[kind]} for kind in kinds
    }
    try:
        return durable.write_once(path, render_bundle(bundle), 0o600) is not None
    except OSError as error:
        raise _writing(path, error) from None


def open_bundle(path: Path, kinds: tuple[BundleKind, ...], wrapper: HalfWrapper) -> Halves:
    """Read the file and open every half in it.

    :raises WrongUseError: it is missing, or others may open it.
    :raises UnknownFormatError: it is no bundle of these kinds.
    :raises TamperedError: a half doesn't open in its place.
    """
    bundle = read_bundle(path, kinds)
    opened = {
        kind: {name: wrapper.unwrap_half(kind, name, wrapped) for name, wrapped in part.items()}
        for kind, part in bundle.items()
    }
    boxes = opened["box"]
    signers = {name: Ed25519PrivateKey.from_private_bytes(seed) for name, seed in opened.get("signer", {}).items()}
    publics = {name: X25519PrivateKey.from_private_bytes(half).public_key() for name, half in boxes.items()}
    vouched = {name: signer.public_key().public_bytes_raw() for name, signer in signers.items()}
    return Halves(boxes, signers, {name: key.public_bytes_raw() for name, key in publics.items()} | vouched)


def rewrap_bundle(path: Path, kinds: tuple[BundleKind, ...], wrapper: HalfWrapper) -> bool:
    """Wrap every half anew under the primary root, in one step; False where all stand there already.

    :raises TamperedError: a half doesn't open in its place; the file stays as it is.
    """
    old = read_bundle(path, kinds)
    new = {
        kind: {name: wrapper.rotate_half(kind, name, wrapped) for name, wrapped in part.items()}
        for kind, part in old.items()
    }
    if new == old:
        return False
    try:
        durable.replace(path, render_bundle(new), 0o600)
    except OSError as error:
        raise _writing(path, error) from None
    return True


def change_bundle(path: Path, kinds: tuple[BundleKind, ...], change: Callable[[Bundle], Bundle]) -> Bundle:
    """Put wrapped halves into the file or take some out, in one step; give what it holds now.

    :raises WrongUseError: it is missing, others may read it, or it can't be written.
    """
    try:
        with durable.alone(path):
            old = read_bundle(path, kinds)
            new = change(old)
            if new != old:
                durable.replace(path, render_bundle(new), 0o600)
            return new
    except OSError as error:
        raise _writing(path, error) from None


def bundle_roots(path: Path, kinds: tuple[BundleKind, ...]) -> set[int]:
    """Give the numbers of the roots under which the halves stand.

    :raises WrongUseError: as :func:`read_bundle`.
    """
    parts = read_bundle(path, kinds).values()
    return {int.from_bytes(wrapped[_ROOT], "big") for part in parts for wrapped in part.values()}


def read_bundle(path: Path, kinds: tuple[BundleKind, ...]) -> Bundle:
    """Read the wrapped halves.

    :raises WrongUseError: it is missing, or others may open it.
    :raises UnknownFormatError: it is no bundle of these kinds.
    """
    check_private(path)
    try:
        content = path.read_bytes()[:_LARGEST]
    except OSError as error:
        advice = f"{path.name} can't be read ({error.strerror}); give it to the key service's account"
        raise WrongUseError("key_file_missing", advice) from None
    return parse_bundle(content, kinds)


def render_bundle(bundle: Bundle) -> bytes:
    """Write a bundle as its file holds it."""
    body = {kind: {name: wrapped.hex() for name, wrapped in part.items()} for kind, part in bundle.items()}
    return MAGIC + json.dumps(body, sort_keys=True).encode("ascii")


def parse_bundle(content: bytes, kinds: tuple[BundleKind, ...]) -> Bundle:
    """Read what :func:`render_bundle` wrote, and no other spelling of it.

    :raises UnknownFormatError: anything else, or other names than a bundle of these kinds has.
    """
    try:
        body = json.loads(content.removeprefix(MAGIC))
        found: Bundle = {kind: {name: bytes.fromhex(half) for name, half in body[kind].items()} for kind in kinds}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unknown() from None
    named = all({_base(kind, name) for name in part} == set(_NAMES[kind]) for kind, part in found.items())
    if not named or render_bundle(found) != content:
        raise _unknown()
    return found


def _base(kind: BundleKind, name: str) -> str:
    """Give the name of a half without its version; nothing for a version of another spelling."""
    if kind == "box":
        return name
    return base_of(name) if slot(name, {}) == name else ""


def _writing(path: Path, error: OSError) -> WrongUseError:
    advice = f"{path.name} can't be written ({error.strerror}); choose a directory that this account owns"
    return WrongUseError("key_directory", advice)


def _unknown() -> UnknownFormatError:
    return UnknownFormatError("bundle_format", "this is no key bundle that this release knows; restore it")
