"""A witness's directory: its key (mode 600), its state, its public key and the log's; made once, never over another.

Key and state belong together: a key whose state was lost could cosign a fork, so neither is made anew
beside the other once something was cosigned.
"""

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.cosign import WitnessKey, render_witness_vkey
from vault.accesslog.notes import VerifierKey, parse_vkeys
from vault.accesslog.witness.state import State, create_state
from vault.crypto.durable import alone, sync_directory, write_once
from vault.crypto.keyfile import read_private_secret
from vault.domain.private import Private
from vault.errors import WrongUseError

_SEED_BYTES = 32
_COSIGNER = b"\x04"
# as Go's module sumdb/note spells a signer, so that another witness's software may take the key over
_SIGNER = re.compile(r"PRIVATE\+KEY\+([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")


@dataclass(frozen=True, slots=True)
class Signer(Private):
    """A witness's name and private key.

    :param seed: Ed25519, 32 bytes.
    """

    name: str
    seed: bytes

    @property
    def key(self) -> WitnessKey:
        """The public half."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return WitnessKey(self.name, public.public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def parse_signer(text: str) -> Signer:
    """Read a key file's one line.

    :raises WrongUseError: it is no witness's private key.
    """
    found = _SIGNER.fullmatch(text)
    raw = base64.b64decode(found[3]) if found else b""
    if found and raw[:1] == _COSIGNER:
        signer = Signer(found[1], raw[1:])
        if signer.key.identifier.hex() == found[2]:
            return signer
    raise WrongUseError("witness_key_file", "witness.key is not what dsr witness init made; make a new witness")


def render_signer(signer: Signer) -> str:
    """Write a key file's line; the inverse of :func:`parse_signer`."""
    encoded = base64.b64encode(_COSIGNER + signer.seed).decode("ascii")
    return f"PRIVATE+KEY+{signer.name}+{signer.key.identifier.hex()}+{encoded}"


@dataclass(frozen=True, slots=True)
class WitnessPlace:
    """Where each file of a witness stands."""

    path: Path

    @property
    def key_file(self) -> Path:
        """The private key."""
        return self.path / "witness.key"

    @property
    def state_file(self) -> Path:
        """What the witness remembers."""
        return self.path / "witness.sqlite"

    @property
    def vkey_file(self) -> Path:
        """The public key, for the publisher and for whoever checks the log."""
        return self.path / "witness.vkey"

    @property
    def log_file(self) -> Path:
        """The log's public keys, one a line, the newest first."""
        return self.path / "log.vkey"

    def log_keys(self) -> tuple[VerifierKey, ...]:
        """Read the log's public keys.

        :raises WrongUseError: they can't be read.
        """
        try:
            return parse_vkeys(self.log_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            raise WrongUseError("log_key_missing", "the witness's log.vkey can't be read; copy it there") from None

    def open(self) -> tuple[State, Signer]:
        """Open state and key, which must belong together, and to the log.

        :raises WrongUseError: one is missing or another's, or others may read the key.
        """
        state, signer = State(self.state_file), parse_signer(read_private_secret(self.key_file))
        with state.change() as memory:
            found = memory.remembered()
        if found.vkey != render_witness_vkey(signer.key):
            raise WrongUseError(
                "witness_key_differs", "the state is another key's; put back the pair that was made together"
            )
        if found.origin != self.log_keys()[0].name:
            raise WrongUseError("witness_other_log", "the state is of another log; make a witness for each log")
        return state, signer


def init(directory: Path, name: str, log_keys: str) -> list[str]:
    """Make what is missing of a witness; a second call changes nothing.

    :param name: the witness's, such as ``dpo.example/witness``.
    :param log_keys: the log's public keys as ``log.vkey`` holds them.
    :returns: the names of the files made now.
    :raises WrongUseError: the directory can't be written, or holds half a witness or another one.
    """
    place, origin = WitnessPlace(directory), parse_vkeys(log_keys)[0].name
    render_witness_vkey(WitnessKey(name, bytes(_SEED_BYTES)))  # refuses an unfit name before anything is made
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(place.key_file, place.log_file, place.vkey_file):
            made = [write_once(place.log_file, log_keys.encode(), 0o644), *_make_secrets(place, name, origin)]
            vkey = render_witness_vkey(place.open()[1].key)
            made.append(write_once(place.vkey_file, f"{vkey}\n".encode(), 0o644))
    except OSError as error:
        advice = f"the witness's directory can't be written ({error.strerror}); choose one that this account owns"
        raise WrongUseError("witness_directory", advice) from None
    if place.open()[1].name != name:
        raise WrongUseError("witness_name_differs", "a witness of another name stands there; choose another directory")
    return [path.name for path in made if path]


def _make_secrets(place: WitnessPlace, name: str, origin: str) -> Sequence[Path | None]:
    """Make the state before the key, so that a key without a state always means that its state was lost."""
    if place.key_file.exists():
        State(place.state_file)
        return ()
    signer = Signer(name, secrets.token_bytes(_SEED_BYTES))
    vkey = render_witness_vkey(signer.key)
    fresh = not place.state_file.exists()
    if fresh:
        create_state(place.state_file, origin, vkey)
        sync_directory(place.path)
    else:
        with State(place.state_file).change() as memory:
            memory.bind(vkey)
    return place.state_file if fresh else None, write_once(place.key_file, f"{render_signer(signer)}\n".encode(), 0o600)
