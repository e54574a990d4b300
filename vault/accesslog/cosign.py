"""C2SP tlog-cosignature, strictly: a witness's dated Ed25519 statement about a checkpoint, made and proved.

A cosignature says that at this time this was the largest tree of its log that the witness had seen, and
that it continues all that it saw before. What ours also read before it says so stands in
:mod:`vault.accesslog.witness`.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.accesslog.notes import Note, Signature
from vault.errors import TamperedError, WrongUseError

_COSIGNER = b"\x04"  # c2sp.org/signed-note, signature types
_KEY_BYTES = 32
_ID_BYTES = 4
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
_LATEST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's name and Ed25519 public key.

    :param name: no spaces and no ``+``, such as ``dpo.example/witness``.
    :param key: 32 raw bytes.
    """

    name: str
    key: bytes

    @property
    def identifier(self) -> bytes:
        """The key's four bytes in a signature line (c2sp.org/tlog-cosignature)."""
        return sha256(self.name.encode() + b"\n" + _COSIGNER + self.key).digest()[:_ID_BYTES]


def parse_witness_vkey(text: str) -> WitnessKey:
    """Read a witness's ``name+hex id+base64 key``.

    :raises WrongUseError: it is no verifier key of an Ed25519 witness, or its id is not its own.
    """
    found = _VKEY.fullmatch(text) if text.isprintable() else None
    raw = base64.b64decode(found[3]) if found else b""
    if found and raw[:1] == _COSIGNER:
        key = WitnessKey(found[1], raw[1:])
        if key.identifier.hex() == found[2]:
            return key
    raise WrongUseError("witness_key_malformed", "give the witness's key as name+id+base64, as dsr witness init prints")


def render_witness_vkey(key: WitnessKey) -> str:
    """Write a witness's verifier key; the inverse of :func:`parse_witness_vkey`.

    :raises WrongUseError: the name or key has not the right shape.
    """
    text = f"{key.name}+{key.identifier.hex()}+{base64.b64encode(_COSIGNER + key.key).decode('ascii')}"
    if len(key.key) != _KEY_BYTES or not text.isprintable() or not _VKEY.fullmatch(text):
        raise WrongUseError("witness_name", "name the witness such as dpo.example/witness, without spaces and '+'")
    return text


@dataclass(frozen=True, slots=True)
class Cosignature:
    """What stands in a witness's signature line.

    :param time: UTC, whole seconds.
    :param value: the Ed25519 signature, 64 bytes, over :func:`cosigned`.
    """

    time: datetime
    value: bytes


def parse_cosignature(data: bytes) -> Cosignature:
    """Read a timestamped signature.

    :raises TamperedError: it has another length, or a time after the year 9999.
    """
    seconds = int.from_bytes(data[:_TIME_BYTES], "big")
    if len(data) != _TIME_BYTES + _SIGNATURE_BYTES or seconds > _LATEST:
        raise TamperedError("cosignature_malformed", "this is no cosignature of a witness; ask the witness again")
    return Cosignature(datetime.fromtimestamp(seconds, UTC), data[_TIME_BYTES:])


def render_cosignature(cosignature: Cosignature) -> bytes:
    """Write a timestamped signature; the inverse of :func:`parse_cosignature`."""
    return _posix(cosignature.time).to_bytes(_TIME_BYTES, "big") + cosignature.value


def cosigned(text: str, time: datetime) -> bytes:
    """Give the bytes that a witness signs: header, time, and the checkpoint's whole text.

    :param text: the note's text with its last newline.
    """
    return f"cosignature/v1\ntime {_posix(time)}\n{text}".encode()


def make_cosignature(text: str, key: WitnessKey, time: datetime, sign: Callable[[bytes], bytes]) -> Signature:
    """Cosign a checkpoint; whoever calls has checked that it continues every earlier one.

    :param text: the note's text.
    :param time: now; fractions of a second are dropped.
    :param sign: Ed25519 with the witness's private key.
    """
    value = Cosignature(time, sign(cosigned(text, time)))
    return Signature(key.name, key.identifier, render_cosignature(value))


def verify_cosignature(note: Note, key: WitnessKey) -> datetime:
    """Check that this witness cosigned the checkpoint; tell when, the latest time where it did so often.

    :raises TamperedError: it did not, or one of its cosignatures is wrong.
    """
    ours = [one for one in note.signatures if (one.name, one.identifier) == (key.name, key.identifier)]
    if not ours:
        raise TamperedError("not_cosigned", "this witness did not cosign the checkpoint; ask for one that it did")
    return max(_proved(note.text, one.value, key) for one in ours)


def _proved(text: str, data: bytes, key: WitnessKey) -> datetime:
    found = parse_cosignature(data)
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(found.value, cosigned(text, found.time))
    except (InvalidSignature, ValueError):
        raise TamperedError("cosignature_wrong", "the checkpoint is not what the witness saw; report it") from None
    return found.time


def _posix(time: datetime) -> int:
    return int(time.timestamp())
