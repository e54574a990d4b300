"""An OpenPGP package: a ZIP archive encrypted to exactly one known key, signed with the controller's key.

The caller names the fingerprint that identity was proved with; a key that merely says so is refused.
gpg gets no configuration, no key server and no terminal. The requester's key reaches it through a
file that exists in memory only, and what gpg made is looked at again before it is handed over.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, TamperedError
from vault.package.archive import make_archive
from vault.settings import OpenPgpSettings, read_secret

_TMPFS = Path("/dev/shm")  # noqa: S108 - a private directory is made below it
_SECONDS = 300
_OPTIONS = (
    *("--no-options", "--batch", "--no-tty", "--quiet", "--no-auto-check-trustdb", "--fixed-list-mode"),
    *("--disable-dirmngr", "--no-auto-key-retrieve", "--no-auto-key-locate"),
)
_STRONG = ("--personal-cipher-preferences", "AES256 AES192 AES", "--personal-digest-preferences", "SHA512 SHA256")
_KEY_ID, _CAPABILITIES, _VALIDITY, _FINGERPRINT = 4, 11, 1, 9
_DEAD = frozenset("reidn")  # revoked, expired, invalid, disabled, not valid


@dataclass(frozen=True, slots=True)
class _Run(Private, shows=("code",)):
    code: int
    output: bytes
    statuses: tuple[tuple[str, ...], ...]

    def values(self, name: str) -> list[tuple[str, ...]]:
        return [status[1:] for status in self.statuses if status[0] == name]


def make_openpgp_package(
    files: Mapping[str, bytes],
    recipient_key_armoured: str,
    expected_fingerprint: str,
    signer: OpenPgpSettings | None,
    *,
    armour: bool = False,
) -> bytes:
    """Encrypt files to one recipient.

    :param files: name -> bytes, in reading order.
    :param recipient_key_armoured: one public key.
    :param expected_fingerprint: of its primary key, 40 hexadecimal digits, from the proof of identity.
    :param signer: the controller's own key; None only where it has none.
    :param armour: ASCII armour instead of binary.
    :raises RefusedError: another key, several keys, or a key that can't be encrypted to.
    :raises TamperedError: what gpg made is not for this recipient alone.
    :raises OutOfReachError: gpg is missing, or can't sign with the controller's key.
    """
    with ExitStack() as stack:
        empty = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dsr-", dir=_memory_directory())))
        descriptor = stack.enter_context(_memory_file(recipient_key_armoured.encode()))
        usable = _subkeys(empty, recipient_key_armoured, expected_fingerprint)
        arguments = [
            "-z0",
            *_STRONG,
            "--trust-model",
            "always",
            "--no-encrypt-to",
            "--recipient-file",
            f"/proc/self/fd/{descriptor}",
            "--encrypt",
        ]
        arguments += ["--armor"] if armour else []
        archive = make_archive(files)
        if signer is None:
            made = _gpg(empty, [*arguments, "--no-autostart"], archive, [descriptor])
        else:
            made = _signed(signer, arguments, archive, descriptor)
        _prove(empty, made, usable, signer)
    return made.output


def _subkeys(home: Path, armoured: str, expected: str) -> frozenset[str]:
    """List the key ids that may be encrypted to, if the key is exactly the expected one and alive."""
    show = ["--with-colons", "--import-options", "show-only", "--dry-run", "--no-autostart", "--import"]
    rows = [line.split(":") for line in _gpg(home, show, armoured.encode()).output.decode("latin-1").split("\n")]
    primaries = [row for row in rows if row[0] in ("pub", "sec")]
    fingerprints = [row[_FINGERPRINT] for row in rows if row[0] == "fpr"]
    if [row[0] for row in primaries] != ["pub"] or fingerprints[:1] != [expected.upper()]:
        msg = "the key is not the one that identity was proved with; ask for the proof again"
        raise RefusedError("recipient_key_other", msg)
    if "E" not in primaries[0][_CAPABILITIES]:
        raise RefusedError("recipient_key_unusable", "the key is expired, revoked or can't encrypt; ask for a new one")
    alive = [row for row in rows if row[0] in ("pub", "sub") and row[_VALIDITY][:1] not in _DEAD]
    return frozenset(row[_KEY_ID] for row in alive if "e" in row[_CAPABILITIES])


def _signed(signer: OpenPgpSettings, arguments: Sequence[str], archive: bytes, descriptor: int) -> _Run:
    secret = read_secret(signer.passphrase_file).encode() + b"\n"
    with _memory_file(secret) as passphrase:
        signing = ["--pinentry-mode", "loopback", "--passphrase-fd", str(passphrase)]
        signing += ["--local-user", signer.fingerprint, "--sign"]
        return _gpg(signer.home, [*signing, *arguments], archive, [descriptor, passphrase])


def _prove(home: Path, made: _Run, usable: frozenset[str], signer: OpenPgpSettings | None) -> None:
    """Look at what gpg made: complete, signed where it must be, and readable for one of the key's subkeys only."""
    if signer is not None and not made.values("SIG_CREATED"):
        raise OutOfReachError(
            "signing_failed", "gpg can't sign with openpgp.fingerprint; check the home and passphrase"
        )
    if made.code != 0 or not made.values("END_ENCRYPTION"):
        raise OutOfReachError("encryption_failed", "gpg made no package; see that gpg works for this account")
    listed = _gpg(home, ["--list-only", "--list-packets", "--no-autostart"], made.output)
    receivers = [values[0] for values in listed.values("ENC_TO")]
    if len(receivers) != 1 or receivers[0] not in usable:
        raise TamperedError("recipient_not_alone", "the package is not for the requester alone; nothing was released")


def _gpg(home: Path, arguments: Sequence[str], data: bytes, descriptors: Sequence[int] = ()) -> _Run:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as statuses:
        command = ["gpg", *_OPTIONS, "--homedir", str(home), "--status-fd", str(writing), *arguments]
        try:
            done = subprocess.run(
                command,
                input=data,
                capture_output=True,
                pass_fds=[writing, *descriptors],
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            raise OutOfReachError("gpg_missing", "gpg does not start or end; install the package gnupg") from None
        finally:
            os.close(writing)
        lines = statuses.read().decode("latin-1").split("\n")
    found = (tuple(line.split(" ")[1:]) for line in lines if line.startswith("[GNUPG:] "))
    return _Run(done.returncode, done.stdout, tuple(status for status in found if status))


@contextmanager
def _memory_file(data: bytes) -> Iterator[int]:
    """Hold bytes behind a descriptor at position 0; no file system ever sees them."""
    descriptor = os.memfd_create("dsr", 0)
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _memory_directory() -> str | None:
    return str(_TMPFS) if os.access(_TMPFS, os.W_OK | os.X_OK) else None
