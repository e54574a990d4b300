"""C2SP signed notes and tlog-checkpoints, strictly: what parses renders to the same bytes, what is not proved raises.

Only Ed25519 (signature type 0x01) is made and checked; signatures of unknown keys are kept and
ignored, as the format demands, so that others may cosign.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.accesslog.merkle import HASH_BYTES, LARGEST
from vault.errors import TamperedError, WrongUseError

LONGEST_NOTE = 256 * 1024  # bytes
MOST_SIGNATURES = 100
_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_DASH = "\u2014 "
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f]")
_CHECKPOINT_LINES = 3


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A signer's name and Ed25519 public key.

    :param name: no spaces and no ``+``; for a log its origin.
    :param key: 32 raw bytes.
    """

    name: str
    key: bytes

    @property
    def identifier(self) -> bytes:
        """The key's four bytes in a signature line."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:_ID_BYTES]


Keys: TypeAlias = VerifierKey | Sequence[VerifierKey]  # one key, or those of a log whose key was exchanged


def parse_vkey(text: str) -> VerifierKey:
    """Read ``name+hex id+base64 key``.

    :raises WrongUseError: it is no Ed25519 verifier key, or its id is not its own.
    """
    found = _VKEY.fullmatch(text) if text.isprintable() else None
    raw = _debase(found[3]) if found else None
    if found and raw and raw[:1] == _ED25519 and len(raw) == 1 + _KEY_BYTES:
        key = VerifierKey(found[1], raw[1:])
        if key.identifier.hex() == found[2]:
            return key
    raise WrongUseError("verifier_key_malformed", "give the log's key as name+id+base64, as log.vkey holds it")


def render_vkey(key: VerifierKey) -> str:
    """Write a verifier key; the inverse of :func:`parse_vkey`.

    :raises WrongUseError: the name or key has not the right shape.
    """
    if not _name_fits(key.name) or len(key.key) != _KEY_BYTES:
        raise WrongUseError("log_origin", "the log's origin is a name such as example.com/log, without spaces and '+'")
    return f"{key.name}+{key.identifier.hex()}+{_base(_ED25519 + key.key)}"


def parse_vkeys(text: str) -> tuple[VerifierKey, ...]:
    """Read a log's verifier keys, one a line, the newest first.

    :raises WrongUseError: a line is no verifier key, there is none, one stands twice, or they name several logs.
    """
    keys = tuple(map(parse_vkey, text.removesuffix("\n").split("\n")))
    if len(set(keys)) != len(keys) or len({key.name for key in keys}) != 1:
        raise WrongUseError("verifier_keys_differ", "give keys of one log, each once, as its file log.vkey lists them")
    return keys


def render_vkeys(keys: Sequence[VerifierKey]) -> str:
    """Write a log's verifier keys; the inverse of :func:`parse_vkeys`.

    :raises WrongUseError: a name or key has not the right shape.
    """
    return "".join(f"{render_vkey(key)}\n" for key in keys)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose, under which key id (4 bytes), and the signature."""

    name: str
    identifier: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]


def parse_note(data: bytes) -> Note:
    """Read a signed note; nothing is verified yet.

    :raises TamperedError: it is no canonical signed note of at most 256 KiB and 100 signatures.
    """
    try:
        whole = data.decode("utf-8") if len(data) <= LONGEST_NOTE else ""
    except UnicodeDecodeError:
        raise _malformed() from None
    text, blank, block = whole.rpartition("\n\n")
    lines = block.split("\n")
    if not blank or _CONTROLS.search(whole) or lines.pop() or not 0 < len(lines) <= MOST_SIGNATURES:
        raise _malformed()
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def render_note(note: Note) -> bytes:
    """Write a signed note; the inverse of :func:`parse_note`."""
    lines = (f"{_DASH}{one.name} {_base(one.identifier + one.value)}\n" for one in note.signatures)
    return f"{note.text}\n{''.join(lines)}".encode()


def verify_note(note: Note, keys: Keys) -> tuple[VerifierKey, ...]:
    """Check that one of the keys signed the note, and that no signature under any of them is wrong.

    Signatures of other keys are ignored (c2sp.org/signed-note, *Signatures*).

    :return: the keys that signed.
    :raises TamperedError: none signed, or a signature is wrong.
    """
    known = {(key.name, key.identifier): key for key in _listed(keys)}
    signers = []
    for one in note.signatures:
        key = known.get((one.name, one.identifier))
        if key:
            _verify(one.value, note.text, key)
            signers.append(key)
    if not signers:
        raise TamperedError("note_not_signed", "the note is not signed by this key; give the log's own key")
    return tuple(signers)


def _verify(signature: bytes, text: str, key: VerifierKey) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        raise TamperedError("note_signature", "the note was changed after it was signed; report it") from None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin, the tree's size and root hash, and extension lines (we write none)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's note text.

    :raises TamperedError: it is no canonical checkpoint.
    """
    *lines, end = text.split("\n")
    if end or len(lines) < _CHECKPOINT_LINES or not all(lines):
        raise _malformed()
    origin, size, root, *extensions = lines
    hashed = _debase(root)
    if not _SIZE.fullmatch(size) or int(size) > LARGEST or hashed is None or len(hashed) != HASH_BYTES:
        raise _malformed()
    return Checkpoint(origin, int(size), hashed, tuple(extensions))


def render_checkpoint(checkpoint: Checkpoint) -> str:
    """Write a checkpoint's note text; the inverse of :func:`parse_checkpoint`."""
    lines = (checkpoint.origin, str(checkpoint.size), root_text(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def open_checkpoint(data: bytes, keys: Keys) -> Checkpoint:
    """Read a signed checkpoint and check that the log of this key, or of one of these keys, made it.

    :raises TamperedError: malformed, not signed by a key, wrongly signed by one, or of another log.
    """
    note = parse_note(data)
    signers = verify_note(note, keys)
    checkpoint = parse_checkpoint(note.text)
    if any(checkpoint.origin != key.name for key in signers):
        raise TamperedError("checkpoint_origin", "the checkpoint is of another log; give the key of this one")
    return checkpoint


def root_text(root: bytes) -> str:
    """Write a root hash as checkpoints do, in base64."""
    return _base(root)


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    raw = _debase(encoded)
    if not line.startswith(_DASH) or not _name_fits(name) or raw is None or len(raw) <= _ID_BYTES:
        raise _malformed()
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def _listed(keys: Keys) -> Sequence[VerifierKey]:
    return (keys,) if isinstance(keys, VerifierKey) else keys


def _name_fits(name: str) -> bool:
    return bool(name) and "+" not in name and not any(letter.isspace() or letter < " " for letter in name)


def _base(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _debase(text: str) -> bytes | None:
    """Decode base64; None when it is not the one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _base(data) == text else None


def _malformed() -> TamperedError:
    return TamperedError("note_malformed", "this is no checkpoint of a log (c2sp.org/tlog-checkpoint); fetch it again")
