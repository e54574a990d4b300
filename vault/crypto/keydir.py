"""A directory with all that the key service needs and gives out: made once, completed later, never overwritten.

``keys.sealed``, ``passphrase`` and ``tokens/OFFICE`` are secrets (mode 600); ``case.pub``, ``print.pub``,
``desk.pub`` and ``log.vkey`` are public halves; ``audit.jsonl``, ``destroyed.jsonl`` and ``socket`` come when the
service runs.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from vault.crypto.custody import Custody, make_keys
from vault.crypto.durable import write_once
from vault.crypto.holder import Holder
from vault.crypto.keyfile import check_private, read_key_file, read_private_secret, seal_keys
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError

_PUBLIC_BYTES = 32
_ED25519 = b"\x01"  # signature type of a C2SP signed note


@dataclass(frozen=True, slots=True)
class KeyDirectory:
    """Where each file of a key directory stands."""

    path: Path

    @property
    def key_file(self) -> Path:
        """The sealed keys."""
        return self.path / "keys.sealed"

    @property
    def passphrase_file(self) -> Path:
        """The passphrase of the sealed keys; in production move it to where the service alone reads it."""
        return self.path / "passphrase"

    @property
    def audit_file(self) -> Path:
        """The key service's own audit."""
        return self.path / "audit.jsonl"

    @property
    def ledger_file(self) -> Path:
        """The ledger of destroyed keys."""
        return ledger_beside(self.audit_file)

    @property
    def socket(self) -> Path:
        """The key service's socket."""
        return self.path / "socket"

    @property
    def token_files(self) -> dict[str, Path]:
        """Each office's token."""
        return {office.value: self.path / "tokens" / office.value for office in OfficeName}

    def public(self, name: str) -> Path:
        """Give the file of a public half: ``case``, ``print``, ``desk`` or ``log``."""
        return self.path / ("log.vkey" if name == "log" else f"{name}.pub")


def ledger_beside(audit_file: Path) -> Path:
    """Give the ledger of destroyed keys, which stands beside the key service's audit."""
    return audit_file.with_name("destroyed.jsonl")


def init(directory: Path, origin: str) -> list[str]:
    """Make what is missing in a key directory; a second call changes nothing.

    :param origin: the access log's name in its checkpoints (C2SP signed note key name).
    :returns: the names of the files made now.
    :raises WrongUseError: the directory can't be written, a key file stands without its passphrase, or others
        may open what must be private.
    """
    place = KeyDirectory(directory)
    check_origin(origin)
    try:
        (directory / "tokens").mkdir(mode=0o700, parents=True, exist_ok=True)
        made = [*_make_secrets(place), *make_tokens(place)]
        made += make_publics(place, origin, Custody(read_key_file(place.key_file, place.passphrase_file)))
    except OSError as error:
        advice = f"the key directory can't be written ({error.strerror}); choose one that this account owns"
        raise WrongUseError("key_directory", advice) from None
    return [str(path.relative_to(directory)) for path in made]


def _make_secrets(place: KeyDirectory) -> list[Path]:
    if place.key_file.exists():
        check_private(place.passphrase_file)
    made = [write_once(place.passphrase_file, _secret(), 0o600)]
    if not place.key_file.exists():
        sealed = seal_keys(make_keys(), read_private_secret(place.passphrase_file))
        made.append(write_once(place.key_file, sealed, 0o600))
    return [path for path in made if path]


def make_tokens(place: KeyDirectory) -> list[Path]:
    """Draw the tokens that are missing; gives the files made now.

    :raises OSError: the directory can't be written.
    """
    made = [write_once(path, _secret(), 0o600) for path in place.token_files.values()]
    return [path for path in made if path]


def make_publics(place: KeyDirectory, origin: str, holder: Holder) -> list[Path]:
    """Write the public halves that are missing; gives the files made now.

    :raises OSError: the directory can't be written.
    """
    texts = {name: render_public(holder.public(name)) for name in ("case", "print", "desk")}
    held = reversed(holder.signers("log").held)  # every version, the newest first; retired ones are known elsewhere
    texts["log"] = "\n".join(render_vkey(origin, holder.public(f"log-{number}")) for number in held)
    made = [write_once(place.public(name), f"{text}\n".encode(), 0o644) for name, text in texts.items()]
    return [path for path in made if path]


def render_public(public: bytes) -> str:
    """Write a public half as its file holds it: base64 of 32 bytes."""
    return base64.b64encode(public).decode("ascii")


def read_public(path: Path) -> bytes:
    """Read a public half from its file (``case.pub``, ``print.pub``, ``desk.pub``).

    :returns: 32 raw bytes.
    :raises WrongUseError: missing, or not one line with the base64 of 32 bytes.
    """
    try:
        text = path.read_text(encoding="ascii").removesuffix("\n")
        public = base64.b64decode(text, validate=True)
    except (OSError, ValueError):
        public, text = b"", ""
    if len(public) != _PUBLIC_BYTES or render_public(public) != text:
        raise WrongUseError("public_key_malformed", f"{path.name} holds no public key; copy it from `dsr keys init`")
    return public


def render_vkey(origin: str, public: bytes) -> str:
    """Write an Ed25519 public half as a verifier key (C2SP signed-note): ``name+id+base64(0x01 || public)``.

    :raises WrongUseError: the name is empty or holds white space, ``+`` or control characters.
    """
    check_origin(origin)
    key_id = hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public).digest()[:4]
    return f"{origin}+{key_id.hex()}+{base64.b64encode(_ED25519 + public).decode('ascii')}"


def check_origin(origin: str) -> None:
    """Let pass a signed note's key name.

    :raises WrongUseError: it is empty or holds white space, ``+`` or control characters.
    """
    if not origin or not origin.isprintable() or "+" in origin or any(map(str.isspace, origin)):
        raise WrongUseError("origin_malformed", "give the log's origin as a URL without scheme, white space or '+'")


def _secret() -> bytes:
    return secrets.token_urlsafe(32).encode("ascii") + b"\n"
